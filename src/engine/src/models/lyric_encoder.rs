//! Lyric encoder: embeddings of lyric tokens to vectors the decoder attends to.
//!
//! Reference: `AceStepLyricEncoder`. `[1, l, text_hidden_dim]` to `[1, l, he]`.

use candle_core::{Module, Result, Tensor};

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

    /// Memory for `rows` lyric tokens, with `bytes` a value.
    pub fn footprint(cfg: &Config, rows: usize, bytes: u64) -> Footprint {
        Footprint {
            weights: Self::parameters(cfg) * bytes,
            ..EncoderStack::footprint(&cfg.encoder_layer(), 0, rows, bytes)
        }
    }
}
