//! The pre-norm transformer layer that all encoders share, and a stack of it.
//!
//! `AceStepEncoderLayer` of the reference and Qwen3's decoder layer are one network with
//! different masks: `x += attn(norm(x))`, `x += mlp(norm(x))`.

use candle_core::{DType, Device, Module, Result, Tensor};

use crate::nn::{Backend, KvCache, Mask, Mlp, RmsNorm, Rope, Span, Weights, attention};

/// Far above any model, and low enough that no product of two overflows.
const LARGEST: usize = 1 << 20;

/// Far above the layers of any model; a count beyond it is damage.
const MOST_LAYERS: usize = 1024;

/// Refuses a number of layers that no model has.
///
/// # Errors
/// A sentence that names the key.
pub fn validate_layers(key: &str, layers: usize) -> std::result::Result<(), String> {
    if layers > MOST_LAYERS {
        return Err(format!("{key} is {layers}"));
    }
    Ok(())
}

/// Refuses an activation of the gates that no layer computes.
///
/// # Errors
/// A sentence that names the key.
pub fn validate_activation(hidden_act: Option<&str>) -> std::result::Result<(), String> {
    match hidden_act {
        None | Some("silu") => Ok(()),
        Some(other) => Err(format!("hidden_act is {other}; only silu is supported")),
    }
}

/// Sizes of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Epsilon of every norm.
    pub rms_norm_eps: f64,
}

impl LayerConfig {
    /// Sizes of the attention inside.
    pub const fn attention(&self) -> attention::Sizes {
        attention::Sizes {
            h: self.hidden_size,
            nq: self.num_attention_heads,
            nk: self.num_key_value_heads,
            d: self.head_dim,
            eps: self.rms_norm_eps,
        }
    }

    /// What makes the sizes impossible, in words.
    ///
    /// # Errors
    /// A sentence that names the keys.
    pub fn validate(&self) -> std::result::Result<(), String> {
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
        ];
        if let Some((key, value)) = sizes
            .iter()
            .find(|(_, value)| *value == 0 || *value > LARGEST)
        {
            return Err(format!("{key} is {value}"));
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            return Err(format!(
                "num_attention_heads ({}) is not a multiple of num_key_value_heads ({})",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!(
                "head_dim ({}) is odd, so heads cannot be turned in halves",
                self.head_dim
            ));
        }
        Ok(())
    }

    /// Parameters of one layer.
    pub const fn parameters(&self) -> u64 {
        self.attention().parameters()
            + Mlp::parameters(self.hidden_size, self.intermediate_size)
            + 2 * self.hidden_size as u64
    }

    /// Values in flight at the widest point of a layer over `rows` positions in all: residual
    /// and normed copies, queries, keys, values and attention output, the MLP's two halves and
    /// their product. Scores of the attention are not in it.
    pub const fn activation_values(&self, rows: usize) -> u64 {
        let residual = 4 * self.hidden_size;
        let attention =
            self.head_dim * (2 * self.num_attention_heads + 2 * self.num_key_value_heads);
        let mlp = 3 * self.intermediate_size;
        (rows * (residual + attention + mlp)) as u64
    }

    /// Bytes in flight over `sequences` sequences of `l` positions, the scores of one included.
    pub fn activation_bytes(
        &self,
        sequences: usize,
        l: usize,
        backend: Backend,
        dtype: DType,
    ) -> u64 {
        self.activation_values(sequences * l) * dtype.size_in_bytes() as u64
            + backend.score_bytes(self.num_attention_heads, l, l, dtype)
    }
}

/// One layer.
#[derive(Debug, Clone)]
pub struct EncoderLayer {
    self_attn: attention::Attention,
    mlp: Mlp,
    input_layernorm: RmsNorm,
    post_attention_layernorm: RmsNorm,
}

impl EncoderLayer {
    /// Takes the eleven tensors of a layer.
    pub fn load(cfg: &LayerConfig, backend: Backend, w: &Weights) -> Result<Self> {
        let h = cfg.hidden_size;
        let eps = cfg.rms_norm_eps;
        Ok(Self {
            self_attn: attention::Attention::load(cfg.attention(), backend, &w.pp("self_attn"))?,
            mlp: Mlp::load(h, cfg.intermediate_size, &w.pp("mlp"))?,
            input_layernorm: RmsNorm::load(h, eps, &w.pp("input_layernorm"))?,
            post_attention_layernorm: RmsNorm::load(h, eps, &w.pp("post_attention_layernorm"))?,
        })
    }

    /// `[b, l, h]` to the same shape.
    pub fn forward(&self, hidden_states: &Tensor, rope: &Rope, mask: Mask) -> Result<Tensor> {
        self.around(hidden_states, |normed| {
            self.self_attn.forward(normed, rope, mask)
        })
    }

    /// The next tokens of several sequences, `[1, l, h]` to the same shape; see
    /// [`attention::Attention::extend`].
    pub fn extend(
        &self,
        hidden_states: &Tensor,
        rope: &Rope,
        layer: usize,
        spans: &mut [Span<'_>],
    ) -> Result<Tensor> {
        self.around(hidden_states, |normed| {
            self.self_attn.extend(normed, rope, layer, spans)
        })
    }

    fn around(
        &self,
        hidden_states: &Tensor,
        self_attn: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let normed = self.input_layernorm.forward(hidden_states)?;
        let hidden_states = (hidden_states + self_attn(&normed)?)?;
        let normed = self.post_attention_layernorm.forward(&hidden_states)?;
        &hidden_states + self.mlp.forward(&normed)?
    }
}

/// Layers with a final norm. Positions start at 0 in every sequence.
#[derive(Debug, Clone)]
pub struct EncoderStack {
    layers: Vec<(EncoderLayer, Mask)>,
    norm: RmsNorm,
    cfg: LayerConfig,
}

impl EncoderStack {
    /// Takes `layers.{i}.*`, one a mask, and `norm.weight`.
    pub fn load(cfg: &LayerConfig, masks: &[Mask], backend: Backend, w: &Weights) -> Result<Self> {
        let layers = masks
            .iter()
            .enumerate()
            .map(|(i, mask)| {
                Ok((
                    EncoderLayer::load(cfg, backend, &w.pp("layers").pp(i))?,
                    *mask,
                ))
            })
            .collect::<Result<_>>()?;
        let norm = RmsNorm::load(cfg.hidden_size, cfg.rms_norm_eps, &w.pp("norm"))?;
        Ok(Self {
            layers,
            norm,
            cfg: *cfg,
        })
    }

    /// `[b, l, h]` to the same shape, after the final norm.
    pub fn forward(&self, hidden_states: &Tensor) -> Result<Tensor> {
        let (_, l, _) = hidden_states.dims3()?;
        let LayerConfig {
            rope_theta,
            head_dim,
            ..
        } = self.cfg;
        let rope = Rope::new(
            rope_theta,
            head_dim,
            l,
            hidden_states.dtype(),
            hidden_states.device(),
        )?;
        let mut hidden_states = hidden_states.clone();
        for (layer, mask) in &self.layers {
            hidden_states = layer.forward(&hidden_states, &rope, *mask)?;
        }
        self.norm.forward(&hidden_states)
    }

    /// The next tokens of several sequences, one after another in `hidden_states` `[1, l, h]`, to
    /// the same shape, after the final norm. Every layer is causal. The caches have grown by the
    /// tokens afterwards, unless it failed.
    pub fn extend(&self, hidden_states: &Tensor, spans: &mut [Span<'_>]) -> Result<Tensor> {
        let LayerConfig {
            rope_theta,
            head_dim,
            ..
        } = self.cfg;
        let positions: Vec<usize> = spans
            .iter()
            .flat_map(|span| span.cache.len()..span.cache.len() + span.len)
            .collect();
        let rope = Rope::at(
            rope_theta,
            head_dim,
            &positions,
            hidden_states.dtype(),
            hidden_states.device(),
        )?;
        let mut hidden_states = hidden_states.clone();
        for (i, (layer, _)) in self.layers.iter().enumerate() {
            hidden_states = layer.extend(&hidden_states, &rope, i, spans)?;
        }
        for span in spans {
            span.cache.advance(span.len);
        }
        self.norm.forward(&hidden_states)
    }

    /// An empty cache for [`Self::extend`], with room for `tokens`.
    pub fn cache(&self, tokens: usize, dtype: DType, device: &Device) -> Result<KvCache> {
        let heads = (self.cfg.num_key_value_heads, self.cfg.head_dim);
        KvCache::new(self.layers.len(), heads, tokens, dtype, device)
    }

    /// Parameters of `layers` layers and the norm.
    pub const fn parameters(cfg: &LayerConfig, layers: usize) -> u64 {
        layers as u64 * cfg.parameters() + cfg.hidden_size as u64
    }
}
