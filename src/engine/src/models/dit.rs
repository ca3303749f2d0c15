//! The DiT: the decoder that turns noise into latents, one velocity a step.
//!
//! Reference: `AceStepTransformer1DModel`. Noisy latents `[b, t, c]`, context (source latents and
//! chunk mask) `[b, t, 2c]`, condition `[b, l, he]` and a time give the velocity
//! `noise - data`, `[b, t, c]`.
//!
//! Whatever does not change over the steps is prepared first and passed in:
//! [`Dit::prepare_context`] (the context's share of the input layer, positions),
//! [`Dit::prepare_condition`] (keys and values of every layer) and [`Dit::prepare_times`] (the
//! timestep embeddings of all steps in one small batch). The two halves of guided diffusion share
//! context and times and differ in the condition.
//!
//! Run items one by one, `b = 1`, at their true lengths: then a song has the same bytes in every
//! batch. A batch of items of equal lengths works as well.

mod block;
mod config;
mod patch;
mod timestep;

use std::{collections::BTreeMap, ops::Range};

use candle_core::{DType, Device, Module, Result, Tensor};

pub use config::{Config, LayerType};

use self::{
    block::{Block, Cross},
    patch::{PatchIn, PatchOut},
    timestep::{ROWS, TimestepEmbedding, sinusoid},
};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Mask, Mlp, RmsNorm, Rope, SidePaths, Weights},
};

/// The context of a generation, prepared.
#[derive(Debug, Clone)]
pub struct Context {
    /// The context's share of the input layer, `[b, s, h]`.
    patched: Tensor,
    rope: Rope,
    frames: usize,
}

/// A condition, prepared: what each layer's cross-attention reads.
#[derive(Debug, Clone)]
pub struct Condition {
    layers: Vec<Cross>,
}

/// Times of a schedule, embedded.
#[derive(Debug, Clone)]
pub struct Times {
    /// `[n, h]`
    temb: Tensor,
    /// `[n, 6, h]`
    proj: Tensor,
}

/// What of the cross-attention [`Dit::look`] gives back.
#[derive(Debug, Clone)]
pub struct Watch<'a> {
    /// Heads by their layers, see [`Config::lyric_heads`].
    pub heads: &'a BTreeMap<usize, Vec<usize>>,
    /// Tokens of the condition.
    pub columns: Range<usize>,
}

/// The network.
#[derive(Debug, Clone)]
pub struct Dit {
    proj_in: PatchIn,
    time_embed: TimestepEmbedding,
    time_embed_r: TimestepEmbedding,
    condition_embedder: Linear,
    layers: Vec<Block>,
    norm_out: RmsNorm,
    /// `[1, 2, h]`
    scale_shift_table: Tensor,
    proj_out: PatchOut,
    rope_theta: f64,
    head_dim: usize,
    dtype: DType,
    device: Device,
}

impl Dit {
    /// Takes `proj_in.1`, `time_embed`, `time_embed_r`, `condition_embedder`, `layers.*`,
    /// `norm_out`, `scale_shift_table`, `proj_out.1`; `w` stands at `decoder`.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let h = cfg.hidden_size;
        let layers = cfg
            .masks(cfg.num_hidden_layers)
            .into_iter()
            .enumerate()
            .map(|(i, mask)| Block::load(cfg, mask, backend, &w.pp("layers").pp(i)))
            .collect::<Result<_>>()?;
        Ok(Self {
            proj_in: PatchIn::load(cfg, &w.pp("proj_in.1"))?,
            time_embed: TimestepEmbedding::load(h, &w.pp("time_embed"))?,
            time_embed_r: TimestepEmbedding::load(h, &w.pp("time_embed_r"))?,
            condition_embedder: Linear::load(cfg.encoder_width(), h, &w.pp("condition_embedder"))?,
            layers,
            norm_out: RmsNorm::load(h, cfg.rms_norm_eps, &w.pp("norm_out"))?,
            scale_shift_table: w.get((1, 2, h), "scale_shift_table")?,
            proj_out: PatchOut::load(cfg, &w.pp("proj_out.1"))?,
            rope_theta: cfg.rope_theta,
            head_dim: cfg.head_dim,
            dtype: w.dtype(),
            device: w.device().clone(),
        })
    }

    /// The same network with what adapters add to its linear layers, by their paths below
    /// `decoder`, in place of what was added before. The weights are shared, not copied.
    #[must_use]
    pub fn with_side_paths(&self, paths: &SidePaths) -> Self {
        let mut dit = self.clone();
        dit.time_embed.attach(&paths.pp("time_embed"));
        dit.time_embed_r.attach(&paths.pp("time_embed_r"));
        dit.condition_embedder
            .attach(&paths.pp("condition_embedder"));
        for (i, layer) in dit.layers.iter_mut().enumerate() {
            layer.attach(&paths.pp("layers").pp(i));
        }
        dit
    }

    /// Precision of weights and activations.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Prepares source latents and chunk mask, joined to `[b, t, 2c]`, of any float precision.
    pub fn prepare_context(&self, context_latents: &Tensor) -> Result<Context> {
        let frames = context_latents.dim(1)?;
        let patched = self
            .proj_in
            .context(&context_latents.to_dtype(self.dtype)?)?; // [b, s, h]
        let rope = Rope::new(
            self.rope_theta,
            self.head_dim,
            patched.dim(1)?,
            self.dtype,
            &self.device,
        )?;
        Ok(Context {
            patched,
            rope,
            frames,
        })
    }

    /// Prepares a packed condition `[b, l, he]` of any float precision, at its true length. For
    /// the unguided branch pass the null embedding with `l = 1`: exact, and cheaper than repeated.
    pub fn prepare_condition(&self, encoder_hidden_states: &Tensor) -> Result<Condition> {
        let embedded = self
            .condition_embedder
            .forward(&encoder_hidden_states.to_dtype(self.dtype)?)?;
        let layers = self
            .layers
            .iter()
            .map(|layer| layer.prepare_cross(&embedded))
            .collect::<Result<_>>()?;
        Ok(Condition { layers })
    }

    /// Embeds the times of a schedule, 1 = noise, 0 = data. The second embedding takes `t - r`;
    /// inference always has `r = t`.
    pub fn prepare_times(&self, times: &[f64]) -> Result<Times> {
        let (temb_t, proj_t) =
            self.time_embed
                .forward(&sinusoid(times, self.dtype, &self.device)?)?;
        let (temb_r, proj_r) =
            self.time_embed_r
                .forward(&sinusoid(&[0.], self.dtype, &self.device)?)?;
        Ok(Times {
            temb: temb_t.broadcast_add(&temb_r)?,
            proj: proj_t.broadcast_add(&proj_r)?,
        })
    }

    /// Velocity at `hidden_states` `[b, t, c]` (any float precision) and the `step`-th prepared
    /// time: `[b, t, c]`, f32.
    pub fn forward(
        &self,
        hidden_states: &Tensor,
        step: usize,
        times: &Times,
        context: &Context,
        condition: &Condition,
    ) -> Result<Tensor> {
        let proj = times.proj.narrow(0, step, 1)?; // [1, 6, h]
        let mut hidden_states = self.patchify(hidden_states, context)?;
        for (layer, cross) in self.layers.iter().zip(&condition.layers) {
            hidden_states = layer.forward(&hidden_states, &proj, cross, &context.rope)?;
        }
        let temb = times.temb.narrow(0, step, 1)?.unsqueeze(1)?; // [1, 1, h]
        let rows = self.scale_shift_table.broadcast_add(&temb)?; // [1, 2, h]
        let hidden_states = self.norm_out.modulated(&hidden_states, &rows)?;
        self.proj_out
            .forward(&hidden_states, context.frames)?
            .to_dtype(DType::F32)
    }

    /// Where the cross-attention heads of `watch` look at `hidden_states` `[1, t, c]` and the first
    /// prepared time: shares of the whole condition, `[heads, s, columns]`, f32, on the host, the
    /// heads in the order of their layers. Runs no layer beyond the last that is watched.
    pub fn look(
        &self,
        hidden_states: &Tensor,
        times: &Times,
        context: &Context,
        condition: &Condition,
        watch: &Watch<'_>,
    ) -> Result<Tensor> {
        let Some((&last, _)) = watch.heads.last_key_value() else {
            candle_core::bail!("no head is watched")
        };
        let proj = times.proj.narrow(0, 0, 1)?; // [1, 6, h]
        let mut hidden_states = self.patchify(hidden_states, context)?;
        let mut seen = Vec::new();
        let layers = self.layers.iter().zip(&condition.layers).take(last + 1);
        for (i, (layer, cross)) in layers.enumerate() {
            hidden_states = layer.attend(&hidden_states, &proj, &context.rope)?;
            if let Some(heads) = watch.heads.get(&i) {
                seen.push(layer.shares(&hidden_states, cross, heads, &watch.columns)?);
            }
            if i < last {
                hidden_states = layer.finish(&hidden_states, &proj, cross)?;
            }
        }
        Tensor::cat(&seen, 0)
    }

    /// Noisy latents `[b, t, c]` to tokens `[b, s, h]`.
    fn patchify(&self, hidden_states: &Tensor, context: &Context) -> Result<Tensor> {
        let latents = self.proj_in.latents(&hidden_states.to_dtype(self.dtype)?)?;
        &context.patched + latents
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        let h = cfg.hidden_size;
        let attention = cfg.decoder_layer().attention().parameters();
        PatchIn::parameters(cfg)
            + 2 * TimestepEmbedding::parameters(h)
            + Linear::parameters(cfg.encoder_width(), h, true)
            + cfg.num_hidden_layers as u64 * Block::parameters(cfg, attention)
            + (h + 2 * h) as u64
            + PatchOut::parameters(cfg)
    }

    /// Multiplications and additions of one step of one item and branch over `frames` latent frames:
    /// linear layers and self-attention. Those of the few hundred words of a condition and of the
    /// step itself are left out.
    pub fn operations(cfg: &Config, frames: usize) -> f64 {
        let s = frames.div_ceil(cfg.patch_size);
        let (h, queries) = (cfg.hidden_size, cfg.num_attention_heads * cfg.head_dim);
        let self_attention = cfg.decoder_layer().attention().parameters();
        let cross_attention = (2 * h * queries) as u64;
        let layer = self_attention + cross_attention + Mlp::parameters(h, cfg.intermediate_size);
        let weights = cfg.num_hidden_layers as u64 * layer
            + PatchIn::parameters(cfg)
            + PatchOut::parameters(cfg);
        let seen: usize = cfg
            .masks(cfg.num_hidden_layers)
            .iter()
            .map(|mask| match mask {
                Mask::Window(window) => s.min(2 * window + 1),
                Mask::None | Mask::Causal => s,
            })
            .sum();
        2.0 * weights as f64 * s as f64 + 4.0 * (s * seen) as f64 * queries as f64
    }

    /// Values that are kept of a condition of `tokens`: keys and values of every layer.
    pub(crate) const fn condition_values(cfg: &Config, tokens: usize) -> usize {
        2 * cfg.num_hidden_layers * tokens * cfg.num_key_value_heads * cfg.head_dim
    }

    /// Memory of one item and branch.
    pub fn footprint(cfg: &Config, shapes: &Shapes, dtype: DType) -> Footprint {
        let s = shapes.frames.div_ceil(cfg.patch_size);
        let l = shapes.condition_tokens;
        let layer = cfg.decoder_layer();
        let keys = Self::condition_values(cfg, l);
        let times = shapes.steps * (ROWS + 1) * cfg.hidden_size;
        let context = s * (cfg.hidden_size + cfg.head_dim);
        let cross_scores = shapes
            .backend
            .score_bytes(cfg.num_attention_heads, s, l, dtype);
        let activations = layer
            .activation_bytes(1, s, shapes.backend, dtype)
            .max(layer.activation_values(s) * dtype.size_in_bytes() as u64 + cross_scores);
        Footprint::new(Self::parameters(cfg), dtype)
            .with_activations(activations)
            .with_cache((keys + times + context) as u64, dtype)
    }
}

/// Input sizes of a generation, for [`Dit::footprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// Latent frames.
    pub frames: usize,
    /// Tokens of the condition.
    pub condition_tokens: usize,
    /// Steps of the schedule.
    pub steps: usize,
    /// How attention is computed.
    pub backend: Backend,
}

#[cfg(test)]
mod tests;
