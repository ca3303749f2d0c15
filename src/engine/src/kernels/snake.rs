//! Snake, the activation of the autoencoder: `x + sin(exp(alpha) · x)² / (exp(beta) + 1e-9)`.
//!
//! The exponentials and the reciprocal are taken once at load. The sine is our own: only its
//! square is needed, which repeats every π, so the argument is reduced by multiples of π and a
//! polynomial does the rest.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail,
};
use rayon::prelude::*;

use super::card;
use super::conv1d::{runs_here, values};
use super::simd::{mul_add, multiversion};

/// Added to `exp(beta)` before the reciprocal, as the reference does.
const EPSILON: f64 = 1e-9;

/// Values of one task; a constant, so that the split depends on shapes alone.
const TASK_VALUES: usize = 64 * 1024;

/// Snake for a number of channels.
#[derive(Debug, Clone)]
pub struct Snake {
    /// `exp(alpha)` and `1 / (exp(beta) + 1e-9)` a channel, on the host.
    channels: Vec<(f32, f32)>,
    /// The same as `[2, c]` in f32 on the device, where the kernel for processors does not run.
    table: Option<Tensor>,
}

impl Snake {
    /// `alpha` and `beta` hold logarithms and have one value a channel, in any shape and dtype;
    /// `dtype` is that of the input to come.
    pub fn new(alpha: &Tensor, beta: &Tensor, dtype: DType) -> Result<Self> {
        let read = |tensor: &Tensor| tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>();
        let (log_alpha, log_beta) = (read(alpha)?, read(beta)?);
        if log_alpha.len() != log_beta.len() {
            bail!(
                "snake: {} alphas for {} betas",
                log_alpha.len(),
                log_beta.len()
            );
        }
        let channels: Vec<(f32, f32)> = log_alpha
            .iter()
            .zip(&log_beta)
            .map(|(&a, &b)| {
                (
                    f64::from(a).exp() as f32,
                    (1.0 / (f64::from(b).exp() + EPSILON)) as f32,
                )
            })
            .collect();
        let table = if runs_here(alpha.device(), dtype) {
            None
        } else {
            Some(table(&channels, alpha.device())?)
        };
        Ok(Self { channels, table })
    }

    /// `[b, c, n]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_b, channels, _n) = x.dims3()?;
        if channels != self.channels.len() {
            bail!(
                "snake: expected {} channels, found {channels}",
                self.channels.len()
            );
        }
        match &self.table {
            None => x.contiguous()?.apply_op1_no_bwd(self),
            Some(table) if card::runs(x) => x.contiguous()?.apply_op2_no_bwd(table, &OnCard),
            Some(_) => self.composed(x),
        }
    }

    /// [`Self::forward`] by candle's operations.
    pub(super) fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let table = match &self.table {
            Some(table) => table.clone(),
            None => table(&self.channels, x.device())?,
        };
        let table = table.to_dtype(x.dtype())?.unsqueeze(2)?; // [2, c, 1]
        let (alpha, inverse_beta) = (table.narrow(0, 0, 1)?, table.narrow(0, 1, 1)?);
        let sine = x.broadcast_mul(&alpha)?.sin()?;
        x + sine.sqr()?.broadcast_mul(&inverse_beta)?
    }

    /// Snake of part of a channel, in place.
    pub(super) fn apply(&self, channel: usize, values: &mut [f32]) {
        let (alpha, inverse_beta) = self.channels[channel];
        snake_in_place(values, alpha, inverse_beta);
    }
}

impl CustomOp1 for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_b, channels, n) = layout.shape().dims3()?;
        let mut out = values(storage, layout)?.to_vec();
        if n > 0 {
            for (row, values) in out.chunks_exact_mut(n).enumerate() {
                let (alpha, inverse_beta) = self.channels[row % channels];
                values
                    .par_chunks_mut(TASK_VALUES)
                    .for_each(|part| snake_in_place(part, alpha, inverse_beta));
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Alphas, then inverse betas.
fn table(channels: &[(f32, f32)], device: &Device) -> Result<Tensor> {
    let alphas = channels.iter().map(|channel| channel.0);
    let values: Vec<f32> = alphas
        .chain(channels.iter().map(|channel| channel.1))
        .collect();
    Tensor::from_vec(values, (2, channels.len()), device)
}

/// The kernel for cards, of the input and the table.
struct OnCard;

impl CustomOp2 for OnCard {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("snake: processors have a kernel of their own")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        table: &candle_core::CudaStorage,
        table_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::snake((x, x_layout), (table, table_layout))?;
        Ok((out, x_layout.shape().clone()))
    }
}

multiversion! {
    /// `x + sin(alpha · x)² · inverse_beta`, in place.
    fn snake_in_place(values: &mut [f32], alpha: f32, inverse_beta: f32) = snake_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn snake_body<const FMA: bool>(values: &mut [f32], alpha: f32, inverse_beta: f32) {
    for value in values {
        let x = *value;
        *value = mul_add::<FMA>(sin_squared::<FMA>(alpha * x), inverse_beta, x);
    }
}

/// sin(y)², within 6e-7 of the exact value for |y| up to 1e4; beyond, as exact as the reduction.
#[inline(always)]
fn sin_squared<const FMA: bool>(y: f32) -> f32 {
    use std::f32::consts::FRAC_1_PI;
    /// Adding and subtracting 1.5 · 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    /// π in three parts; products of the first two with an integer below 2^13 are exact.
    const PI: [f32; 3] = [3.140_625, 9.670_257_6e-4, 6.277_114e-7];
    /// (sin(r) − r) / r³ as a polynomial in r², fitted on |r| ≤ π/2.
    const SINE: [f32; 5] = [
        -1.666_666_7e-1,
        8.333_33e-3,
        -1.984_080_4e-4,
        2.752_262e-6,
        -2.384_669_3e-8,
    ];

    let turns = mul_add::<FMA>(y, FRAC_1_PI, ROUND) - ROUND;
    let mut r = y;
    for part in PI {
        r = mul_add::<FMA>(-turns, part, r);
    }
    // Arguments too large for the rounding above must not leave the polynomial's range.
    r = r.clamp(-1.6, 1.6);
    let r2 = r * r;
    let mut p = SINE[4];
    for &coefficient in SINE[..4].iter().rev() {
        p = mul_add::<FMA>(p, r2, coefficient);
    }
    let sine = mul_add::<FMA>(r * r2, p, r);
    sine * sine
}

#[cfg(test)]
mod tests {
    use super::{Snake, sin_squared};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
    use candle_core::{DType, Tensor};

    fn reference(x: &Tensor, alpha: &Tensor, beta: &Tensor) -> Vec<f64> {
        let (_b, c, n) = x.dims3().unwrap();
        let (alpha, beta) = (flat(alpha), flat(beta));
        flat(x)
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let (x, channel) = (f64::from(x), i / n % c);
                let sine = (f64::from(alpha[channel]).exp() * x).sin();
                x + sine * sine / (f64::from(beta[channel]).exp() + 1e-9)
            })
            .collect()
    }

    #[test]
    fn the_sine_is_exact_to_seven_digits_over_many_turns() {
        for fused in [false, true] {
            let mut worst = 0f64;
            for i in -40_000..=40_000 {
                let y = i as f32 * 0.25 + i as f32 * 1e-3;
                let got = if fused {
                    sin_squared::<true>(y)
                } else {
                    sin_squared::<false>(y)
                };
                worst = worst.max((f64::from(got) - f64::from(y).sin().powi(2)).abs());
            }
            assert!(worst < 6e-7, "{worst:e}");
        }
    }

    #[test]
    fn equals_the_formula_on_both_paths() {
        for (shape, scale) in [
            ([1, 1, 1], 1.0),
            ([2, 5, 133], 1.0),
            ([1, 3, 70_001], 1.0),
            ([2, 4, 50], 30.0),
        ] {
            let x = (tensor(&shape, 1) * scale).unwrap();
            let (alpha, beta) = (tensor(&[1, shape[1], 1], 2), tensor(&[1, shape[1], 1], 3));
            let want = reference(&x, &alpha, &beta);
            assert_close(
                &flat(
                    &Snake::new(&alpha, &beta, DType::F32)
                        .unwrap()
                        .forward(&x)
                        .unwrap(),
                ),
                &want,
                1e-6,
            );
            let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let y = Snake::new(&alpha, &beta, DType::F64)
                .unwrap()
                .forward(&double(&x))
                .unwrap();
            assert_close(&flat(&y.to_dtype(DType::F32).unwrap()), &want, 1e-6);
        }
    }

    #[test]
    fn values_that_are_not_numbers_stay_visible() {
        let snake = Snake::new(&tensor(&[1, 1, 1], 1), &tensor(&[1, 1, 1], 2), DType::F32).unwrap();
        let x = Tensor::new(
            &[[[f32::NAN, f32::INFINITY, 3e9f32]]],
            &candle_core::Device::Cpu,
        )
        .unwrap();
        let y = flat(&snake.forward(&x).unwrap());
        assert!(y[0].is_nan() && !y[1].is_finite());
        assert!(
            (y[2] - 3e9).abs() < 1e4,
            "a value too large for its sine stays what it is: {}",
            y[2]
        );
    }

    #[test]
    fn same_bytes_on_any_number_of_threads_and_from_a_view() {
        let snake = Snake::new(&tensor(&[1, 7, 1], 1), &tensor(&[1, 7, 1], 2), DType::F32).unwrap();
        let x = tensor(&[2, 150_001, 7], 3).transpose(1, 2).unwrap();
        same_on_any_number_of_threads(|| snake.forward(&x).unwrap());
        assert_eq!(
            flat(&snake.forward(&x).unwrap()),
            flat(&snake.forward(&x.contiguous().unwrap()).unwrap())
        );
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert!(Snake::new(&tensor(&[1, 3, 1], 1), &tensor(&[1, 4, 1], 1), DType::F32).is_err());
        let snake = Snake::new(&tensor(&[1, 3, 1], 1), &tensor(&[1, 3, 1], 1), DType::F32).unwrap();
        assert!(snake.forward(&tensor(&[1, 4, 9], 1)).is_err());
    }
}
