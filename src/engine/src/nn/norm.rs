//! Root-mean-square normalisation, counted in f32 whatever the activations are.

use candle_core::{Module, Result, Tensor};

use super::Weights;
use crate::kernels::norm::{rms_norm, rms_norm_modulate};

/// `x / rms(x) * weight` over the last dimension.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f32,
}

impl RmsNorm {
    /// Takes `weight` `[size]`.
    pub fn load(size: usize, eps: f64, w: &Weights) -> Result<Self> {
        Ok(Self {
            weight: w.get(size, "weight")?,
            eps: eps as f32,
        })
    }

    /// The norm of `x` `[b, l, size]`, times `1 + scale` plus `shift`; `modulation` `[1, 2, size]` holds
    /// shift, then scale.
    pub fn modulated(&self, x: &Tensor, modulation: &Tensor) -> Result<Tensor> {
        rms_norm_modulate(x, &self.weight, self.eps, modulation)
    }

    /// The weights `[size]` and what is added to the mean of the squares.
    pub(super) fn parts(&self) -> (&Tensor, f32) {
        (&self.weight, self.eps)
    }
}

impl Module for RmsNorm {
    /// `[…, size]` to the same shape.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.weight, self.eps)
    }
}
