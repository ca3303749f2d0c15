//! One decoder layer: self-attention and MLP modulated by the timestep, cross-attention between
//! them without modulation.
//!
//! Reference: `AceStepTransformerBlock`.

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
        let rows = (&self.scale_shift_table + timestep_proj)?;
        let row = |i: usize| rows.narrow(1, i, 1); // [1, 1, h]

        let normed = modulate(
            &self.self_attn_norm.forward(hidden_states)?,
            &row(0)?,
            &row(1)?,
        )?;
        let attended = self.self_attn.forward(&normed, rope, self.mask)?;
        let hidden_states = (hidden_states + attended.broadcast_mul(&row(2)?)?)?;

        let hidden_states = match cross {
            Cross::Sequence(kv) => {
                let normed = self.cross_attn_norm.forward(&hidden_states)?;
                (&hidden_states + self.cross_attn.cross(&normed, kv)?)?
            }
            Cross::Constant(value) => hidden_states.broadcast_add(value)?,
        };

        let normed = modulate(&self.mlp_norm.forward(&hidden_states)?, &row(3)?, &row(4)?)?;
        let fed = self.mlp.forward(&normed)?;
        hidden_states + fed.broadcast_mul(&row(5)?)?
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
