//! Qwen3, as the text encoder: token ids to the hidden states after the final norm.
//!
//! Reference: `transformers` `Qwen3Model`. Captions go through the whole network; lyrics take
//! rows of the embedding table only.

use candle_core::{DType, Result, Tensor};
use serde::Deserialize;

use super::encoder_layer::{EncoderStack, LayerConfig, validate_layers};
use crate::{
    footprint::Footprint,
    nn::{Backend, Mask, Weights},
};

/// Keys of `config.json` that the network uses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head; not `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Epsilon of every norm.
    pub rms_norm_eps: f64,
}

impl Config {
    fn layer(&self) -> LayerConfig {
        LayerConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            rope_theta: self.rope_theta,
            rms_norm_eps: self.rms_norm_eps,
        }
    }

    /// What makes the config impossible, in words.
    ///
    /// # Errors
    /// The sentence.
    pub fn validate(&self) -> std::result::Result<(), String> {
        self.layer().validate()?;
        validate_layers("num_hidden_layers", self.num_hidden_layers)
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct Qwen3 {
    /// `[v, h]`
    embed_tokens: Tensor,
    layers: EncoderStack,
}

impl Qwen3 {
    /// Takes `embed_tokens`, `layers.*` and `norm`, below `model.` where the checkpoint has that
    /// prefix. The embeddings are tied: there is no head to load.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let w = if w.pp("model.embed_tokens").contains("weight") {
            w.pp("model")
        } else {
            w.clone()
        };
        let masks = vec![Mask::Causal; cfg.num_hidden_layers];
        Ok(Self {
            embed_tokens: w
                .pp("embed_tokens")
                .get((cfg.vocab_size, cfg.hidden_size), "weight")?,
            layers: EncoderStack::load(&cfg.layer(), &masks, backend, &w)?,
        })
    }

    /// Rows of the embedding table for `ids` `[b, l]` (u32): `[b, l, h]`.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (b, l) = ids.dims2()?;
        let rows = self.embed_tokens.index_select(&ids.flatten_all()?, 0)?; // [b * l, h]
        rows.reshape((b, l, ()))
    }

    /// Hidden states after the final norm for `ids` `[b, l]` (u32): `[b, l, h]`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.layers.forward(&self.embed(ids)?)
    }

    /// Parameters, embeddings included.
    pub fn parameters(cfg: &Config) -> u64 {
        (cfg.vocab_size * cfg.hidden_size) as u64
            + EncoderStack::parameters(&cfg.layer(), cfg.num_hidden_layers)
    }

    /// Memory for one sequence of `l` tokens.
    pub fn footprint(cfg: &Config, l: usize, backend: Backend, dtype: DType) -> Footprint {
        let activations = cfg.layer().activation_bytes(1, l, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Qwen3};

    #[test]
    fn parameters_of_the_released_encoder_follow_from_its_config() {
        let cfg = Config {
            vocab_size: 151_669,
            hidden_size: 1024,
            intermediate_size: 3072,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            rope_theta: 1e6,
            rms_norm_eps: 1e-6,
        };
        assert_eq!(Qwen3::parameters(&cfg), 595_776_512);
    }
}
