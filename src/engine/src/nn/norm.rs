//! Root-mean-square normalisation, counted in f32 whatever the activations are.

use candle_core::{Module, Result, Tensor};

use super::Weights;

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
}

impl Module for RmsNorm {
    /// `[…, size]` to the same shape.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(&x.contiguous()?, &self.weight, self.eps)
    }
}
