//! A residual connection whose branch is gated, in one pass.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    card,
    conv1d::{runs_here, values},
    parallel::filled,
    simd::{mul_add, multiversion},
};

/// Values of one task; a constant, so that the split depends on shapes alone.
const TASK_VALUES: usize = 32 * 1024;

/// `x + y · gate`: `x` and `y` `[b, l, h]`, `gate` `[1, 1, h]`.
///
/// # Errors
/// Shapes that do not fit, too little memory.
pub fn add_gated(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    if runs_here(x.device(), x.dtype()) || card::runs(x) {
        if x.shape() != y.shape() || x.dims().last().copied() != Some(gate.elem_count()) {
            bail!("gated: {:?}, {:?}, {:?}", x.dims(), y.dims(), gate.dims());
        }
        let (x, y, gate) = (x.contiguous()?, y.contiguous()?, gate.contiguous()?);
        x.apply_op3_no_bwd(&y, &gate, &AddGated)
    } else {
        composed(x, y, gate)
    }
}

/// [`add_gated`] by candle's operations.
pub(super) fn composed(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    x + y.broadcast_mul(gate)?
}

struct AddGated;

impl CustomOp3 for AddGated {
    fn name(&self) -> &'static str {
        "add_gated"
    }

    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        gate: &CpuStorage,
        gate_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, y) = (values(x, x_layout)?, values(y, y_layout)?);
        let gate = values(gate, gate_layout)?;
        let task = (TASK_VALUES / gate.len().max(1)).max(1) * gate.len().max(1);
        // SAFETY: the chunks are all of it; with an empty gate there is none.
        let out = unsafe {
            filled(x.len(), |out| {
                out.par_chunks_mut(task)
                    .zip(x.par_chunks(task))
                    .zip(y.par_chunks(task))
                    .for_each(|((out, x), y)| add_rows(out, x, y, gate));
            })
        };
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
        gate: &candle_core::CudaStorage,
        gate_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::add_gated((x, x_layout), (y, y_layout), (gate, gate_layout))?;
        Ok((out, x_layout.shape().clone()))
    }
}

multiversion! {
    fn add_rows(out: &mut [f32], x: &[f32], y: &[f32], gate: &[f32]) = add_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn add_body<const FMA: bool>(out: &mut [f32], x: &[f32], y: &[f32], gate: &[f32]) {
    let h = gate.len();
    let rows = out.chunks_exact_mut(h).zip(x.chunks_exact(h));
    for ((out, x), y) in rows.zip(y.chunks_exact(h)) {
        for (((out, x), y), gate) in out.iter_mut().zip(x).zip(y).zip(gate) {
            *out = mul_add::<FMA>(*y, *gate, *x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{add_gated, composed};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};

    #[test]
    fn equals_the_formula_on_both_paths() {
        for (b, l, h) in [(1, 1, 1), (2, 3, 5), (1, 300, 257)] {
            let (x, y) = (tensor(&[b, l, h], 1), tensor(&[b, l, h], 2));
            let gate = tensor(&[1, 6, h], 3).narrow(1, 2, 1).unwrap();
            let want: Vec<f64> = flat(&x)
                .iter()
                .zip(flat(&y))
                .zip(flat(&gate).iter().cycle())
                .map(|((&x, y), &g)| f64::from(x) + f64::from(y) * f64::from(g))
                .collect();
            assert_close(&flat(&add_gated(&x, &y, &gate).unwrap()), &want, 1e-6);
            assert_close(&flat(&composed(&x, &y, &gate).unwrap()), &want, 1e-6);
        }
    }

    #[test]
    fn same_bytes_on_any_number_of_threads_and_wrong_shapes_are_refused() {
        let (x, y) = (tensor(&[1, 999, 130], 1), tensor(&[1, 999, 130], 2));
        let gate = tensor(&[1, 1, 130], 3);
        same_on_any_number_of_threads(|| add_gated(&x, &y, &gate).unwrap());
        assert!(add_gated(&x, &y, &tensor(&[1, 1, 129], 3)).is_err());
        assert!(add_gated(&x, &y.narrow(1, 0, 9).unwrap(), &gate).is_err());
    }
}
