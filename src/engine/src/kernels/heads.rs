//! The way of a projection into attention: its rows cut into heads, each normed and turned, in one
//! pass.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    card,
    conv1d::{runs_here, values},
    norm::inverse_rms,
    parallel::filled,
    simd::{mul_add, multiversion},
};

/// Positions of one task; a constant, so that the split depends on shapes alone.
const TASK_POSITIONS: usize = 64;

/// `[b, l, heads · d]` to `[b, heads, l, d]`: each head of a position divided by its root mean square
/// and times `weight` `[d]`; with `angles` `[l, d]`, cosines in the first half and sines in the
/// second, element `j` is then turned with element `j + d/2` by the angles of its position.
///
/// # Errors
/// Shapes that do not fit, too little memory.
pub fn split_heads(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    angles: Option<&Tensor>,
) -> Result<Tensor> {
    let (_, l, width) = x.dims3()?;
    let d = weight.elem_count();
    if d == 0 || !d.is_multiple_of(2) || !width.is_multiple_of(d) {
        bail!("heads: rows of {width} values are not whole heads of {d}");
    }
    if let Some(angles) = angles
        && angles.dims() != [l, d]
    {
        bail!("heads: angles {:?} for {l} positions of {d}", angles.dims());
    }
    if runs_here(x.device(), x.dtype()) || card::runs(x) {
        let op = SplitHeads { d, eps };
        let x = x.contiguous()?;
        match angles {
            Some(angles) => x.apply_op3_no_bwd(weight, angles, &op),
            None => x.apply_op2_no_bwd(weight, &op),
        }
    } else {
        composed(x, weight, eps, angles)
    }
}

/// [`split_heads`] by candle's operations.
pub(super) fn composed(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    angles: Option<&Tensor>,
) -> Result<Tensor> {
    let (b, l, width) = x.dims3()?;
    let d = weight.elem_count();
    let heads = x
        .reshape((b, l, width / d, d))?
        .transpose(1, 2)?
        .contiguous()?;
    let normed = candle_nn::ops::rms_norm(&heads, weight, eps)?;
    match angles {
        None => Ok(normed),
        Some(angles) => {
            let part = |start| angles.narrow(D::Minus1, start, d / 2)?.contiguous();
            candle_nn::rotary_emb::rope(&normed, &part(0)?, &part(d / 2)?)
        }
    }
}

struct SplitHeads {
    d: usize,
    eps: f32,
}

impl SplitHeads {
    fn shape(&self, x: &Layout) -> Result<(usize, usize, usize, Shape)> {
        let (b, l, width) = x.shape().dims3()?;
        let heads = width / self.d;
        Ok((b, l, heads, Shape::from((b, heads, l, self.d))))
    }

    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn run(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &[f32],
        angles: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let (_, l, heads, shape) = self.shape(layout)?;
        let (d, width) = (self.d, heads * self.d);
        let turn = |out: &mut [f32]| {
            out.par_chunks_mut(l * d).enumerate().for_each(|(i, out)| {
                let (item, head) = (i / heads, i % heads);
                let first = item * l * width + head * d;
                let tasks = out.par_chunks_mut(TASK_POSITIONS * d).enumerate();
                tasks.for_each(|(task, out)| {
                    let start = task * TASK_POSITIONS;
                    let rows = &x[first + start * width..];
                    let angles = angles.map(|angles| &angles[start * d..]);
                    turn_rows(out, rows, width, weight, angles, self.eps);
                });
            });
        };
        let out = if x.is_empty() {
            Vec::new()
        } else {
            // SAFETY: every position of every head is turned, and there are as many as in `x`.
            unsafe { filled(x.len(), turn) }
        };
        Ok((CpuStorage::F32(out), shape))
    }
}

impl CustomOp2 for SplitHeads {
    fn name(&self) -> &'static str {
        "split_heads"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(x, x_layout, values(weight, weight_layout)?, None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (_, l, heads, shape) = self.shape(x_layout)?;
        let sizes = (l, heads, self.d);
        let out = card::split_heads(
            (x, x_layout),
            (weight, weight_layout),
            None,
            sizes,
            self.eps,
        )?;
        Ok((out, shape))
    }
}

impl CustomOp3 for SplitHeads {
    fn name(&self) -> &'static str {
        "split_heads"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        angles: &CpuStorage,
        angles_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let angles = values(angles, angles_layout)?;
        self.run(x, x_layout, values(weight, weight_layout)?, Some(angles))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
        angles: &candle_core::CudaStorage,
        angles_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (_, l, heads, shape) = self.shape(x_layout)?;
        let out = card::split_heads(
            (x, x_layout),
            (weight, weight_layout),
            Some((angles, angles_layout)),
            (l, heads, self.d),
            self.eps,
        )?;
        Ok((out, shape))
    }
}

multiversion! {
    /// One head of the positions of `out`: its values stand `width` apart in `x`.
    fn turn_rows(
        out: &mut [f32],
        x: &[f32],
        width: usize,
        weight: &[f32],
        angles: Option<&[f32]>,
        eps: f32,
    ) = turn_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn turn_body<const FMA: bool>(
    out: &mut [f32],
    x: &[f32],
    width: usize,
    weight: &[f32],
    angles: Option<&[f32]>,
    eps: f32,
) {
    let d = weight.len();
    let (weight_a, weight_b) = weight.split_at(d / 2);
    for (position, out) in out.chunks_exact_mut(d).enumerate() {
        let row = &x[position * width..][..d];
        let inverse = inverse_rms::<FMA>(row, eps);
        let (a, b) = row.split_at(d / 2);
        let (out_a, out_b) = out.split_at_mut(d / 2);
        let Some(angles) = angles else {
            for ((out, x), weight) in out_a.iter_mut().zip(a).zip(weight_a) {
                *out = x * inverse * weight;
            }
            for ((out, x), weight) in out_b.iter_mut().zip(b).zip(weight_b) {
                *out = x * inverse * weight;
            }
            continue;
        };
        let (cosines, sines) = angles[position * d..][..d].split_at(d / 2);
        for j in 0..d / 2 {
            let x = a[j] * inverse * weight_a[j];
            let y = b[j] * inverse * weight_b[j];
            out_a[j] = mul_add::<FMA>(x, cosines[j], -y * sines[j]);
            out_b[j] = mul_add::<FMA>(x, sines[j], y * cosines[j]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{composed, split_heads};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
    use candle_core::Tensor;

    fn reference(x: &Tensor, weight: &Tensor, eps: f64, angles: Option<&Tensor>) -> Vec<f64> {
        let (b, l, width) = x.dims3().unwrap();
        let (x, weight) = (flat(x), flat(weight));
        let d = weight.len();
        let (heads, half) = (width / d, d / 2);
        let angles = angles.map(flat);
        let mut out = Vec::new();
        for item in 0..b {
            for head in 0..heads {
                for position in 0..l {
                    let row = &x[(item * l + position) * width + head * d..][..d];
                    let squares: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
                    let rms = (squares / d as f64 + eps).sqrt();
                    let y: Vec<f64> = row
                        .iter()
                        .zip(&weight)
                        .map(|(x, w)| f64::from(*x) / rms * f64::from(*w))
                        .collect();
                    match &angles {
                        None => out.extend(y),
                        Some(angles) => {
                            let of = |i: usize| f64::from(angles[position * d + i]);
                            out.extend(
                                (0..half).map(|j| y[j] * of(j) - y[j + half] * of(j + half)),
                            );
                            out.extend(
                                (0..half).map(|j| y[j] * of(j + half) + y[j + half] * of(j)),
                            );
                        }
                    }
                }
            }
        }
        out
    }

    #[test]
    fn equals_the_formula_on_odd_sizes_and_on_both_paths() {
        for (b, l, heads, d) in [(1, 1, 1, 2), (2, 3, 5, 6), (1, 200, 3, 128), (1, 65, 2, 34)] {
            let x = tensor(&[b, l, heads * d], 1);
            let (weight, angles) = (tensor(&[d], 2), tensor(&[l, d], 3));
            for angles in [None, Some(&angles)] {
                let want = reference(&x, &weight, 1e-6, angles);
                let fused = split_heads(&x, &weight, 1e-6, angles).unwrap();
                assert_eq!(fused.dims(), [b, heads, l, d]);
                assert_close(&flat(&fused), &want, 2e-6);
                let other = composed(&x, &weight, 1e-6, angles).unwrap();
                assert_close(&flat(&other), &want, 2e-6);
            }
        }
    }

    #[test]
    fn same_bytes_whatever_the_threads_and_the_other_positions() {
        let (weight, angles) = (tensor(&[32], 2), tensor(&[500, 32], 3));
        let x = tensor(&[2, 500, 96], 4);
        same_on_any_number_of_threads(|| split_heads(&x, &weight, 1e-6, Some(&angles)).unwrap());
        let all = split_heads(&x, &weight, 1e-6, Some(&angles)).unwrap();
        let at = |t: &Tensor, dim| t.narrow(dim, 321, 1).unwrap();
        let one = split_heads(&at(&x, 1), &weight, 1e-6, Some(&at(&angles, 0))).unwrap();
        assert_eq!(flat(&at(&all, 2)), flat(&one));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let x = tensor(&[1, 4, 96], 1);
        assert!(split_heads(&x, &tensor(&[33], 2), 1e-6, None).is_err());
        assert!(split_heads(&x, &tensor(&[64], 2), 1e-6, None).is_err());
        let angles = tensor(&[3, 32], 3);
        assert!(split_heads(&x, &tensor(&[32], 2), 1e-6, Some(&angles)).is_err());
    }
}
