//! Audio codes of one checkpoint: latents to codes and codes to latents. Text alone needs neither,
//! so both networks are read when first asked for.

use acestep_domain::event::Stage;
use candle_core::{Device, Tensor};

use super::finite;
use crate::{
    checkpoint::Part,
    device::Placement,
    error::{Error, Result},
    memory::room::for_network,
    models::{audio_detokenizer::AudioDetokenizer, audio_tokenizer::AudioTokenizer, dit},
    nn::Backend,
};

/// Both networks.
pub(crate) struct AudioCodes {
    tokenizer: AudioTokenizer,
    detokenizer: AudioDetokenizer,
    placement: Placement,
    config: dit::Config,
    backend: Backend,
}

impl AudioCodes {
    /// Whether a checkpoint holds the networks, and they were trained.
    ///
    /// # Errors
    /// Its file is damaged.
    pub(crate) fn are_in(config: &dit::Config, part: &Part) -> Result<bool> {
        let there = part.load(|w| {
            Ok(w.pp("detokenizer").contains("special_tokens")
                && w.pp("tokenizer.quantizer.project_in").contains("weight"))
        })?;
        Ok(config.audio_codes_trained && there)
    }

    /// Reads them from a file that has them, see [`Self::are_in`].
    ///
    /// # Errors
    /// The file is damaged, or there is too little memory.
    pub(crate) fn load(
        part: &Part,
        config: &dit::Config,
        placement: &Placement,
        backend: Backend,
    ) -> Result<Self> {
        Ok(Self {
            tokenizer: part.load(|w| AudioTokenizer::load(config, backend, &w.pp("tokenizer")))?,
            detokenizer: part
                .load(|w| AudioDetokenizer::load(config, backend, &w.pp("detokenizer")))?,
            placement: placement.clone(),
            config: config.clone(),
            backend,
        })
    }

    /// Codes to latents, `[1, q * window, c]`, f32, on the host.
    ///
    /// # Errors
    /// Too little memory, or values that are not finite.
    pub(crate) fn hints(&self, codes: &[u32]) -> Result<Tensor> {
        let frames = codes.len() * self.config.pool_window_size;
        let Placement { device, dtype } = &self.placement;
        let footprint = AudioDetokenizer::footprint(&self.config, frames, self.backend, *dtype);
        for_network(Stage::Prepare, footprint, device)?;
        let hints = self
            .tokenizer
            .quantizer()
            .vectors(codes)
            .and_then(|vectors| self.detokenizer.forward(&vectors))
            .and_then(|hints| on_host(&hints))
            .map_err(Error::in_stage(Stage::Prepare))?;
        finite::tensor(&hints, Stage::Prepare, "audio detokenizer")?;
        Ok(hints)
    }

    /// What the codes of `latents` stand for, `[1, t, c]`: the way there and back, cut to its frames
    /// (engine.md 8.2, cover).
    ///
    /// # Errors
    /// See [`Self::codes`] and [`Self::hints`].
    pub(crate) fn there_and_back(&self, latents: &Tensor, silence: &Tensor) -> Result<Tensor> {
        let hints = self.hints(&self.codes(latents, silence)?)?;
        latents
            .dim(1)
            .and_then(|frames| hints.narrow(1, 0, frames))
            .map_err(Error::in_stage(Stage::Prepare))
    }

    /// Latents `[1, t, c]` to codes, `ceil(t / window)` of them. The last ones are filled up from
    /// `silence` `[1, t, c]`.
    ///
    /// # Errors
    /// Too little memory, or values that are not finite.
    pub(crate) fn codes(&self, latents: &Tensor, silence: &Tensor) -> Result<Vec<u32>> {
        let Placement { device, dtype } = &self.placement;
        let frames = latents.dim(1).map_err(Error::in_stage(Stage::Encode))?;
        let footprint = AudioTokenizer::footprint(&self.config, frames, self.backend, *dtype);
        for_network(Stage::Encode, footprint, device)?;
        let placed = |values: &Tensor| values.to_device(device)?.to_dtype(*dtype);
        let quantized = placed(latents)
            .and_then(|latents| self.tokenizer.tokenize(&latents, &placed(silence)?))
            .map_err(Error::in_stage(Stage::Encode))?;
        finite::tensor(&quantized.vectors, Stage::Prepare, "audio tokenizer")?;
        quantized
            .codes
            .flatten_all()
            .and_then(|codes| codes.to_vec1())
            .map_err(Error::in_stage(Stage::Encode))
    }
}

fn on_host(values: &Tensor) -> candle_core::Result<Tensor> {
    values
        .to_dtype(candle_core::DType::F32)?
        .to_device(&Device::Cpu)
}
