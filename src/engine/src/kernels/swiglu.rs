//! The gate of the feed-forward block, in one pass.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    card,
    conv1d::{runs_here, values},
    exp2::exp2,
    parallel::filled,
    simd::{mul_add, multiversion},
};

/// Values of one task; a constant, so that the split depends on shapes alone.
const TASK_VALUES: usize = 16 * 1024;

/// `silu(gate) · up`, value by value; both of one shape.
///
/// # Errors
/// Two shapes, too little memory.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        bail!("swiglu: {:?} gates for {:?}", gate.dims(), up.dims());
    }
    if runs_here(gate.device(), gate.dtype()) || card::runs(gate) {
        gate.contiguous()?
            .apply_op2_no_bwd(&up.contiguous()?, &SwiGlu)
    } else {
        composed(gate, up)
    }
}

/// [`swiglu`] by candle's operations.
pub(super) fn composed(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (values(gate, gate_layout)?, values(up, up_layout)?);
        // SAFETY: the chunks are all of it.
        let out = unsafe {
            filled(gate.len(), |out| {
                out.par_chunks_mut(TASK_VALUES)
                    .zip(gate.par_chunks(TASK_VALUES))
                    .zip(up.par_chunks(TASK_VALUES))
                    .for_each(|((out, gate), up)| gated(out, gate, up));
            })
        };
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        gate: &candle_core::CudaStorage,
        gate_layout: &Layout,
        up: &candle_core::CudaStorage,
        up_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::swiglu((gate, gate_layout), (up, up_layout))?;
        Ok((out, gate_layout.shape().clone()))
    }
}

multiversion! {
    fn gated(out: &mut [f32], gate: &[f32], up: &[f32]) = gated_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn gated_body<const FMA: bool>(out: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
        // Of the power of the absolute value, which cannot overflow; `mul_add` keeps a NaN one.
        let power = exp2::<FMA>(mul_add::<FMA>(gate.abs(), -std::f32::consts::LOG2_E, 0.0));
        let above = if gate < 0.0 { power } else { 1.0 };
        *out = gate * (above / (1.0 + power)) * up;
    }
}

#[cfg(test)]
mod tests {
    use super::{composed, swiglu};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
    use candle_core::{Device, Tensor};

    #[test]
    fn equals_the_formula_on_both_paths() {
        for (shape, scale) in [
            (vec![1, 1, 1], 1.0),
            (vec![2, 7, 33], 4.0),
            (vec![1, 41, 3001], 30.0),
        ] {
            let gate = (tensor(&shape, 1) * scale).unwrap();
            let up = tensor(&shape, 2);
            let want: Vec<f64> = flat(&gate)
                .iter()
                .zip(flat(&up))
                .map(|(&g, u)| f64::from(g) / (1.0 + (-f64::from(g)).exp()) * f64::from(u))
                .collect();
            assert_close(&flat(&swiglu(&gate, &up).unwrap()), &want, 1e-6);
            assert_close(&flat(&composed(&gate, &up).unwrap()), &want, 1e-6);
        }
    }

    #[test]
    fn far_values_neither_overflow_nor_hide() {
        let values = [-200f32, 200., f32::NAN, f32::INFINITY, 0.];
        let gate = Tensor::new(&values, &Device::Cpu).unwrap();
        let up = Tensor::ones(5, candle_core::DType::F32, &Device::Cpu).unwrap();
        let y = flat(&swiglu(&gate, &up).unwrap());
        assert!(y[0].abs() < 1e-30 && y[1] == 200. && y[2].is_nan());
        assert!(y[3] == f32::INFINITY && y[4] == 0.);
    }

    #[test]
    fn same_bytes_on_any_number_of_threads() {
        let (gate, up) = (tensor(&[3, 50_001], 1), tensor(&[3, 50_001], 2));
        same_on_any_number_of_threads(|| swiglu(&gate, &up).unwrap());
        assert!(swiglu(&gate, &up.t().unwrap()).is_err());
    }
}
