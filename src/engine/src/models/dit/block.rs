//! One decoder layer: self-attention and MLP modulated by the timestep, cross-attention between
//! them without modulation.
//!
//! Reference: `AceStepTransformerBlock`.

use std::ops::Range;

use candle_core::{Module, Result, Tensor};

use super::{Config, timestep::ROWS};
use crate::kernels::gated::add_gated;
use crate::nn::{Attention, Backend, KeyValues, Mask, Mlp, RmsNorm, Rope, SidePaths, Weights};

/// What a layer attends to in cross-attention, prepared once a generation.
#[derive(Debug, Clone)]
pub(super) enum Cross {
    /// Keys and values of a sequence.
    Sequence(KeyValues),
    /// The output itself, `[b, 1, h]`, when the sequence has one key and every query therefore
    /// gets the same.
    Constant(Tensor),
}

/// The layer.
#[derive(Debug, Clone)]
pub(super) struct Block {
    self_attn_norm: RmsNorm,
    self_attn: Attention,
    cross_attn_norm: RmsNorm,
    cross_attn: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
    /// `[1, 6, h]`
    scale_shift_table: Tensor,
    mask: Mask,
}

impl Block {
    /// Takes the nineteen tensors of a layer.
    pub(super) fn load(cfg: &Config, mask: Mask, backend: Backend, w: &Weights) -> Result<Self> {
        let (h, eps) = (cfg.hidden_size, cfg.rms_norm_eps);
        let sizes = cfg.decoder_layer().attention();
        Ok(Self {
            self_attn_norm: RmsNorm::load(h, eps, &w.pp("self_attn_norm"))?,
            self_attn: Attention::load(sizes, backend, &w.pp("self_attn"))?,
            cross_attn_norm: RmsNorm::load(h, eps, &w.pp("cross_attn_norm"))?,
            cross_attn: Attention::load(sizes, backend, &w.pp("cross_attn"))?,
            mlp_norm: RmsNorm::load(h, eps, &w.pp("mlp_norm"))?,
            mlp: Mlp::load(h, cfg.intermediate_size, &w.pp("mlp"))?,
            scale_shift_table: w.get((1, ROWS, h), "scale_shift_table")?,
            mask,
        })
    }

    /// Takes the side paths of the layer in place of those it had.
    pub(super) fn attach(&mut self, paths: &SidePaths) {
        self.self_attn.attach(&paths.pp("self_attn"));
        self.cross_attn.attach(&paths.pp("cross_attn"));
        self.mlp.attach(&paths.pp("mlp"));
    }

    /// Keys and values of the embedded condition `[b, l, h]`.
    pub(super) fn prepare_cross(&self, encoder_hidden_states: &Tensor) -> Result<Cross> {
        let kv = self.cross_attn.key_values(encoder_hidden_states)?;
        Ok(if kv.len() == 1 {
            Cross::Constant(self.cross_attn.cross_constant(&kv)?)
        } else {
            Cross::Sequence(kv)
        })
    }

    /// `hidden_states` `[b, s, h]` to the same shape; `timestep_proj` `[1, 6, h]`.
    pub(super) fn forward(
        &self,
        hidden_states: &Tensor,
        timestep_proj: &Tensor,
        cross: &Cross,
        rope: &Rope,
    ) -> Result<Tensor> {
        let hidden_states = self.attend(hidden_states, timestep_proj, rope)?;
        self.finish(&hidden_states, timestep_proj, cross)
    }

    /// The first third of [`Self::forward`]: self-attention.
    pub(super) fn attend(
        &self,
        hidden_states: &Tensor,
        timestep_proj: &Tensor,
        rope: &Rope,
    ) -> Result<Tensor> {
        let [(modulation, gate), _] = self.rows(timestep_proj)?;
        let normed = self.self_attn_norm.modulated(hidden_states, &modulation)?;
        let attended = self.self_attn.forward(&normed, rope, self.mask)?;
        add_gated(hidden_states, &attended, &gate)
    }

    /// Where the `heads` of cross-attention look after [`Self::attend`], see [`Attention::shares`].
    pub(super) fn shares(
        &self,
        hidden_states: &Tensor,
        cross: &Cross,
        heads: &[usize],
        columns: &Range<usize>,
    ) -> Result<Tensor> {
        let Cross::Sequence(kv) = cross else {
            candle_core::bail!("a condition of one token is looked at whole by every head")
        };
        let normed = self.cross_attn_norm.forward(hidden_states)?;
        self.cross_attn.shares(&normed, kv, heads, columns)
    }

    /// The rest of [`Self::forward`]: cross-attention and MLP.
    pub(super) fn finish(
        &self,
        hidden_states: &Tensor,
        timestep_proj: &Tensor,
        cross: &Cross,
    ) -> Result<Tensor> {
        let [_, (modulation, gate)] = self.rows(timestep_proj)?;
        let hidden_states = match cross {
            Cross::Sequence(kv) => {
                let normed = self.cross_attn_norm.forward(hidden_states)?;
                (hidden_states + self.cross_attn.cross(&normed, kv)?)?
            }
            Cross::Constant(value) => hidden_states.broadcast_add(value)?,
        };
        let normed = self.mlp_norm.modulated(&hidden_states, &modulation)?;
        let fed = self.mlp.forward(&normed)?;
        add_gated(&hidden_states, &fed, &gate)
    }

    /// Shift and scale `[1, 2, h]` and gate `[1, 1, h]` of self-attention, then of the MLP.
    fn rows(&self, timestep_proj: &Tensor) -> Result<[(Tensor, Tensor); 2]> {
        let rows = (&self.scale_shift_table + timestep_proj)?;
        let of =
            |first| -> Result<_> { Ok((rows.narrow(1, first, 2)?, rows.narrow(1, first + 2, 1)?)) };
        Ok([of(0)?, of(ROWS / 2)?])
    }

    pub(super) const fn parameters(cfg: &Config, attention: u64) -> u64 {
        let h = cfg.hidden_size;
        2 * attention + Mlp::parameters(h, cfg.intermediate_size) + (3 * h + ROWS * h) as u64
    }
}
