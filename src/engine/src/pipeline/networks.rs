//! The networks of one checkpoint, with what is constant about them. Each has its place in memory;
//! a stage visits the one it needs.

use std::{cell::OnceCell, path::Path};

use acestep_domain::{
    event::Stage, lora::LoraUse, note::Note, service::Quantization, task::Family,
};
use candle_core::{DType, Device, Tensor};

use super::{audio_codes::AudioCodes, loras::Loras};
use crate::{
    checkpoint::{Checkpoint, Module, Part, SILENCE_TENSOR, misfits_note},
    device::Placement,
    engine::LoadOptions,
    error::{Error, Result},
    memory::residency::{Guard, Slot},
    models::{
        condition_encoder::ConditionEncoder,
        dit::{self, Dit},
        oobleck::{self, Oobleck},
        qwen3::Qwen3,
    },
    nn::{Backend, Weights, weights::Held},
    observer::Observer,
    text::tokenizer::TextTokenizer,
};

/// Everything a run needs, on one device.
pub(crate) struct Networks {
    pub(crate) placement: Placement,
    pub(crate) family: Family,
    pub(crate) config: dit::Config,
    pub(crate) vae_config: oobleck::Config,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) text_encoder: Slot<Qwen3>,
    pub(crate) condition_encoder: Slot<ConditionEncoder>,
    pub(crate) dit: Slot<Dit>,
    /// The half that decodes.
    pub(crate) vae: Slot<Oobleck>,
    /// The half that encodes; never stays, since few songs need it.
    pub(crate) vae_encoder: Slot<Oobleck>,
    /// `[1, t, c]`, f32, on the host.
    pub(crate) silence: Tensor,
    /// The timbre of no reference, `[1, 1, he]`: a constant of the checkpoint, made when first
    /// needed.
    timbre: OnceCell<Tensor>,
    /// Read when first asked for.
    audio_codes: Option<Slot<AudioCodes>>,
    /// Reads weights now and later.
    pub(super) reader: Reader,
    /// Of the networks of audio codes, which are the DiT's neighbours in its file.
    dit_stays: bool,
    /// The checkpoint has networks for audio codes.
    pub(crate) has_audio_codes: bool,
    /// Adapters beside the DiT.
    pub(crate) loras: Loras,
}

/// What was found out while loading.
pub(crate) struct Loaded {
    pub(crate) networks: Networks,
    pub(crate) weights_bytes: u64,
    pub(crate) held: Held,
    pub(crate) parameters: u64,
    pub(crate) notes: Vec<Note>,
}

/// Prefixes of the DiT file that are read when audio codes are first asked for.
const LATER: [&str; 2] = ["tokenizer.", "detokenizer."];

/// Who may take a tensor of these checkpoints.
const ANY: &str = "any network";

/// Modules, for progress.
const MODULES: usize = 5;

/// From where and how weights are read.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) checkpoint: Checkpoint,
    placement: Placement,
    pub(super) backend: Backend,
    /// After the checkpoint's size has had its say.
    quantization: Quantization,
    /// Layers that are not quantised are packed.
    compile: bool,
}

impl Reader {
    fn part(&self, module: Module, check: &dyn Fn() -> Result<()>) -> Result<(Part, Option<Note>)> {
        let (part, note) =
            self.checkpoint
                .quantized_part(module, &self.placement, self.quantization, check)?;
        Ok((part.prepacked(self.compile), note))
    }

    /// The place of a network of `module`, whose weights `part` has open: read from there now, or
    /// checked now and read anew at each visit.
    fn slot<T: 'static>(
        &self,
        (module, part): (Module, &Part),
        stays: bool,
        network: impl Fn(&Self, &Weights) -> candle_core::Result<T> + Send + 'static,
    ) -> Result<Slot<T>> {
        if stays {
            return Ok(Slot::Resident(part.load(|w| network(self, w))?));
        }
        part.rehearse(|w| network(self, w))?;
        let reader = self.clone();
        Slot::new(false, move || {
            // What had to be quantised was, and was told then.
            let (part, _) = reader.part(module, &|| Ok(()))?;
            part.load(|w| network(&reader, w))
        })
    }
}

impl Networks {
    /// Reads the weights of `checkpoint` module by module.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        placement: Placement,
        options: &LoadOptions,
        observer: &dyn Observer,
    ) -> Result<Loaded> {
        let mut done = 0;
        let mut step = || {
            done += 1;
            observer.progress(Stage::Load, 0, done, MODULES);
            observer.check()
        };
        observer.check()?;
        let mut notes = checkpoint.notes().to_vec();
        notes.extend(quantized_already(checkpoint, options.quantization)?);
        let reader = Reader {
            checkpoint: checkpoint.clone(),
            placement: placement.clone(),
            backend: options.backend(),
            quantization: options.quantization,
            compile: options.compile,
        };
        let mut part = |module, moves: bool| -> Result<(Part, bool)> {
            let (part, note) = reader.part(module, &|| observer.check())?;
            let field = if module == Module::Dit {
                "offload_dit_to_cpu"
            } else {
                "offload_to_cpu"
            };
            let (stays, why) = part.stays(!moves, field);
            notes.extend(note.into_iter().chain(why));
            Ok((part, stays))
        };
        let config = checkpoint.dit.clone();
        let tokenizer =
            TextTokenizer::from_bytes(&checkpoint.tokenizer()?, &checkpoint.tokenizer_path())?;
        let silence = checkpoint.silence_latent(&Device::Cpu)?;
        step()?;

        let (text_part, stays) = part(Module::TextEncoder, options.offload_to_cpu)?;
        let text = (Module::TextEncoder, &text_part);
        let text_encoder = reader.slot(text, stays, |reader, w| {
            Qwen3::load(&reader.checkpoint.text_encoder, reader.backend, w)
        })?;
        step()?;

        let (dit_part, dit_stays) = part(Module::Dit, options.moves_dit())?;
        let file = (Module::Dit, &dit_part);
        let condition_encoder = reader.slot(file, dit_stays, |reader, w| {
            ConditionEncoder::load(&reader.checkpoint.dit, reader.backend, w)
        })?;
        step()?;
        let dit = reader.slot(file, dit_stays, |reader, w| {
            Dit::load(&reader.checkpoint.dit, reader.backend, &w.pp("decoder"))
        })?;
        let has_audio_codes = AudioCodes::are_in(&config, &dit_part)?;
        step()?;

        let (vae_part, stays) = part(Module::Vae, options.offload_to_cpu)?;
        let file = (Module::Vae, &vae_part);
        let vae = reader.slot(file, stays, |reader, w| {
            Oobleck::load_decoder(&reader.checkpoint.vae, w)
        })?;
        let vae_encoder = reader.slot(file, false, |reader, w| {
            Oobleck::load_encoder(&reader.checkpoint.vae, w)
        })?;
        notes.extend(found_out(
            checkpoint,
            options.quantization,
            [&text_part, &dit_part, &vae_part],
        ));
        step()?;

        let mut held = Held::default();
        for part in [&text_part, &dit_part, &vae_part] {
            held.add(&part.held());
        }
        let parameters = Qwen3::parameters(&checkpoint.text_encoder)
            + ConditionEncoder::parameters(&config)
            + Dit::parameters(&config)
            + oobleck_parameters(&checkpoint.vae);
        Ok(Loaded {
            weights_bytes: text_part.bytes() + dit_part.bytes() + vae_part.bytes(),
            held,
            parameters,
            notes,
            networks: Self {
                family: checkpoint.family(),
                config,
                vae_config: checkpoint.vae.clone(),
                tokenizer,
                text_encoder,
                condition_encoder,
                dit,
                vae,
                vae_encoder,
                silence,
                timbre: OnceCell::new(),
                has_audio_codes,
                placement,
                audio_codes: None,
                reader,
                dit_stays,
                loras: Loras::default(),
            },
        })
    }

    /// Puts the adapters of `uses`, which lie in `dir`, beside the DiT in place of those that are
    /// there; its weights are not touched.
    ///
    /// # Errors
    /// One is missing, damaged, or made for another DiT; then all stays as it was.
    pub(crate) fn use_loras(
        &mut self,
        uses: &[LoraUse],
        dir: &Path,
        observer: &dyn Observer,
    ) -> Result<Vec<Note>> {
        let layers = || self.reader.checkpoint.layers();
        let notes = self
            .loras
            .bring(uses, dir, layers, &self.placement, observer)?;
        let paths = self.loras.side_paths();
        self.dit.change(|dit| dit.with_side_paths(&paths));
        Ok(notes)
    }

    /// The DiT with its adapters.
    ///
    /// # Errors
    /// It has to be read and cannot be.
    pub(crate) fn dit(&self) -> Result<Guard<'_, Dit>> {
        let dit = self.dit.visit()?;
        Ok(dit.changed(|dit| dit.with_side_paths(&self.loras.side_paths())))
    }

    /// Folder name of the checkpoint.
    pub(crate) fn name(&self) -> &str {
        self.reader.checkpoint.name()
    }

    /// Refuses a checkpoint without networks for audio codes.
    ///
    /// # Errors
    /// It has none.
    pub(crate) fn require_audio_codes(&self) -> Result<()> {
        if self.has_audio_codes {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: "working with audio codes".to_owned(),
            because: format!("{} was not trained on them", self.name()),
        })
    }

    /// The networks of audio codes.
    ///
    /// # Errors
    /// The checkpoint has none, or its file is damaged.
    pub(crate) fn audio_codes(&mut self) -> Result<Guard<'_, AudioCodes>> {
        self.require_audio_codes()?;
        let slot = if let Some(slot) = self.audio_codes.take() {
            slot
        } else {
            let reader = self.reader.clone();
            Slot::new(self.dit_stays, move || {
                let (part, _) = reader.part(Module::Dit, &|| Ok(()))?;
                let config = &reader.checkpoint.dit;
                AudioCodes::load(&part, config, &reader.placement, reader.backend)
            })?
        };
        self.audio_codes.insert(slot).visit()
    }

    /// The timbre of no reference: the first frames of silence through the timbre encoder.
    ///
    /// # Errors
    /// Too little memory.
    pub(crate) fn silent_timbre(&self, encoder: &ConditionEncoder) -> Result<Tensor> {
        if let Some(timbre) = self.timbre.get() {
            return Ok(timbre.clone());
        }
        let timbre = self
            .silence
            .narrow(1, 0, self.config.timbre_fix_frame)
            .and_then(|silence| silence.to_device(&self.placement.device))
            .and_then(|silence| encoder.timbre(&silence))
            .map_err(Error::in_stage(Stage::Prepare))?;
        Ok(self.timbre.get_or_init(|| timbre).clone())
    }
}

/// What of the weights is not as was asked, and what of them nobody has use for.
fn found_out(
    checkpoint: &Checkpoint,
    asked: Quantization,
    [text, dit, vae]: [&Part; 3],
) -> impl Iterator<Item = Note> {
    let misfits = text.misfits().and(dit.misfits());
    let later =
        |name: &str| name == SILENCE_TENSOR || LATER.iter().any(|prefix| name.starts_with(prefix));
    [
        misfits_note(checkpoint.name(), asked, misfits),
        text.unused_note(ANY, |_| false),
        dit.unused_note(ANY, later),
        vae.unused_note(ANY, |_| false),
    ]
    .into_iter()
    .flatten()
}

/// Says so where quantisation is asked of a file that is quantised already.
fn quantized_already(checkpoint: &Checkpoint, asked: Quantization) -> Result<Option<Note>> {
    if asked == Quantization::None {
        return Ok(None);
    }
    let format = checkpoint.packed(Module::Dit)?;
    Ok(format.map(|format| {
        Note::new(
            "quantization_of_the_file",
            "quantization",
            format!(
                "Quantisation: {} is a file in {format} and stays as it is; {} is for what is not quantised, like the text encoder beside it.",
                checkpoint.name(),
                asked.as_str()
            ),
        )
    }))
}

/// Values of both halves of the autoencoder, counted in bytes of one.
fn oobleck_parameters(config: &oobleck::Config) -> u64 {
    oobleck::decoder_footprint(config, 1, DType::U8, oobleck::Kernels::Processor).weights
        + oobleck::encoder_footprint(config, 1, DType::U8, oobleck::Kernels::Processor).weights
}
