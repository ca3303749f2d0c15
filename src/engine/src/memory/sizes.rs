//! What each network holds and has in flight, from configs alone.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use acestep_domain::{capabilities::DeviceKind, service::Quantization, task::Family, tier::LmSize};
use candle_core::DType;

use super::released;
use crate::{
    checkpoint::{Checkpoint, LmCheckpoint, Module, lm_formats, main_formats},
    engine::LoadOptions,
    error::Result,
    footprint::Footprint,
    models::{
        AudioDetokenizer, AudioTokenizer, ConditionEncoder, Dit,
        dit::{self, Shapes},
        oobleck::{self, Kernels, decoder_footprint, encoder_footprint},
        qwen3::{self, CausalLm, Qwen3},
    },
    nn::{Backend, Formats, WeightFile, Weights},
};

/// The configs of everything that takes part in a run. Clones share what was weighed.
#[derive(Debug, Clone)]
pub struct Models {
    /// Folder name of the DiT.
    pub name: String,
    /// Turbo or base.
    pub family: Family,
    pub(super) dit: dit::Config,
    pub(super) text_encoder: qwen3::Config,
    pub(super) vae: oobleck::Config,
    pub(super) lm: Option<Lm>,
    /// Codes can drive it.
    pub(super) audio_codes: bool,
    /// Where modules are GGUF files: those are weighed as they are.
    files: Option<Checkpoint>,
    scales: Scales,
}

/// Networks that were weighed already, by how they are loaded: precision, format, packed or not.
type Scales = Arc<Mutex<HashMap<(DType, Quantization, bool), Weighed>>>;

/// A language model.
#[derive(Debug, Clone)]
pub(super) struct Lm {
    name: String,
    pub(super) config: qwen3::Config,
    /// Where it is there: its headers are weighed.
    checkpoint: Option<LmCheckpoint>,
    pub(super) has_codes: bool,
}

impl Models {
    /// The checkpoints of those names below `root`; what is not there is planned as it is released.
    ///
    /// # Errors
    /// A checkpoint is there and damaged.
    pub fn find(root: &Path, name: &str, lm: Option<&str>) -> Result<Self> {
        let there = Checkpoint::is_there(root, name);
        let main = if there {
            Self::of(&Checkpoint::open(root, name)?)
        } else {
            Self::released(name)
        };
        main.with_lm(root, lm)
    }

    /// With the language model of that name below `root`, or as it is released.
    ///
    /// # Errors
    /// It is there and damaged.
    pub fn with_lm(self, root: &Path, lm: Option<&str>) -> Result<Self> {
        let Some(lm) = lm else { return Ok(self) };
        Ok(if LmCheckpoint::is_there(root, lm)? {
            self.with_lm_of(&LmCheckpoint::open(root, lm)?)
        } else {
            self.with(Lm::released(lm))
        })
    }

    /// With the language model of a checkpoint.
    #[must_use]
    pub fn with_lm_of(self, checkpoint: &LmCheckpoint) -> Self {
        self.with(Lm::of(checkpoint))
    }

    /// The networks of a checkpoint, without a language model.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            name: checkpoint.name().to_owned(),
            family: checkpoint.family(),
            dit: checkpoint.dit.clone(),
            text_encoder: checkpoint.text_encoder.clone(),
            vae: checkpoint.vae.clone(),
            lm: None,
            audio_codes: checkpoint.dit.audio_codes_trained,
            files: Some(checkpoint.clone()),
            scales: Scales::default(),
        }
    }

    /// The release of that name.
    pub fn released(name: &str) -> Self {
        let dit = released::dit(name);
        Self {
            name: name.to_owned(),
            family: Family::from_name(name),
            dit,
            text_encoder: released::text_encoder(),
            vae: released::vae(),
            lm: None,
            audio_codes: true,
            files: None,
            scales: Scales::default(),
        }
    }

    /// The size of the release whose figures are planned with, where the model is not there.
    pub fn release(&self) -> Option<&'static str> {
        let size = if self.dit.encoder_hidden_size.is_some() {
            "XL"
        } else {
            "2B"
        };
        self.files.is_none().then_some(size)
    }

    /// With the released language model of a size.
    #[must_use]
    pub fn with_released_lm(self, size: LmSize) -> Self {
        self.with(Lm::released(&size.folder()))
    }

    fn with(self, lm: Lm) -> Self {
        Self {
            lm: Some(lm),
            scales: Scales::default(),
            ..self
        }
    }

    /// Name of the language model.
    pub fn lm_name(&self) -> Option<&str> {
        self.lm.as_ref().map(|lm| lm.name.as_str())
    }

    /// Whether audio codes can drive it.
    pub fn has_audio_codes(&self) -> bool {
        self.audio_codes
    }

    /// Whether it is known where it looks for the words.
    pub fn can_time_lyrics(&self) -> bool {
        self.dit.lyric_heads().is_some()
    }

    /// Whether the language model writes audio codes that the main model follows.
    pub fn lm_has_codes(&self) -> bool {
        self.audio_codes && self.lm.as_ref().is_some_and(|lm| lm.has_codes)
    }

    /// Without a language model.
    #[must_use]
    pub fn without_lm(self) -> Self {
        Self { lm: None, ..self }
    }
}

impl Lm {
    fn of(checkpoint: &LmCheckpoint) -> Self {
        Self {
            name: checkpoint.name().to_owned(),
            config: checkpoint.config.clone(),
            checkpoint: Some(checkpoint.clone()),
            has_codes: !checkpoint.is_built_in(),
        }
    }

    fn released(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            config: released::lm(LmSize::from_name(name)),
            checkpoint: None,
            has_codes: true,
        }
    }
}

/// Bytes of weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) dit: u64,
    pub(super) lm: Option<u64>,
}

/// How networks are loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loading {
    /// Whose kernels run.
    pub(super) device: DeviceKind,
    pub(super) dtype: DType,
    pub(super) backend: Backend,
    pub(super) quantization: Quantization,
    /// Layers are packed for the processor.
    prepacked: bool,
}

impl Loading {
    /// As `options` say.
    pub(super) fn by(options: &LoadOptions) -> Self {
        Self {
            device: options.device,
            dtype: options.dtype(),
            backend: options.backend(),
            quantization: options.quantization,
            prepacked: options.compile && options.device == DeviceKind::Cpu,
        }
    }

    /// What a network is weighed on: the headers of its GGUF file or, without one, nothing but how its matrices
    /// are `stored`. Those not in blocks come out in `formats`.
    fn weights(
        &self,
        formats: Formats,
        gguf: Option<Vec<WeightFile>>,
        stored: impl FnOnce() -> DType,
    ) -> Weights {
        let rehearsal = gguf.and_then(|files| Weights::rehearsal(files).ok());
        let weights = match rehearsal {
            // What is in blocks already stays as it is, and so does the rest of such a file.
            Some(weights) if weights.is_packed() => weights.with_dtype(self.dtype),
            Some(weights) => weights.with_dtype(self.dtype).with_formats(formats),
            // It makes no difference where nothing is packed, and asking reads the files' headers.
            None if !self.prepacked => Weights::survey(self.dtype, formats, self.dtype),
            None => Weights::survey(self.dtype, formats, stored()),
        };
        weights.prepacked(self.prepacked)
    }

    /// By which kernels the autoencoder's convolutions run.
    fn convolutions(&self) -> Kernels {
        match self.device {
            DeviceKind::Cpu => Kernels::Processor,
            DeviceKind::Cuda => Kernels::Card,
            DeviceKind::Metal => Kernels::Candle,
        }
    }
}

/// Input sizes of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Inputs {
    pub(super) frames: usize,
    pub(super) tile_frames: usize,
    pub(super) caption_tokens: usize,
    pub(super) lyric_tokens: usize,
    pub(super) steps: usize,
    /// Recordings whose sound the song takes on.
    pub(super) references: usize,
    /// Contexts that are prepared: songs have their own where codes differ.
    pub(super) contexts: usize,
    /// Conditions that are prepared.
    pub(super) conditions: usize,
}

/// A network's part of the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) footprint: Footprint,
    /// Bytes beyond its weights while it is read.
    pub(super) reading: u64,
}

impl Size {
    /// The most beside its weights.
    pub(super) fn working(&self) -> u64 {
        (self.footprint.activations + self.footprint.cache).max(self.reading)
    }
}

/// What a network's loader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    bytes: u64,
    /// Of the largest tensor that is not in blocks: it is there twice while it is read.
    largest: u64,
}

impl Weight {
    /// Of a network that is loaded from `weights`, whose data is not read; nothing is noted down there.
    fn taken<T>(
        weights: &Weights,
        network: impl FnOnce(&Weights) -> candle_core::Result<T>,
    ) -> Self {
        let weights = weights.rehearse();
        // A network that cannot be had from zeros would fail at load, and say why.
        drop(network(&weights));
        let held = weights.held();
        Self {
            bytes: held.bytes,
            largest: held.largest,
        }
    }

    /// With what `footprint` has in flight.
    fn with(self, footprint: Footprint) -> Size {
        Size {
            footprint: Footprint {
                weights: self.bytes,
                ..footprint
            },
            reading: self.largest,
        }
    }
}

/// The networks of [`Models`], weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weighed {
    text_encoder: Weight,
    condition_encoder: Weight,
    dit: Weight,
    audio_codes: Weight,
    lm: Option<Weight>,
}

impl Models {
    /// Weighs every network but the autoencoder, whose kernels are put together while they are
    /// read.
    pub(super) fn weigh(&self, how: Loading) -> Weighed {
        let mut scales = self.scales.lock().unwrap_or_else(PoisonError::into_inner);
        *scales
            .entry((how.dtype, how.quantization, how.prepacked))
            .or_insert_with(|| self.survey(how))
    }

    /// What a module is weighed on.
    fn weights(&self, module: Module, how: Loading) -> Weights {
        let formats = main_formats(module, how.quantization);
        let files = self.files.as_ref();
        let gguf = files.and_then(|files| files.gguf(module).ok().flatten());
        how.weights(formats, gguf, || match files {
            Some(files) => files.stored(module),
            None => released::stored(&self.name, module),
        })
    }

    fn survey(&self, how: Loading) -> Weighed {
        let cfg = &self.dit;
        let weights = |module| self.weights(module, how);
        let dit = weights(Module::Dit);
        Weighed {
            text_encoder: Weight::taken(&weights(Module::TextEncoder), |w| {
                Qwen3::load(&self.text_encoder, how.backend, w)
            }),
            condition_encoder: Weight::taken(&dit, |w| ConditionEncoder::load(cfg, how.backend, w)),
            dit: Weight::taken(&dit, |w| Dit::load(cfg, how.backend, &w.pp("decoder"))),
            audio_codes: Weight::taken(&dit, |w| {
                AudioTokenizer::load(cfg, how.backend, &w.pp("tokenizer"))?;
                AudioDetokenizer::load(cfg, how.backend, &w.pp("detokenizer"))
            }),
            lm: self.lm.as_ref().map(|model| {
                let formats = lm_formats(&model.name, &model.config, how.quantization);
                let files = model.checkpoint.as_ref();
                let gguf = files.and_then(|files| files.gguf().ok().flatten());
                let stored = || files.map_or(released::LM_STORED, LmCheckpoint::stored);
                Weight::taken(&how.weights(formats, gguf, stored), |w| {
                    CausalLm::load(&model.config, how.backend, w)
                })
            }),
        }
    }

    /// Bytes of the networks that work longest, as they are loaded.
    pub(super) fn bytes(&self, options: &LoadOptions) -> Bytes {
        let weighed = self.weigh(Loading::by(options));
        Bytes {
            dit: weighed.dit.bytes,
            lm: weighed.lm.map(|weight| weight.bytes),
        }
    }

    pub(super) fn text_encoder_size(
        &self,
        weighed: &Weighed,
        how: Loading,
        inputs: Inputs,
    ) -> Size {
        let tokens = inputs.caption_tokens;
        let footprint = Qwen3::footprint(&self.text_encoder, tokens, how.backend, how.dtype);
        weighed.text_encoder.with(footprint)
    }

    pub(super) fn condition_encoder_size(
        &self,
        weighed: &Weighed,
        how: Loading,
        inputs: Inputs,
    ) -> Size {
        let footprint = ConditionEncoder::footprint(
            &self.dit,
            inputs.lyric_tokens,
            inputs.references.max(1),
            how.backend,
            how.dtype,
        );
        weighed.condition_encoder.with(footprint)
    }

    pub(super) fn dit_size(&self, weighed: &Weighed, how: Loading, inputs: Inputs) -> Size {
        let cfg = &self.dit;
        let shapes = Shapes {
            frames: inputs.frames,
            condition_tokens: inputs.lyric_tokens + 1 + inputs.caption_tokens,
            steps: inputs.steps,
            backend: how.backend,
        };
        let mut footprint = Dit::footprint(cfg, &shapes, how.dtype);
        let tokens = inputs.frames.div_ceil(cfg.patch_size);
        let context = tokens * (cfg.hidden_size + cfg.head_dim) * how.dtype.size_in_bytes();
        footprint.cache += ((inputs.contexts.max(1) - 1) * context) as u64;
        let keys = Dit::condition_values(cfg, shapes.condition_tokens) * how.dtype.size_in_bytes();
        footprint.cache += ((inputs.conditions.max(1) - 1) * keys) as u64;
        weighed.dit.with(footprint)
    }

    pub(super) fn audio_codes_size(&self, weighed: &Weighed, how: Loading, inputs: Inputs) -> Size {
        let frames = inputs.frames;
        let there = AudioTokenizer::footprint(&self.dit, frames, how.backend, how.dtype);
        let back = AudioDetokenizer::footprint(&self.dit, frames, how.backend, how.dtype);
        weighed.audio_codes.with(there + back)
    }

    /// Of the autoencoder while it decodes.
    pub(super) fn vae_size(&self, how: Loading, inputs: Inputs) -> Size {
        let frames = inputs.tile_frames.min(inputs.frames);
        self.vae_working(decoder_footprint(
            &self.vae,
            frames,
            how.dtype,
            how.convolutions(),
        ))
    }

    /// Of the autoencoder while it encodes.
    pub(super) fn vae_encoder_size(&self, how: Loading, inputs: Inputs) -> Size {
        let mut longest = inputs.frames;
        if inputs.references > 0 {
            longest = longest.max(self.dit.timbre_fix_frame);
        }
        let frames = inputs.tile_frames.min(longest);
        self.vae_working(encoder_footprint(
            &self.vae,
            frames,
            how.dtype,
            how.convolutions(),
        ))
    }

    fn vae_working(&self, footprint: Footprint) -> Size {
        Size {
            footprint,
            reading: self.vae.largest_kernel_bytes() * KERNEL_COPIES,
        }
    }

    /// Of sequences of `lengths` tokens that are written side by side.
    pub(super) fn lm_size(
        &self,
        weighed: &Weighed,
        how: Loading,
        lengths: &[usize],
    ) -> Option<Size> {
        let config = &self.lm.as_ref()?.config;
        let footprint = CausalLm::footprint(config, lengths, how.backend, how.dtype);
        Some(weighed.lm?.with(footprint))
    }
}

/// A kernel of the autoencoder while weight norm is fused: as stored, as values, in order.
const KERNEL_COPIES: u64 = 3;
