//! Timbre encoder: latents of a reference recording to one vector.
//!
//! Reference: `AceStepTimbreEncoder`. `[n, t, c]` to `[n, he]`: the output at the first position,
//! which is a special token in the XL checkpoints and the first frame in 2B (the official models
//! do this; diffusers never puts the special token there).

use candle_core::{DType, Module, Result, Tensor};

use super::{dit::Config, encoder_layer::EncoderStack};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Weights},
};

/// The network.
#[derive(Debug, Clone)]
pub struct TimbreEncoder {
    embed_tokens: Linear,
    /// `[1, 1, he]`, when it takes part.
    special_token: Option<Tensor>,
    layers: EncoderStack,
}

impl TimbreEncoder {
    /// Takes `embed_tokens`, `special_token`, `layers.*`, `norm`.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let he = cfg.encoder_width();
        let masks = cfg.masks(cfg.num_timbre_encoder_hidden_layers);
        // Taken in any case: every checkpoint has it.
        let special_token = w.get((1, 1, he), "special_token")?;
        Ok(Self {
            embed_tokens: Linear::load(cfg.timbre_hidden_dim, he, &w.pp("embed_tokens"))?,
            special_token: cfg.timbre_has_special_token().then_some(special_token),
            layers: EncoderStack::load(&cfg.encoder_layer(), &masks, backend, w)?,
        })
    }

    /// References `[n, t, c]` of one length to one vector each, `[n, he]`.
    pub fn forward(&self, refer_audio: &Tensor) -> Result<Tensor> {
        let n = refer_audio.dim(0)?;
        let mut hidden_states = self.embed_tokens.forward(refer_audio)?; // [n, t, he]
        if let Some(token) = &self.special_token {
            let he = token.dim(2)?;
            hidden_states = Tensor::cat(&[&token.expand((n, 1, he))?, &hidden_states], 1)?; // [n, 1 + t, he]
        }
        self.layers
            .forward(&hidden_states)?
            .narrow(1, 0, 1)?
            .squeeze(1)
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        let he = cfg.encoder_width();
        Linear::parameters(cfg.timbre_hidden_dim, he, true)
            + he as u64
            + EncoderStack::parameters(&cfg.encoder_layer(), cfg.num_timbre_encoder_hidden_layers)
    }

    /// Memory for `references` references.
    pub fn footprint(cfg: &Config, references: usize, backend: Backend, dtype: DType) -> Footprint {
        let l = cfg.timbre_fix_frame + 1;
        let activations = cfg
            .encoder_layer()
            .activation_bytes(references, l, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}
