//! How quick a loaded language model is, held against what the machine can do.

use std::time::Instant;

use acestep_domain::event::Stage;

use super::LanguageModel;
use crate::{
    error::{Error, Result},
    kernels::rates::{Reader, card_memory, matmul},
    models::qwen3::{CausalLm, Chunk},
    observer::Observer,
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Tokens of the prompt that is read, at least one.
    pub prompt: usize,
    /// Tokens that are written after a short prompt, at least one.
    pub steps: usize,
    /// How often each is done; the quickest counts. At least once.
    pub times: usize,
    /// Bytes of the buffer that memory is measured with.
    pub buffer_bytes: usize,
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self {
            prompt: 512,
            steps: 24,
            times: 3,
            buffer_bytes: 1 << 30,
        }
    }
}

/// Rates of a language model and of the machine, from one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Tokens of a prompt read in a second.
    pub prefill_tokens_per_sec: f64,
    /// Multiplications and additions of it in a second.
    pub prefill_flops: f64,
    /// The same of the library's f32 matrix product, on matrices of this model's sizes.
    pub matmul_flops: f64,
    /// Tokens of one sequence written in a second, each with the logits of the whole vocabulary.
    pub decode_tokens_per_sec: f64,
    /// Bytes of weights read for each.
    pub decode_bytes: u64,
    /// Bytes that all threads together read from memory in a second.
    pub memory_bytes_per_sec: f64,
    /// Threads that compute.
    pub threads: usize,
}

impl Measured {
    /// Prefill's share of the matrix product.
    pub fn prefill_share(&self) -> f64 {
        self.prefill_flops / self.matmul_flops
    }

    /// Decoding's share of the memory's speed.
    pub fn decode_share(&self) -> f64 {
        self.decode_tokens_per_sec * self.decode_bytes as f64 / self.memory_bytes_per_sec
    }
}

/// Tokens before the ones that are written.
const BEFORE: usize = 16;

impl LanguageModel {
    /// Measures the model. Meant for a machine that does nothing else.
    ///
    /// # Errors
    /// The options ask for nothing or for more than the context, too little memory, cancelled.
    pub fn measure(&self, options: &MeasureOptions, observer: &dyn Observer) -> Result<Measured> {
        let MeasureOptions {
            prompt,
            steps,
            times,
            buffer_bytes,
        } = *options;
        if prompt == 0 || steps == 0 || times == 0 || buffer_bytes == 0 {
            return Err(Error::Invalid {
                field: "bench",
                reason: "prompt, steps and times are at least 1".to_owned(),
            });
        }
        self.check_length(prompt.max(BEFORE + steps), 0, "bench")?;
        let network = &*self.network.visit()?;
        let (h, i) = (self.config.hidden_size, self.config.intermediate_size);
        let stage = || Error::in_stage(Stage::LanguageModel);
        let device = &self.placement.device;
        let matmul = matmul(device, self.placement.dtype, (prompt, h, i)).map_err(stage())?;
        let reader = device.is_cpu().then(|| Reader::new(buffer_bytes));
        let read_memory = || match &reader {
            Some(reader) => Ok(reader.read()),
            None => card_memory(device).map_err(stage()),
        };
        let (mut prefill, mut decode, mut memory) = (f64::MAX, f64::MAX, read_memory()?);
        // The first round warms everything up.
        for round in 0..=times {
            observer.check()?;
            let read = self.read_prompt(network, prompt)?;
            let written = self.write_tokens(network, steps, observer)?;
            memory = memory.max(read_memory()?);
            if round > 0 {
                (prefill, decode) = (prefill.min(read), decode.min(written));
            }
        }
        Ok(Measured {
            prefill_tokens_per_sec: prompt as f64 / prefill,
            prefill_flops: self.prompt_operations(prompt) / prefill,
            matmul_flops: matmul,
            decode_tokens_per_sec: steps as f64 / decode,
            decode_bytes: self.step_bytes(network),
            memory_bytes_per_sec: memory,
            threads: rayon::current_num_threads(),
        })
    }

    /// Seconds to read a prompt of `tokens`.
    fn read_prompt(&self, network: &CausalLm, tokens: usize) -> Result<f64> {
        let stage = || Error::in_stage(Stage::LanguageModel);
        let ids = self.some_ids(tokens);
        let mut cache = network.cache(tokens).map_err(stage())?;
        let start = Instant::now();
        let chunk = Chunk {
            ids: &ids,
            cache: &mut cache,
        };
        network.extend_last(&mut [chunk]).map_err(stage())?;
        self.placement.device.synchronize().map_err(stage())?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds to write `steps` tokens after a few.
    fn write_tokens(
        &self,
        network: &CausalLm,
        steps: usize,
        observer: &dyn Observer,
    ) -> Result<f64> {
        let stage = || Error::in_stage(Stage::LanguageModel);
        let ids = self.some_ids(BEFORE + steps);
        let mut cache = network.cache(ids.len()).map_err(stage())?;
        let all = std::iter::once(0..self.config.vocab_size).collect::<Vec<_>>();
        let mut step = |ids: &[u32]| {
            let chunk = Chunk {
                ids,
                cache: &mut cache,
            };
            let hidden = network.extend_last(&mut [chunk])?;
            network.logits(&hidden, &all)
        };
        let (before, written) = ids.split_at(BEFORE);
        step(before).map_err(stage())?;
        let start = Instant::now();
        for id in written {
            observer.check()?;
            step(&[*id]).map_err(stage())?;
        }
        self.placement.device.synchronize().map_err(stage())?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Ids from all over the vocabulary.
    fn some_ids(&self, count: usize) -> Vec<u32> {
        let v = self.config.vocab_size;
        (0..count).map(|i| (i * 7919 % v) as u32).collect()
    }

    /// Multiplications and additions for a prompt: two for each weight of the layers, and those of
    /// the causal attention. The head is asked for one token of it, which is nothing.
    fn prompt_operations(&self, tokens: usize) -> f64 {
        let cfg = &self.config;
        let tables = if cfg.tie_word_embeddings { 1 } else { 2 } * cfg.vocab_size * cfg.hidden_size;
        let layers = CausalLm::parameters(cfg) - tables as u64;
        let attention = 2 * cfg.num_hidden_layers * cfg.num_attention_heads * cfg.head_dim;
        let tokens = tokens as f64;
        2.0 * layers as f64 * tokens + attention as f64 * tokens * tokens
    }

    /// Bytes of weights that a step reads: all of them, but of a table of its own one row.
    fn step_bytes(&self, network: &CausalLm) -> u64 {
        let held = self.info.resident_bytes;
        if self.config.tie_word_embeddings {
            held
        } else {
            held - network.table_bytes()
        }
    }
}
