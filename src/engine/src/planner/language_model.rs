//! A loaded language model: network, tokenizer and grammar, and the one way its jobs are run.

mod measure;

use std::sync::Arc;

pub use measure::{MeasureOptions, Measured};

use acestep_domain::{event::Stage, note::Note};
use candle_core::Tensor;

use super::{
    constraint::Constraint,
    decode::{self, Script, Step, Writer, Written},
    decoder_log::DecoderLog,
    grammar::Grammar,
    sampler::{Sampler, Sampling},
    tokenizer::LmTokenizer,
};
use crate::{
    checkpoint::{LmCheckpoint, Part},
    device::{self, Placement},
    diffusion::noise::Purpose,
    engine::LoadOptions,
    error::{Error, Result},
    memory::{
        residency::{Guard, Slot},
        room::for_network,
    },
    models::qwen3::{CausalLm, Chunk, Config},
    nn::{Backend, kv_cache::BLOCK},
    observer::{Observer, Writing},
};

/// Tokens of prompt and answer together, unless the model was made for fewer.
pub(crate) const MAX_CONTEXT: usize = 8192;

/// What is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct LmInfo {
    /// Folder name.
    pub name: String,
    /// Inside the binary.
    pub built_in: bool,
    /// Values of the network.
    pub parameters: u64,
    /// Bytes of the weight files.
    pub weights_bytes: u64,
    /// Bytes of the weights as they are loaded.
    pub resident_bytes: u64,
    /// Precision of the weights: that of the activations, or the block format that most of them
    /// have.
    pub dtype: String,
    /// Tokens that prompt and answer may have together.
    pub context_tokens: usize,
    /// It can write and read audio codes; without them it plans metadata only.
    pub has_codes: bool,
    /// Tensors nobody took, what the tokenizer lacks.
    pub notes: Vec<Note>,
}

/// A loaded language model.
pub struct LanguageModel {
    info: LmInfo,
    config: Config,
    backend: Backend,
    placement: Placement,
    network: Slot<CausalLm>,
    tokenizer: Arc<LmTokenizer>,
    pub(super) grammar: Grammar,
}

/// How a job is run.
pub(super) struct Run<'a> {
    pub(super) prompt: &'a [u32],
    pub(super) guidance: Option<(Vec<u32>, f32)>,
    pub(super) budget: usize,
    pub(super) sampling: Sampling,
    pub(super) seeds: &'a [u32],
    pub(super) purpose: Purpose,
    /// Tokens of each sequence, when they are counted beforehand.
    pub(super) total: Option<usize>,
    /// What each sequence may write, in the order of the seeds.
    pub(super) constraints: Vec<Box<dyn Constraint>>,
    /// Every token is told with what it was taken from.
    pub(super) log: bool,
}

/// The weights of `source` as they are asked for, and what is to be said about them.
fn read(
    source: &LmCheckpoint,
    placement: &Placement,
    options: &LoadOptions,
    check: &dyn Fn() -> Result<()>,
) -> Result<(Part, Vec<Note>)> {
    let (part, notes) = source.part(placement, options.quantization, check)?;
    Ok((part.prepacked(options.compile), notes))
}

impl LanguageModel {
    /// Loads `source`. Reports [`Stage::Load`] and can be cancelled between its parts.
    ///
    /// # Errors
    /// A damaged checkpoint, a device that cannot be had, too little memory, cancelled.
    pub fn load(
        source: &LmCheckpoint,
        options: &LoadOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        const PARTS: usize = 2;
        observer.check()?;
        let placement = device::open(options.device, options.dtype())?;
        let (options, distrust) = options.with_trusted_kernels(&placement);
        let backend = options.backend();
        let path = source.tokenizer_path();
        let tokenizer = Arc::new(LmTokenizer::from_bytes(&source.tokenizer()?, &path)?);
        let config = source.config.clone();
        if tokenizer.vocabulary() > config.vocab_size {
            return Err(Error::checkpoint(
                path,
                format!(
                    "the tokenizer has ids up to {}, but the network has {} tokens (vocab_size)",
                    tokenizer.vocabulary() - 1,
                    config.vocab_size
                ),
            ));
        }
        let grammar = Grammar::new(Arc::clone(&tokenizer))?;
        observer.progress(Stage::Load, 0, 1, PARTS);
        observer.check()?;
        let (part, mut notes) = read(source, &placement, &options, &|| observer.check())?;
        let (stays, why) = part.stays(!options.offload_to_cpu, "offload_to_cpu");
        notes.extend(why.into_iter().chain(distrust));
        let network = if stays {
            Slot::Resident(part.load(|w| CausalLm::load(&config, backend, w))?)
        } else {
            part.rehearse(|w| CausalLm::load(&config, backend, w))?;
            let (source, placement) = (source.clone(), placement.clone());
            Slot::new(false, move || {
                let (part, _) = read(&source, &placement, &options, &|| Ok(()))?;
                part.load(|w| CausalLm::load(&source.config, backend, w))
            })?
        };
        observer.progress(Stage::Load, 0, PARTS, PARTS);
        // A tied checkpoint may carry its head along.
        notes.extend(part.unused_note("the language model", |name| {
            config.tie_word_embeddings && name == "lm_head.weight"
        }));
        if !tokenizer.has_codes() {
            notes.push(Note::new(
                "lm_without_codes",
                "thinking",
                format!(
                    "{} has no audio codes in its vocabulary: it plans metadata only.",
                    source.name()
                ),
            ));
        }
        let held = part.held();
        let info = LmInfo {
            name: source.name().to_owned(),
            built_in: source.is_built_in(),
            parameters: CausalLm::parameters(&config),
            weights_bytes: part.bytes(),
            dtype: held.dtype(placement.dtype),
            resident_bytes: held.bytes,
            context_tokens: config
                .max_position_embeddings
                .unwrap_or(MAX_CONTEXT)
                .min(MAX_CONTEXT),
            has_codes: tokenizer.has_codes(),
            notes,
        };
        Ok(Self {
            info,
            config,
            backend,
            placement,
            network,
            tokenizer,
            grammar,
        })
    }

    /// What is loaded.
    pub fn info(&self) -> &LmInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &LmTokenizer {
        &self.tokenizer
    }

    /// Bytes in use while sequences of the given lengths in tokens, prompts included, are written
    /// side by side; weights included.
    pub fn memory_bytes(&self, lengths: &[usize]) -> u64 {
        let dense = CausalLm::footprint(&self.config, lengths, self.backend, self.placement.dtype);
        dense.total() - dense.weights + self.info.resident_bytes
    }

    /// Logits of the token after each prompt, `[v]` each, f32 on the host.
    ///
    /// # Errors
    /// A prompt is empty, too long, or holds an id that is none; too little memory; cancelled.
    pub fn logits(&self, prompts: &[Vec<u32>], observer: &dyn Observer) -> Result<Vec<Tensor>> {
        let v = self.config.vocab_size;
        let invalid = |reason: String| Error::Invalid {
            field: "prompts",
            reason,
        };
        for (index, prompt) in prompts.iter().enumerate() {
            if prompt.is_empty() {
                return Err(invalid(format!("prompt {index} is empty")));
            }
            if let Some(id) = prompt.iter().find(|id| **id as usize >= v) {
                return Err(invalid(format!(
                    "prompt {index} holds {id}, and ids go from 0 to {}",
                    v - 1
                )));
            }
            self.check_length(prompt.len(), 0, "prompts")?;
        }
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let network = self.network.visit()?;
        self.room_for(&prompts.iter().map(Vec::len).collect::<Vec<_>>())?;
        let mut caches = prompts
            .iter()
            .map(|prompt| network.cache(prompt.len()))
            .collect::<candle_core::Result<Vec<_>>>()
            .map_err(Error::in_stage(Stage::LanguageModel))?;
        observer.check()?;
        let mut chunks: Vec<Chunk<'_>> = prompts
            .iter()
            .zip(&mut caches)
            .map(|(ids, cache)| Chunk { ids, cache })
            .collect();
        let all = std::iter::once(0..v).collect::<Vec<_>>();
        network
            .extend_last(&mut chunks)
            .and_then(|hidden| network.logits(&hidden, &all))
            .and_then(|logits| logits.to_device(&candle_core::Device::Cpu))
            .and_then(|logits| (0..prompts.len()).map(|row| logits.get(row)).collect())
            .map_err(Error::in_stage(Stage::LanguageModel))
    }

    /// The network, read again where it does not stay.
    pub(super) fn network(&self) -> Result<Guard<'_, CausalLm>> {
        self.network.visit()
    }

    /// Room to read and write sequences of so many tokens side by side.
    fn room_for(&self, lengths: &[usize]) -> Result<()> {
        let Placement { device, dtype } = &self.placement;
        let footprint = CausalLm::footprint(&self.config, lengths, self.backend, *dtype);
        for_network(Stage::LanguageModel, footprint, device)
    }

    /// Tokens left for an answer after a prompt.
    pub(super) fn room(&self, prompt: usize) -> usize {
        self.info.context_tokens.saturating_sub(prompt)
    }

    /// Refuses a prompt that leaves less than `answer` tokens.
    pub(super) fn check_length(
        &self,
        prompt: usize,
        answer: usize,
        field: &'static str,
    ) -> Result<()> {
        if self.room(prompt) >= answer && prompt <= self.info.context_tokens {
            return Ok(());
        }
        Err(Error::Invalid {
            field,
            reason: format!(
                "{prompt} tokens are too long for this language model, which reads and writes {} together and needs {answer} for its answer",
                self.info.context_tokens
            ),
        })
    }

    /// Runs a job: one sequence a seed, each under its own constraint.
    pub(super) fn run(&self, run: Run<'_>, observer: &dyn Observer) -> Result<Vec<Written>> {
        let writers = run
            .seeds
            .iter()
            .zip(run.constraints)
            .map(|(seed, constraint)| Writer {
                constraint,
                sampler: Sampler::new(run.sampling, *seed, run.purpose),
            })
            .collect();
        let script = Script {
            prompt: run.prompt,
            guidance: run
                .guidance
                .as_ref()
                .map(|(prompt, scale)| (prompt.as_slice(), *scale)),
            budget: run.budget,
            log: DecoderLog::of(run.log, &self.tokenizer),
        };
        let count = run.seeds.len().max(1);
        let mut report = |step: &Step<'_>| {
            let rate = if step.secs > 0.0 {
                step.tokens as f64 / step.secs
            } else {
                0.0
            };
            let text = if run.total.is_some() {
                String::new()
            } else {
                self.tokenizer.decode(step.ids)
            };
            if let Some(total) = run.total {
                observer.progress(Stage::LanguageModel, 0, step.ids.len(), total);
            }
            let left = run.total.filter(|_| rate > 0.0);
            observer.writing(&Writing {
                field: step.field,
                text: &text,
                tokens: step.ids.len(),
                total: run.total,
                tokens_per_sec: rate,
                secs_left: left
                    .map(|total| (total.saturating_sub(step.ids.len()) * count) as f64 / rate),
            });
        };
        let length = |prompt: &[u32]| prompt.len() + run.budget.min(BLOCK);
        let mut lengths = vec![length(run.prompt)];
        lengths.extend(run.guidance.iter().map(|(prompt, _)| length(prompt)));
        let lengths = lengths.repeat(count);
        let network = self.network.visit()?;
        self.room_for(&lengths)?;
        decode::write(&network, &script, writers, observer, &mut report)
    }
}
