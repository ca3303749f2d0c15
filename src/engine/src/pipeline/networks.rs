//! The networks of one checkpoint, loaded, with what is constant about them.

use std::path::Path;

use acestep_domain::{event::Stage, lora::LoraUse, note::Note, task::Family};
use candle_core::Tensor;

use super::{audio_codes::AudioCodes, loras::Loras};
use crate::{
    checkpoint::{Checkpoint, Module},
    device::Placement,
    error::{Error, Result},
    models::{
        condition_encoder::ConditionEncoder,
        dit::{self, Dit},
        oobleck::{self, Oobleck},
        qwen3::Qwen3,
    },
    nn::Backend,
    observer::Observer,
    text::tokenizer::TextTokenizer,
};

/// Everything a run needs, on one device.
pub(crate) struct Networks {
    pub(crate) placement: Placement,
    pub(crate) family: Family,
    pub(crate) config: dit::Config,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) text_encoder: Qwen3,
    pub(crate) condition_encoder: ConditionEncoder,
    pub(crate) dit: Dit,
    pub(crate) vae: Oobleck,
    /// `[1, t, c]`, f32, on the host.
    pub(crate) silence: Tensor,
    /// The timbre of no reference, `[1, 1, he]`: a constant of the checkpoint, made when first
    /// needed.
    timbre: Option<Tensor>,
    /// Where they came from, for what is read later.
    checkpoint: Checkpoint,
    backend: Backend,
    /// Read when first asked for.
    audio_codes: Option<AudioCodes>,
    /// The checkpoint has networks for audio codes.
    pub(crate) has_audio_codes: bool,
    /// Adapters beside the DiT.
    pub(crate) loras: Loras,
}

/// What was found out while loading.
pub(crate) struct Loaded {
    pub(crate) networks: Networks,
    pub(crate) weights_bytes: u64,
    pub(crate) parameters: u64,
    pub(crate) notes: Vec<Note>,
}

/// Prefixes of the DiT file that are read when audio codes are first asked for.
const LATER: [&str; 2] = ["tokenizer.", "detokenizer."];

/// Who may take a tensor of these checkpoints.
const ANY: &str = "any network";

/// Modules, for progress.
const MODULES: usize = 5;

impl Networks {
    /// Reads the weights of `checkpoint` module by module.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        placement: Placement,
        backend: Backend,
        observer: &dyn Observer,
    ) -> Result<Loaded> {
        let mut done = 0;
        let mut step = || {
            done += 1;
            observer.progress(Stage::Load, 0, done, MODULES);
            observer.check()
        };
        observer.check()?;
        let config = checkpoint.dit.clone();
        let tokenizer =
            TextTokenizer::from_bytes(&checkpoint.tokenizer()?, &checkpoint.tokenizer_path())?;
        let silence = checkpoint.silence_latent(&candle_core::Device::Cpu)?;

        let vae_config: oobleck::Config = checkpoint.config(Module::Vae)?;
        if vae_config.decoder_input_channels != config.audio_acoustic_hidden_dim {
            return Err(Error::checkpoint(
                checkpoint.path(Module::Vae).join("config.json"),
                format!(
                    "decoder_input_channels is {}, but the DiT {} makes latents of {} channels",
                    vae_config.decoder_input_channels,
                    checkpoint.name(),
                    config.audio_acoustic_hidden_dim
                ),
            ));
        }
        step()?;

        let mut notes = Vec::new();
        let text_part = checkpoint.part(Module::TextEncoder, &placement)?;
        let text_encoder = text_part.load(|w| Qwen3::load(&checkpoint.text_encoder, backend, w))?;
        notes.extend(text_part.unused_note(ANY, |_| false));
        step()?;

        let dit_part = checkpoint.part(Module::Dit, &placement)?;
        let condition_encoder = dit_part.load(|w| ConditionEncoder::load(&config, backend, w))?;
        step()?;
        let dit = dit_part.load(|w| Dit::load(&config, backend, &w.pp("decoder")))?;
        let has_audio_codes = AudioCodes::are_in(&config, &dit_part)?;
        notes.extend(dit_part.unused_note(ANY, |name| {
            LATER.iter().any(|prefix| name.starts_with(prefix))
        }));
        step()?;

        let vae_part = checkpoint.part(Module::Vae, &placement)?;
        let vae = vae_part.load(|w| Oobleck::load(&vae_config, w))?;
        notes.extend(vae_part.unused_note(ANY, |_| false));
        step()?;

        let parameters = Qwen3::parameters(&checkpoint.text_encoder)
            + ConditionEncoder::parameters(&config)
            + Dit::parameters(&config)
            + oobleck_parameters(&vae_config);
        Ok(Loaded {
            weights_bytes: text_part.bytes() + dit_part.bytes() + vae_part.bytes(),
            parameters,
            notes,
            networks: Self {
                family: checkpoint.family(),
                config,
                tokenizer,
                text_encoder,
                condition_encoder,
                dit,
                vae,
                silence,
                timbre: None,
                has_audio_codes,
                placement,
                checkpoint: checkpoint.clone(),
                backend,
                audio_codes: None,
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
        let layers = || self.checkpoint.layers();
        let notes = self
            .loras
            .bring(uses, dir, layers, &self.placement, observer)?;
        self.dit = self.dit.with_side_paths(&self.loras.side_paths());
        Ok(notes)
    }

    /// The networks of audio codes.
    ///
    /// # Errors
    /// The checkpoint has none, or its file is damaged.
    pub(crate) fn audio_codes(&mut self) -> Result<&AudioCodes> {
        if let Some(ref found) = self.audio_codes {
            return Ok(found);
        }
        if !self.has_audio_codes {
            return Err(Error::Unsupported {
                what: "working with audio codes".to_owned(),
                because: format!("{} was not trained on them", self.checkpoint.name()),
            });
        }
        let loaded = AudioCodes::load(
            &self.checkpoint,
            &self.config,
            &self.placement,
            self.backend,
        )?;
        Ok(self.audio_codes.insert(loaded))
    }

    /// The timbre of no reference: the first frames of silence through the timbre encoder.
    pub(crate) fn silent_timbre(&mut self) -> Result<Tensor> {
        if let Some(timbre) = &self.timbre {
            return Ok(timbre.clone());
        }
        let timbre = self
            .silence
            .narrow(1, 0, self.config.timbre_fix_frame)
            .and_then(|silence| silence.to_device(&self.placement.device))
            .and_then(|silence| self.condition_encoder.timbre(&silence))
            .map_err(Error::in_stage(Stage::Prepare))?;
        self.timbre = Some(timbre.clone());
        Ok(timbre)
    }
}

/// Values of both halves of the autoencoder, counted in bytes of one.
fn oobleck_parameters(config: &oobleck::Config) -> u64 {
    let dtype = candle_core::DType::U8;
    oobleck::decoder_footprint(config, 1, dtype, true).weights
        + oobleck::encoder_footprint(config, 1, dtype, true).weights
}
