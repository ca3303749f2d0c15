//! Root-mean-square normalisation, and the modulation of a timestep after it, in one pass.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    card,
    conv1d::{runs_here, values},
    parallel::filled,
    simd::{mul_add, multiversion},
};

/// Values of one task; a constant, so that the split depends on shapes alone.
const TASK_VALUES: usize = 16 * 1024;

/// `x / rms(x) · weight` over the last dimension: `x` `[…, h]`, `weight` `[h]`; the root counts
/// `eps` with the mean of the squares.
///
/// # Errors
/// Shapes that do not fit, too little memory.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    let x = x.contiguous()?;
    if runs_here(x.device(), x.dtype()) {
        x.apply_op2_no_bwd(weight, &Norm { eps })
    } else {
        candle_nn::ops::rms_norm(&x, weight, eps)
    }
}

/// [`rms_norm`] `· (1 + scale) + shift` over `x` `[b, l, h]`; `modulation` `[1, 2, h]` holds shift, then
/// scale.
///
/// # Errors
/// Shapes that do not fit, too little memory.
pub fn rms_norm_modulate(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    modulation: &Tensor,
) -> Result<Tensor> {
    if runs_here(x.device(), x.dtype()) || card::runs(x) {
        let (x, modulation) = (x.contiguous()?, modulation.contiguous()?);
        x.apply_op3_no_bwd(weight, &modulation, &Norm { eps })
    } else {
        composed(x, weight, eps, modulation)
    }
}

/// [`rms_norm_modulate`] by candle's operations.
pub(super) fn composed(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    modulation: &Tensor,
) -> Result<Tensor> {
    let (shift, scale) = (modulation.narrow(1, 0, 1)?, modulation.narrow(1, 1, 1)?);
    candle_nn::ops::rms_norm(&x.contiguous()?, weight, eps)?
        .broadcast_mul(&(scale + 1.)?)?
        .broadcast_add(&shift)
}

struct Norm {
    eps: f32,
}

impl Norm {
    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn rows(
        &self,
        x: &[f32],
        shape: &Shape,
        gain: &[f32],
        shift: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let h = shape.dims().last().copied().unwrap_or(0);
        if gain.len() != h {
            bail!("rms_norm: {} weights for rows of {h} values", gain.len());
        }
        let task = (TASK_VALUES / h.max(1)).max(1) * h.max(1);
        // SAFETY: the chunks are all of it; rows of no values have none.
        let out = unsafe {
            filled(x.len(), |out| {
                out.par_chunks_mut(task)
                    .zip(x.par_chunks(task))
                    .for_each(|(out, x)| norm_rows(out, x, gain, shift, self.eps));
            })
        };
        Ok((CpuStorage::F32(out), shape.clone()))
    }
}

impl CustomOp2 for Norm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gain = values(weight, weight_layout)?;
        self.rows(values(x, x_layout)?, x_layout.shape(), gain, None)
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "rms_norm_modulate"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        modulation: &CpuStorage,
        modulation_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = values(weight, weight_layout)?;
        let modulation = values(modulation, modulation_layout)?;
        if modulation.len() != 2 * weight.len() {
            bail!("rms_norm_modulate: modulation takes a shift and a scale for each weight");
        }
        let (shift, scale) = modulation.split_at(weight.len());
        let gain: Vec<f32> = weight
            .iter()
            .zip(scale)
            .map(|(w, s)| w * (1.0 + s))
            .collect();
        self.rows(values(x, x_layout)?, x_layout.shape(), &gain, Some(shift))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
        modulation: &candle_core::CudaStorage,
        modulation_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::rms_norm_modulate(
            (x, x_layout),
            (weight, weight_layout),
            (modulation, modulation_layout),
            self.eps,
        )?;
        Ok((out, x_layout.shape().clone()))
    }
}

multiversion! {
    /// Whole rows of `x`, each as long as `gain`, to `out`.
    fn norm_rows(out: &mut [f32], x: &[f32], gain: &[f32], shift: Option<&[f32]>, eps: f32) = norm_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn norm_body<const FMA: bool>(
    out: &mut [f32],
    x: &[f32],
    gain: &[f32],
    shift: Option<&[f32]>,
    eps: f32,
) {
    let h = gain.len();
    for (out, x) in out.chunks_exact_mut(h).zip(x.chunks_exact(h)) {
        let inverse = inverse_rms::<FMA>(x, eps);
        match shift {
            None => {
                for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
                    *out = x * inverse * gain;
                }
            }
            Some(shift) => {
                for (((out, x), gain), shift) in out.iter_mut().zip(x).zip(gain).zip(shift) {
                    *out = mul_add::<FMA>(x * inverse, *gain, *shift);
                }
            }
        }
    }
}

/// `1 / sqrt(mean(x²) + eps)`
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
pub(super) fn inverse_rms<const FMA: bool>(x: &[f32], eps: f32) -> f32 {
    // Sums side by side, so that no addition waits for another.
    let mut sums = [0f32; 32];
    let (parts, rest) = x.as_chunks::<32>();
    for part in parts {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum = mul_add::<FMA>(*x, *x, *sum);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum = mul_add::<FMA>(*x, *x, *sum);
    }
    let mean = sums.iter().sum::<f32>() / x.len() as f32;
    1.0 / (mean + eps).sqrt()
}

#[cfg(test)]
mod tests {
    use super::{composed, rms_norm, rms_norm_modulate};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
    use candle_core::{DType, Tensor};

    fn reference(x: &Tensor, weight: &Tensor, eps: f64, modulation: Option<&Tensor>) -> Vec<f64> {
        let (x, weight) = (flat(x), flat(weight));
        let h = weight.len();
        let modulation = modulation.map_or_else(|| vec![0.0; 2 * h], flat);
        x.chunks(h)
            .flat_map(|row| {
                let squares: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
                let rms = (squares / h as f64 + eps).sqrt();
                (0..h)
                    .map(|i| {
                        let (shift, scale) = (modulation[i], modulation[h + i]);
                        f64::from(row[i]) / rms * f64::from(weight[i]) * (1.0 + f64::from(scale))
                            + f64::from(shift)
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn equals_the_formula_on_odd_sizes_and_on_both_paths() {
        for (b, l, h) in [
            (1, 1, 1),
            (2, 3, 5),
            (1, 37, 2048),
            (1, 2, 33),
            (1, 700, 130),
        ] {
            let x = (tensor(&[b, l, h], 1) * 3.0).unwrap();
            let (weight, modulation) = (tensor(&[h], 2), tensor(&[1, 2, h], 3));
            let plain = rms_norm(&x, &weight, 1e-6).unwrap();
            assert_close(&flat(&plain), &reference(&x, &weight, 1e-6, None), 2e-6);
            let want = reference(&x, &weight, 1e-6, Some(&modulation));
            let fused = rms_norm_modulate(&x, &weight, 1e-6, &modulation).unwrap();
            assert_close(&flat(&fused), &want, 2e-6);
            let other = composed(&x, &weight, 1e-6, &modulation).unwrap();
            assert_close(&flat(&other), &want, 2e-6);
        }
    }

    #[test]
    fn same_bytes_whatever_the_threads_and_where_the_rows_lie() {
        let (weight, modulation) = (tensor(&[96], 2), tensor(&[1, 6, 96], 3));
        let modulation = modulation.narrow(1, 3, 2).unwrap();
        let x = tensor(&[1, 96, 4000], 4).transpose(1, 2).unwrap();
        let run = |x: &Tensor| rms_norm_modulate(x, &weight, 1e-6, &modulation).unwrap();
        same_on_any_number_of_threads(|| run(&x));
        let all = run(&x).narrow(1, 1234, 1).unwrap();
        let one = run(&x.narrow(1, 1234, 1).unwrap());
        assert_eq!(flat(&all), flat(&one));
    }

    #[test]
    fn values_that_are_not_numbers_stay_visible_and_wrong_shapes_are_refused() {
        let x = Tensor::new(&[[[1f32, f32::NAN], [1., 2.]]], &candle_core::Device::Cpu).unwrap();
        let y = flat(&rms_norm(&x, &tensor(&[2], 1), 1e-6).unwrap());
        assert!(y[0].is_nan() && y[1].is_nan() && y[2].is_finite());
        assert!(rms_norm(&x, &tensor(&[3], 1), 1e-6).is_err());
        assert!(rms_norm_modulate(&x, &tensor(&[2], 1), 1e-6, &tensor(&[1, 3, 2], 1)).is_err());
        let double = x.to_dtype(DType::F64).unwrap();
        assert!(
            rms_norm(&double, &tensor(&[2], 1), 1e-6).is_err(),
            "dtypes must agree"
        );
    }
}
