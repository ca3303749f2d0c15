//! The two steps around the matrix product of a convolution on a card.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, bail};

use super::Conv1dConfig;
#[cfg(feature = "cuda")]
use crate::kernels::card;

/// What each tap of the outputs `first..first + out_len` sees, `[b, in · kernel, out_len]` of `[b, in, n]`, on a
/// card.
#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "read by the kernel of cards alone")
)]
pub(super) struct Unfold {
    pub(super) kernel: usize,
    pub(super) first: usize,
    pub(super) out_len: usize,
    pub(super) config: Conv1dConfig,
}

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("unfold: processors have a kernel of their own")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (b, channels, _) = layout.shape().dims3()?;
        let out = card::unfold(
            (x, layout),
            self.kernel,
            (self.first, self.out_len),
            self.config,
        )?;
        Ok((out, Shape::from((b, channels * self.kernel, self.out_len))))
    }
}

/// Adds a bias `[out]` and a residual to `[b, out, n]`, on a card.
pub(super) struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("add_bias: processors have a kernel of their own")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::add_bias((y, y_layout), (bias, bias_layout), None)?;
        Ok((out, y_layout.shape().clone()))
    }
}

impl CustomOp3 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("add_bias: processors have a kernel of their own")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
        residual: &candle_core::CudaStorage,
        residual_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let residual = (residual, residual_layout);
        let out = card::add_bias((y, y_layout), (bias, bias_layout), Some(residual))?;
        Ok((out, y_layout.shape().clone()))
    }
}
