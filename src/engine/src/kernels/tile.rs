//! The inner loop of convolutions and attention: `C[m, j] += Σ_r W[m, r] · X[offsets[r] + j]`.
//!
//! `W` is packed in panels of a few rows ([`Packed`]). A block of one panel and a few vectors of
//! columns stays in registers while `r` runs over the whole sum; each step reads the columns
//! where they lie, through an offset, so the same loop is a matrix product (`offsets[r] = r · ld`)
//! and a convolution with any dilation (several offsets inside one row). Each value of `C` is one
//! chain of multiply-adds in the order of `r`, so splitting rows, columns or the sum itself
//! changes no bit of the result.

use super::{
    parallel::filled,
    simd::{self, Isa, mul_add},
};

/// Columns of a register tile are at most this many; buffers are padded to a multiple of it.
pub(super) const COLUMNS: usize = 32;

/// Rows of the panels for an instruction set, largest first; the rest of a matrix that does not
/// fill the largest goes to the smallest that holds it.
fn panel_sizes(isa: Isa) -> &'static [usize] {
    match isa {
        // 12 × 2 accumulators of 32 registers.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &[12, 8, 4, 2],
        // 6 × 2 accumulators of 16 registers.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &[6, 4, 2],
        Isa::Portable => &[4, 2],
    }
}

/// The widest panel for this machine.
pub(super) fn panel_rows() -> usize {
    panel_sizes(simd::isa())[0]
}

/// A panel: `rows` rows of a [`Packed`] matrix from `first_row`, padded with zeros to `size`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) size: usize,
    start: usize,
}

impl Panel {
    /// Columns `from..to` of its sum, in the `data` of the whole matrix.
    pub(super) fn slice<'a>(&self, data: &'a [f32], from: usize, to: usize) -> PanelSlice<'a> {
        PanelSlice {
            size: self.size,
            data: &data[self.start..][from * self.size..to * self.size],
        }
    }
}

/// How a matrix `[rows, depth]` is cut into panels, each stored column by column.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    list: Vec<Panel>,
    depth: usize,
    len: usize,
}

impl Panels {
    pub(super) fn new(rows: usize, depth: usize) -> Self {
        let sizes = panel_sizes(simd::isa());
        let mut list = Vec::with_capacity(rows.div_ceil(sizes[0]));
        let (mut first_row, mut len) = (0, 0);
        while first_row < rows {
            let left = rows - first_row;
            let size = *sizes
                .iter()
                .rev()
                .find(|&&size| size >= left)
                .unwrap_or(&sizes[0]);
            let rows = left.min(size);
            list.push(Panel {
                first_row,
                rows,
                size,
                start: len,
            });
            first_row += rows;
            len += size * depth;
        }
        Self { list, depth, len }
    }

    pub(super) fn list(&self) -> &[Panel] {
        &self.list
    }

    /// Values of the whole matrix, padding included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Sets all of `data`, a panel at a time: `fill` gets columns of `panel.size` values and sets the first
    /// `panel.rows` of each.
    pub(super) fn fill_panels(&self, data: &mut [f32], fill: impl Fn(&Panel, &mut [f32])) {
        for panel in &self.list {
            let data = &mut data[panel.start..][..panel.size * self.depth];
            if panel.rows < panel.size {
                data.fill(0.0);
            }
            fill(panel, data);
        }
    }
}

/// A matrix with its values.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    data: Vec<f32>,
    panels: Panels,
}

impl Packed {
    /// The matrix of the values `value(row, depth index)`.
    #[expect(unsafe_code, reason = "memory is written before it is read")]
    pub(super) fn new(rows: usize, depth: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let panels = Panels::new(rows, depth);
        let fill = |data: &mut [f32]| {
            panels.fill_panels(data, |panel, data| {
                for (r, column) in data.chunks_exact_mut(panel.size).enumerate() {
                    for (i, slot) in column[..panel.rows].iter_mut().enumerate() {
                        *slot = value(panel.first_row + i, r);
                    }
                }
            });
        };
        // SAFETY: the panels are all of it.
        let data = unsafe { filled(panels.len(), fill) };
        Self { data, panels }
    }

    pub(super) fn panels(&self) -> &[Panel] {
        self.panels.list()
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }

    /// Columns `from..to` of the sum, of one panel.
    pub(super) fn slice(&self, panel: &Panel, from: usize, to: usize) -> PanelSlice<'_> {
        panel.slice(&self.data, from, to)
    }
}

/// Part of a panel's sum, ready for [`accumulate`].
#[derive(Clone, Copy)]
pub(super) struct PanelSlice<'a> {
    pub(super) size: usize,
    pub(super) data: &'a [f32],
}

/// `c[m · ld_c + j] += Σ_r panel[m, r] · x[offsets[r] + j]` for all `j < columns`.
///
/// `columns` is a multiple of [`COLUMNS`]; `c` holds `panel.size` rows, padding rows included.
pub(super) fn accumulate(
    panel: PanelSlice<'_>,
    offsets: &[u32],
    x: &[f32],
    c: &mut [f32],
    ld_c: usize,
    columns: usize,
) {
    let furthest = offsets.iter().max().map_or(0, |&offset| offset as usize);
    assert!(
        columns.is_multiple_of(COLUMNS)
            && panel.data.len() == offsets.len() * panel.size
            && furthest + columns <= x.len()
            && (panel.size - 1) * ld_c + columns <= c.len(),
        "a block stays inside its buffers"
    );
    let args = Args {
        w: panel.data,
        offsets,
        x,
        ld_c,
        columns,
    };
    run(simd::isa(), panel.size, &args, c);
}

fn run(isa: Isa, rows: usize, args: &Args<'_>, c: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::avx512(rows, args, c),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::avx2(rows, args, c),
        Isa::Portable => match rows {
            2 => portable::<2>(args, c),
            _ => portable::<4>(args, c),
        },
    }
}

/// What a loop may rely on: checked by [`accumulate`].
struct Args<'a> {
    w: &'a [f32],
    offsets: &'a [u32],
    x: &'a [f32],
    ld_c: usize,
    columns: usize,
}

/// `M` rows by 8 columns in registers, left to the compiler.
fn portable<const M: usize>(args: &Args<'_>, c: &mut [f32]) {
    const N: usize = 8;
    for j in (0..args.columns).step_by(N) {
        let (x, c) = (&args.x[j..], &mut c[j..]);
        let mut acc = [[0f32; N]; M];
        for (m, acc) in acc.iter_mut().enumerate() {
            acc.copy_from_slice(&c[m * args.ld_c..][..N]);
        }
        for (w, &offset) in args.w.chunks_exact(M).zip(args.offsets) {
            let x = &x[offset as usize..][..N];
            for m in 0..M {
                for n in 0..N {
                    acc[m][n] = mul_add::<{ simd::PORTABLE_FMA }>(w[m], x[n], acc[m][n]);
                }
            }
        }
        for (m, acc) in acc.iter().enumerate() {
            c[m * args.ld_c..][..N].copy_from_slice(acc);
        }
    }
}

/// The same with the vectors written out: left to the compiler, these loops were fast at one
/// optimisation level and thirty times slower at another.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector loads inside bounds checked by `accumulate`"
)]
mod x86 {
    use super::Args;
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    /// Vectors of columns in a block.
    const N: usize = 2;

    macro_rules! kernel {
        ($name:ident, $features:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $set1:ident, $fma:ident) => {
            #[target_feature(enable = $features)]
            fn $name<const M: usize>(args: &Args<'_>, c: &mut [f32]) {
                for j in (0..args.columns).step_by(N * $lanes) {
                    let mut acc = [[$zero(); N]; M];
                    for (m, acc) in acc.iter_mut().enumerate() {
                        // SAFETY: row m and columns j.. lie in `c`, as `accumulate` has checked.
                        *acc = unsafe {
                            let c = c.as_ptr().add(m * args.ld_c + j);
                            std::array::from_fn(|n| $load(c.add(n * $lanes)))
                        };
                    }
                    for (w, &offset) in args.w.chunks_exact(M).zip(args.offsets) {
                        // SAFETY: every offset + columns ≤ x.len().
                        let x: [_; N] = unsafe {
                            let x = args.x.as_ptr().add(offset as usize + j);
                            std::array::from_fn(|n| $load(x.add(n * $lanes)))
                        };
                        for m in 0..M {
                            let w = $set1(w[m]);
                            for n in 0..N {
                                acc[m][n] = $fma(w, x[n], acc[m][n]);
                            }
                        }
                    }
                    for m in 0..M {
                        for n in 0..N {
                            // SAFETY: as for the loads.
                            unsafe {
                                $store(
                                    c.as_mut_ptr().add(m * args.ld_c + j + n * $lanes),
                                    acc[m][n],
                                )
                            };
                        }
                    }
                }
            }
        };
    }
    kernel!(
        rows512,
        "avx512f,fma",
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps
    );
    kernel!(
        rows256,
        "avx2,fma",
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps
    );

    pub(super) fn avx512(rows: usize, args: &Args<'_>, c: &mut [f32]) {
        // SAFETY: the caller asked `simd::isa`, which found AVX-512 F and FMA.
        unsafe {
            match rows {
                2 => rows512::<2>(args, c),
                4 => rows512::<4>(args, c),
                8 => rows512::<8>(args, c),
                _ => rows512::<12>(args, c),
            }
        }
    }

    pub(super) fn avx2(rows: usize, args: &Args<'_>, c: &mut [f32]) {
        // SAFETY: the caller asked `simd::isa`, which found AVX2 and FMA.
        unsafe {
            match rows {
                2 => rows256::<2>(args, c),
                4 => rows256::<4>(args, c),
                _ => rows256::<6>(args, c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Isa, accumulate, panel_sizes, run};
    use crate::kernels::check::{assert_close, noise};
    use crate::kernels::simd;

    /// Every instruction set of this machine, not only the one it would choose.
    fn instruction_sets() -> Vec<Isa> {
        let mut sets = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        if simd::isa() != Isa::Portable {
            sets.push(Isa::Avx2);
        }
        if !sets.contains(&simd::isa()) {
            sets.push(simd::isa());
        }
        sets
    }

    #[test]
    fn every_instruction_set_and_panel_gives_the_sum() {
        let (columns, depth, ld_x, ld_c) = (96, 53, 131, 107);
        let offsets: Vec<u32> = (0..depth).map(|r| (r * ld_x + r % 7) as u32).collect();
        let x = noise(depth * ld_x, 1);
        for isa in instruction_sets() {
            for &rows in panel_sizes(isa) {
                let w = noise(rows * depth, 2);
                let start = noise(rows * ld_c, 3);
                let mut want: Vec<f64> = start.iter().map(|&v| f64::from(v)).collect();
                for m in 0..rows {
                    for (r, &offset) in offsets.iter().enumerate() {
                        for j in 0..columns {
                            want[m * ld_c + j] +=
                                f64::from(w[r * rows + m]) * f64::from(x[offset as usize + j]);
                        }
                    }
                }
                let mut c = start.clone();
                let args = Args {
                    w: &w,
                    offsets: &offsets,
                    x: &x,
                    ld_c,
                    columns,
                };
                run(isa, rows, &args, &mut c);
                assert_close(&c, &want, 1e-5);
                // Columns between two rows are not ours.
                assert_eq!(
                    c[columns..ld_c],
                    start[columns..ld_c],
                    "{isa:?}, {rows} rows"
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "stays inside")]
    fn a_block_that_leaves_its_buffer_is_refused() {
        let panel = super::PanelSlice {
            size: 2,
            data: &[0.0; 2],
        };
        accumulate(panel, &[5], &[0.0; 36], &mut [0.0; 64], 32, 32);
    }
}
