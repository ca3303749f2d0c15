//! Lyric encoder: embeddings of lyric tokens to vectors the decoder attends to.
//!
//! Reference: `AceStepLyricEncoder`. `[1, l, text_hidden_dim]` to `[1, l, he]`.

use candle_core::{DType, Module, Result, Tensor};

use super::{dit::Config, encoder_layer::EncoderStack};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Weights},
};

/// The network.
#[derive(Debug, Clone)]
pub struct LyricEncoder {
    embed_tokens: Linear,
    layers: EncoderStack,
}

impl LyricEncoder {
    /// Takes `embed_tokens`, `layers.*`, `norm`.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let masks = cfg.masks(cfg.num_lyric_encoder_hidden_layers);
        Ok(Self {
            embed_tokens: Linear::load(
                cfg.text_hidden_dim,
                cfg.encoder_width(),
                &w.pp("embed_tokens"),
            )?,
            layers: EncoderStack::load(&cfg.encoder_layer(), &masks, backend, w)?,
        })
    }

    /// `inputs_embeds` `[b, l, text_hidden_dim]` (sequences of one length) to `[b, l, he]`.
    pub fn forward(&self, inputs_embeds: &Tensor) -> Result<Tensor> {
        self.layers
            .forward(&self.embed_tokens.forward(inputs_embeds)?)
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        Linear::parameters(cfg.text_hidden_dim, cfg.encoder_width(), true)
            + EncoderStack::parameters(&cfg.encoder_layer(), cfg.num_lyric_encoder_hidden_layers)
    }

    /// Memory for one item of `l` lyric tokens.
    pub fn footprint(cfg: &Config, l: usize, backend: Backend, dtype: DType) -> Footprint {
        let activations = cfg.encoder_layer().activation_bytes(1, l, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}
