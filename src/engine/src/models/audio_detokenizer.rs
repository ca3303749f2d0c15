//! Audio detokenizer: codes at 5 Hz to latents at 25 Hz, the hints of a song plan or a cover.
//!
//! Reference: `AceStepAudioTokenDetokenizer`. Each quantised vector is repeated for the frames of
//! its window, marked by position, and run as a short sequence of its own.

use candle_core::{DType, Module, Result, Tensor};

use super::{dit::Config, encoder_layer::EncoderStack};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Weights},
};

/// The network.
#[derive(Debug, Clone)]
pub struct AudioDetokenizer {
    embed_tokens: Linear,
    /// `[1, window, he]`
    special_tokens: Tensor,
    layers: EncoderStack,
    proj_out: Linear,
}

impl AudioDetokenizer {
    /// Takes `embed_tokens`, `special_tokens`, `layers.*`, `norm`, `proj_out`; `w` stands at
    /// `detokenizer`.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let he = cfg.encoder_width();
        let masks = cfg.masks(cfg.num_attention_pooler_hidden_layers);
        Ok(Self {
            embed_tokens: Linear::load(he, he, &w.pp("embed_tokens"))?,
            special_tokens: w.get((1, cfg.pool_window_size, he), "special_tokens")?,
            layers: EncoderStack::load(&cfg.encoder_layer(), &masks, backend, w)?,
            proj_out: Linear::load(he, cfg.audio_acoustic_hidden_dim, &w.pp("proj_out"))?,
        })
    }

    /// Quantised vectors `[b, q, fsq_dim]` of any float precision to latents
    /// `[b, q * window, c]`.
    pub fn forward(&self, quantized: &Tensor) -> Result<Tensor> {
        let quantized = quantized.to_dtype(self.special_tokens.dtype())?;
        let (b, q, _) = quantized.dims3()?;
        let (_, window, he) = self.special_tokens.dims3()?;
        let tokens = self
            .embed_tokens
            .forward(&quantized)?
            .reshape((b * q, 1, he))?;
        let hidden_states = tokens.broadcast_add(&self.special_tokens)?; // [b * q, window, he]
        let hidden_states = self.layers.forward(&hidden_states)?;
        self.proj_out
            .forward(&hidden_states)?
            .reshape((b, q * window, ())) // [b, q * window, c]
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        let he = cfg.encoder_width();
        Linear::parameters(he, he, true)
            + (cfg.pool_window_size * he) as u64
            + EncoderStack::parameters(&cfg.encoder_layer(), cfg.num_attention_pooler_hidden_layers)
            + Linear::parameters(he, cfg.audio_acoustic_hidden_dim, true)
    }

    /// Memory for `frames` latent frames in all.
    pub fn footprint(cfg: &Config, frames: usize, backend: Backend, dtype: DType) -> Footprint {
        let layer = cfg.encoder_layer();
        let groups = frames.div_ceil(cfg.pool_window_size);
        let activations = layer.activation_bytes(groups, cfg.pool_window_size, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}
