//! Rotary positions in Qwen's layout: the angles fill both halves of a head, and a vector is
//! turned by pairing element `j` with element `j + d/2`.
//!
//! The tables are counted in f32 as the reference does and cast once, so that bf16 models do not
//! lose positions to bf16 angles.

use candle_core::{DType, Device, Result, Tensor};

/// Cosines and sines for positions `0..len`.
#[derive(Debug, Clone)]
pub struct Rope {
    /// `[l, d/2]`
    cos: Tensor,
    /// `[l, d/2]`
    sin: Tensor,
}

impl Rope {
    /// Tables for `len` positions of heads of size `d`.
    pub fn new(theta: f64, d: usize, len: usize, dtype: DType, device: &Device) -> Result<Self> {
        let half = d / 2;
        let inverse: Vec<f32> = (0..half)
            .map(|j| 1.0 / (theta as f32).powf((2 * j) as f32 / d as f32))
            .collect();
        let angles = |f: fn(f32) -> f32| -> Vec<f32> {
            (0..len)
                .flat_map(|position| inverse.iter().map(move |w| f(position as f32 * w)))
                .collect()
        };
        let table =
            |values: Vec<f32>| Tensor::from_vec(values, (len, half), device)?.to_dtype(dtype);
        Ok(Self {
            cos: table(angles(f32::cos))?,
            sin: table(angles(f32::sin))?,
        })
    }

    /// Turns `x` `[b, heads, l, d]`, whose first row stands at position 0.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::rotary_emb::rope(&x.contiguous()?, &self.cos, &self.sin)
    }
}
