//! A few rows through a linear layer: `y = x Wᵀ`, as when a language model writes one token of a
//! few sequences at a time.
//!
//! Each weight is read once, where it lies, by all threads together, so the speed is that of the
//! memory. A value of the result is one sum in one order, whatever the number of rows, the
//! outputs computed beside it or the threads: a row gives the same bits alone and in any company,
//! which makes what a sequence writes independent of its batch. Matrix products of a library
//! promise no such thing.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::conv1d::{runs_here, values};
use super::parallel::{SharedOut, filled, for_each_with_scratch};

/// Rows up to which [`linear`] runs here. Beyond them the arithmetic weighs more than the memory,
/// and a blocked matrix product is faster.
pub const FEW_ROWS: usize = 64;

/// Weights of a task: enough to make starting it cheap, few enough to share work evenly.
const TASK_VALUES: usize = 64 * 1024;

/// Outputs of a block, whose rows of the weight are read side by side.
const OUTPUTS: usize = 4;

/// Whether [`linear`] takes `rows` rows of `x`.
pub fn takes(x: &Tensor, rows: usize) -> bool {
    (1..=FEW_ROWS).contains(&rows) && runs_here(x.device(), x.dtype())
}

/// `x` `[n, in]` times the transposed `weight` `[out, in]`: `[n, out]`. For what [`takes`] says
/// yes to.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?
        .apply_op2_no_bwd(&weight.contiguous()?, &Few)
}

struct Few;

impl CustomOp2 for Few {
    fn name(&self) -> &'static str {
        "linear-few-rows"
    }

    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, width) = x_layout.shape().dims2()?;
        let (outputs, weight_width) = weight_layout.shape().dims2()?;
        if width != weight_width {
            bail!("linear: rows of {width} values do not fit weights of {weight_width}");
        }
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let out = if width > 0 && n * outputs > 0 {
            // SAFETY: every output of every row is a product.
            unsafe { filled(n * outputs, |out| products(x, weight, width, out)) }
        } else {
            vec![0.0; n * outputs]
        };
        Ok((CpuStorage::F32(out), Shape::from((n, outputs))))
    }
}

#[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
fn products(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
    let (n, outputs) = (x.len() / width, weight.len() / width);
    let group = (TASK_VALUES / width).next_multiple_of(OUTPUTS).max(OUTPUTS);
    let out = SharedOut::new(out);
    for_each_with_scratch(outputs.div_ceil(group), Vec::new, |scratch, task| {
        let first = task * group;
        let count = group.min(outputs - first);
        scratch.resize(count * n, 0.0);
        dots(&weight[first * width..][..count * width], x, width, scratch);
        for row in 0..n {
            // SAFETY: each range of outputs belongs to one task, in every row.
            let out = unsafe { out.slice(row * outputs + first, count) };
            for (output, value) in out.iter_mut().enumerate() {
                *value = scratch[output * n + row];
            }
        }
    });
}

/// The product of every row of `w` with every row of `x`, `[outputs, n]`.
fn dots(w: &[f32], x: &[f32], width: usize, out: &mut [f32]) {
    use super::simd::{Isa, isa};
    let n = x.len() / width;
    let step = rows_at_once();
    for (w, out) in w.chunks(OUTPUTS * width).zip(out.chunks_mut(OUTPUTS * n)) {
        let mut row = 0;
        while row < n {
            // Blocks of another size give the same bits, so a rest goes row by row.
            let rows = if n - row >= step { step } else { 1 };
            let x = &x[row * width..][..rows * width];
            let mut block = [[0f32; 4]; OUTPUTS];
            match isa() {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => x86::avx512(w, x, width, &mut block),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => x86::avx2(w, x, width, &mut block),
                Isa::Portable => portable(w, x, width, &mut block),
            }
            for (out, block) in out.chunks_exact_mut(n).zip(&block) {
                out[row..row + rows].copy_from_slice(&block[..rows]);
            }
            row += rows;
        }
    }
}

/// Rows whose sums, times [`OUTPUTS`], fit the registers.
fn rows_at_once() -> usize {
    use super::simd::{Isa, isa};
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 4,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 2,
        Isa::Portable => 1,
    }
}

/// Sums of lanes are added in pairs, always the same ones.
fn fold<const LANES: usize>(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

fn portable(w: &[f32], x: &[f32], width: usize, out: &mut [[f32; 4]; OUTPUTS]) {
    use super::simd::{PORTABLE_FMA, mul_add};
    const LANES: usize = 16;
    for (w, out) in w.chunks_exact(width).zip(out) {
        for (x, out) in x.chunks_exact(width).zip(out) {
            let mut sums = [0f32; LANES];
            let (w_parts, w_rest) = w.as_chunks::<LANES>();
            let (x_parts, x_rest) = x.as_chunks::<LANES>();
            for (w, x) in w_parts.iter().zip(x_parts) {
                for i in 0..LANES {
                    sums[i] = mul_add::<PORTABLE_FMA>(w[i], x[i], sums[i]);
                }
            }
            let rest: f32 = w_rest.iter().zip(x_rest).map(|(w, x)| w * x).sum();
            *out = fold(sums) + rest;
        }
    }
}

/// Written with intrinsics: the compiler gives up on this many sums at lower optimisation levels.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics of an instruction set")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{OUTPUTS, fold};

    macro_rules! kernel {
        ($name:ident, $features:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $fma:ident) => {
            /// `O` rows of the weight times `R` rows of `x`.
            #[target_feature(enable = $features)]
            fn $name<const O: usize, const R: usize>(
                w: &[f32],
                x: &[f32],
                width: usize,
                out: &mut [[f32; 4]; OUTPUTS],
            ) {
                assert!(
                    w.len() == O * width && x.len() == R * width,
                    "the rows are whole"
                );
                let mut sums = [[$zero(); R]; O];
                let whole = width / $lanes * $lanes;
                for at in (0..whole).step_by($lanes) {
                    let x: [_; R] = std::array::from_fn(|r| {
                        // SAFETY: `at + lanes <= width`, and row r begins at r * width, as asserted.
                        unsafe { $load(x.as_ptr().add(r * width + at)) }
                    });
                    for o in 0..O {
                        // SAFETY: as above.
                        let w = unsafe { $load(w.as_ptr().add(o * width + at)) };
                        for r in 0..R {
                            sums[o][r] = $fma(w, x[r], sums[o][r]);
                        }
                    }
                }
                for o in 0..O {
                    for r in 0..R {
                        let mut lanes = [0f32; $lanes];
                        // SAFETY: the array holds one vector.
                        unsafe { $store(lanes.as_mut_ptr(), sums[o][r]) };
                        let w = &w[o * width + whole..(o + 1) * width];
                        let x = &x[r * width + whole..(r + 1) * width];
                        let rest: f32 = w.iter().zip(x).map(|(w, x)| w * x).sum();
                        out[o][r] = fold(lanes) + rest;
                    }
                }
            }
        };
    }
    kernel!(
        dots512,
        "avx512f,fma",
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps
    );
    kernel!(
        dots256,
        "avx2,fma",
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps
    );

    pub(super) fn avx512(w: &[f32], x: &[f32], width: usize, out: &mut [[f32; 4]; OUTPUTS]) {
        // SAFETY: the caller asked `simd::isa`, which found AVX-512 F and FMA.
        unsafe {
            match (w.len() / width, x.len() / width) {
                (OUTPUTS, 4) => dots512::<OUTPUTS, 4>(w, x, width, out),
                (OUTPUTS, _) => dots512::<OUTPUTS, 1>(w, x, width, out),
                (_, 4) => singly(w, width, out, |w, out| dots512::<1, 4>(w, x, width, out)),
                _ => singly(w, width, out, |w, out| dots512::<1, 1>(w, x, width, out)),
            }
        }
    }

    pub(super) fn avx2(w: &[f32], x: &[f32], width: usize, out: &mut [[f32; 4]; OUTPUTS]) {
        // SAFETY: the caller asked `simd::isa`, which found AVX2 and FMA.
        unsafe {
            match (w.len() / width, x.len() / width) {
                (OUTPUTS, 2) => dots256::<OUTPUTS, 2>(w, x, width, out),
                (OUTPUTS, _) => dots256::<OUTPUTS, 1>(w, x, width, out),
                (_, 2) => singly(w, width, out, |w, out| dots256::<1, 2>(w, x, width, out)),
                _ => singly(w, width, out, |w, out| dots256::<1, 1>(w, x, width, out)),
            }
        }
    }

    /// The last outputs, fewer than a block, one after another.
    fn singly(
        w: &[f32],
        width: usize,
        out: &mut [[f32; 4]; OUTPUTS],
        one: impl Fn(&[f32], &mut [[f32; 4]; OUTPUTS]),
    ) {
        for (w, out) in w.chunks_exact(width).zip(out) {
            let mut block = [[0f32; 4]; OUTPUTS];
            one(w, &mut block);
            *out = block[0];
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::{FEW_ROWS, linear, portable, takes};
    use crate::kernels::check::{assert_close, flat, noise, same_on_any_number_of_threads, tensor};

    fn reference(x: &Tensor, w: &Tensor) -> Vec<f64> {
        let (n, width) = x.dims2().unwrap();
        let outputs = w.dim(0).unwrap();
        let (x, w) = (flat(x), flat(w));
        (0..n * outputs)
            .map(|i| {
                let (row, output) = (i / outputs, i % outputs);
                let x = &x[row * width..][..width];
                let w = &w[output * width..][..width];
                x.iter()
                    .zip(w)
                    .map(|(x, w)| f64::from(*x) * f64::from(*w))
                    .sum()
            })
            .collect()
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        flat(tensor).into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_shape_gives_the_sums() {
        for (n, width, outputs) in [
            (1, 1, 1),
            (1, 64, 4),
            (2, 37, 9),
            (5, 130, 31),
            (FEW_ROWS, 48, 7),
            (3, 1024, 150),
        ] {
            let (x, w) = (tensor(&[n, width], 1), tensor(&[outputs, width], 2));
            assert_close(&flat(&linear(&x, &w).unwrap()), &reference(&x, &w), 2e-6);
            let (x, w) = (noise(width, 1), noise(width * 4, 2));
            let mut block = [[0f32; 4]; 4];
            portable(&w, &x, width, &mut block);
            let want: Vec<f64> = w
                .chunks_exact(width)
                .map(|w| {
                    w.iter()
                        .zip(&x)
                        .map(|(w, x)| f64::from(*w) * f64::from(*x))
                        .sum()
                })
                .collect();
            assert_close(&block.map(|row| row[0]), &want, 2e-6);
        }
    }

    #[test]
    fn a_row_gives_the_same_bits_in_any_company_and_with_any_outputs() {
        let (x, w) = (tensor(&[11, 203], 3), tensor(&[45, 203], 4));
        let all = linear(&x, &w).unwrap();
        for row in 0..11 {
            let alone = linear(&x.narrow(0, row, 1).unwrap(), &w).unwrap();
            assert_eq!(bits(&alone), bits(&all.narrow(0, row, 1).unwrap()), "{row}");
        }
        for (first, count) in [(0, 1), (3, 10), (44, 1)] {
            let some = linear(&x, &w.narrow(0, first, count).unwrap()).unwrap();
            let want = all.narrow(1, first, count).unwrap();
            assert_eq!(bits(&some), bits(&want), "{first}");
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let (x, w) = (tensor(&[3, 512], 5), tensor(&[700, 512], 6));
        same_on_any_number_of_threads(|| linear(&x, &w).unwrap());
    }

    #[test]
    fn many_rows_and_other_precisions_are_left_to_others() {
        let x = tensor(&[2, 8], 7);
        assert!(takes(&x, 1) && takes(&x, FEW_ROWS));
        assert!(!takes(&x, 0) && !takes(&x, FEW_ROWS + 1));
        assert!(!takes(&x.to_dtype(candle_core::DType::F16).unwrap(), 1));
        let wide = tensor(&[2, 9], 8);
        assert!(linear(&x, &wide).is_err());
    }
}
