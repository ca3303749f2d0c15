//! Audio tokenizer: latents at 25 Hz to codes at 5 Hz.
//!
//! Reference: `AceStepAudioTokenizer` with its `AceStepAttentionPooler`. Five frames (the
//! config's `pool_window_size`) and a special token make one short sequence; the output at the
//! special token is quantised.

use candle_core::{DType, Module, Result, Tensor};

use super::{
    dit::Config,
    encoder_layer::EncoderStack,
    fsq::{Fsq, Quantized},
};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Weights},
};

/// The network.
#[derive(Debug, Clone)]
pub struct AudioTokenizer {
    audio_acoustic_proj: Linear,
    pooler: AttentionPooler,
    quantizer: Fsq,
    window: usize,
}

#[derive(Debug, Clone)]
struct AttentionPooler {
    embed_tokens: Linear,
    /// `[1, 1, he]`
    special_token: Tensor,
    layers: EncoderStack,
}

impl AttentionPooler {
    fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let he = cfg.encoder_width();
        let masks = cfg.masks(cfg.num_attention_pooler_hidden_layers);
        Ok(Self {
            embed_tokens: Linear::load(he, he, &w.pp("embed_tokens"))?,
            special_token: w.get((1, 1, he), "special_token")?,
            layers: EncoderStack::load(&cfg.encoder_layer(), &masks, backend, w)?,
        })
    }

    /// Groups `[groups, window, he]` to one vector each, `[groups, he]`.
    fn forward(&self, hidden_states: &Tensor) -> Result<Tensor> {
        let hidden_states = self.embed_tokens.forward(hidden_states)?;
        let (groups, _, he) = hidden_states.dims3()?;
        let token = self.special_token.expand((groups, 1, he))?;
        let hidden_states = Tensor::cat(&[&token, &hidden_states], 1)?; // [groups, 1 + window, he]
        self.layers
            .forward(&hidden_states)?
            .narrow(1, 0, 1)?
            .squeeze(1)
    }
}

impl AudioTokenizer {
    /// Takes `audio_acoustic_proj`, `attention_pooler.*`, `quantizer.*`; `w` stands at
    /// `tokenizer`.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let he = cfg.encoder_width();
        let proj = w.pp("audio_acoustic_proj");
        Ok(Self {
            audio_acoustic_proj: Linear::load(cfg.audio_acoustic_hidden_dim, he, &proj)?,
            pooler: AttentionPooler::load(cfg, backend, &w.pp("attention_pooler"))?,
            quantizer: Fsq::load(cfg, &w.pp("quantizer"))?,
            window: cfg.pool_window_size,
        })
    }

    /// Latents `[b, t, c]` to codes and quantised vectors, `q = ceil(t / window)`. The last group
    /// is filled from the start of `silence_latent` `[1, ≥ window - 1, c]`.
    pub fn tokenize(&self, latents: &Tensor, silence_latent: &Tensor) -> Result<Quantized> {
        let (b, t, c) = latents.dims3()?;
        let missing = t.next_multiple_of(self.window) - t;
        let latents = if missing == 0 {
            latents.clone()
        } else {
            let fill = silence_latent
                .narrow(1, 0, missing)?
                .to_dtype(latents.dtype())?;
            Tensor::cat(&[latents, &fill.expand((b, missing, c))?.contiguous()?], 1)?
        };
        let q = (t + missing) / self.window;
        let groups = latents.contiguous()?.reshape((b * q, self.window, c))?;
        let pooled = self
            .pooler
            .forward(&self.audio_acoustic_proj.forward(&groups)?)?; // [b * q, he]
        self.quantizer.quantize(&pooled.reshape((b, q, ()))?)
    }

    /// The quantizer: codes to vectors.
    pub fn quantizer(&self) -> &Fsq {
        &self.quantizer
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        let he = cfg.encoder_width();
        Linear::parameters(cfg.audio_acoustic_hidden_dim, he, true)
            + Linear::parameters(he, he, true)
            + he as u64
            + EncoderStack::parameters(&cfg.encoder_layer(), cfg.num_attention_pooler_hidden_layers)
            + Fsq::parameters(cfg)
    }

    /// Memory for `frames` latent frames in all.
    pub fn footprint(cfg: &Config, frames: usize, backend: Backend, dtype: DType) -> Footprint {
        let layer = cfg.encoder_layer();
        let groups = frames.div_ceil(cfg.pool_window_size);
        let activations = layer.activation_bytes(groups, cfg.pool_window_size + 1, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}
