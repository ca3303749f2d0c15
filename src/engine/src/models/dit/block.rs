//! One decoder layer: self-attention and MLP modulated by the timestep, cross-attention between
//! them without modulation.
//!
//! Reference: `AceStepTransformerBlock`.

use std::ops::Range;

use candle_core::{Module, Result, Tensor};

use super::{Config, timestep::ROWS};
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
        let [shift, scale, gate, ..] = self.rows(timestep_proj)?;
        let normed = modulate(&self.self_attn_norm.forward(hidden_states)?, &shift, &scale)?;
        let attended = self.self_attn.forward(&normed, rope, self.mask)?;
        hidden_states + attended.broadcast_mul(&gate)?
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
        let [.., shift, scale, gate] = self.rows(timestep_proj)?;
        let hidden_states = match cross {
            Cross::Sequence(kv) => {
                let normed = self.cross_attn_norm.forward(hidden_states)?;
                (hidden_states + self.cross_attn.cross(&normed, kv)?)?
            }
            Cross::Constant(value) => hidden_states.broadcast_add(value)?,
        };
        let normed = modulate(&self.mlp_norm.forward(&hidden_states)?, &shift, &scale)?;
        let fed = self.mlp.forward(&normed)?;
        hidden_states + fed.broadcast_mul(&gate)?
    }

    /// Shift, scale and gate of self-attention, then of the MLP, `[1, 1, h]` each.
    fn rows(&self, timestep_proj: &Tensor) -> Result<[Tensor; ROWS]> {
        let rows = (&self.scale_shift_table + timestep_proj)?;
        let rows = (0..ROWS)
            .map(|i| rows.narrow(1, i, 1))
            .collect::<Result<Vec<_>>>()?;
        rows.try_into()
            .map_err(|_| candle_core::Error::Msg("a layer has six rows".into()))
    }

    pub(super) const fn parameters(cfg: &Config, attention: u64) -> u64 {
        let h = cfg.hidden_size;
        2 * attention + Mlp::parameters(h, cfg.intermediate_size) + (3 * h + ROWS * h) as u64
    }
}

/// `x * (1 + scale) + shift`.
pub(super) fn modulate(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&(scale + 1.)?)?.broadcast_add(shift)
}
