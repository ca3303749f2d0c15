//! The inner loop of convolutions and attention: `C[m, j] += Σ_r W[m, r] · X[offsets[r] + j]`.
//!
//! `W` is packed in panels of a few rows ([`Packed`]). A block of one panel and a few vectors of
//! columns stays in registers while `r` runs over the whole sum; each step reads the columns
//! where they lie, through an offset, so the same loop is a matrix product (`offsets[r] = r · ld`)
//! and a convolution with any dilation (several offsets inside one row). Each value of `C` is one
//! chain of multiply-adds in the order of `r`, so splitting rows, columns or the sum itself
//! changes no bit of the result.

use super::simd::{self, Isa, mul_add};

/// Columns of a register tile are at most this many; buffers are padded to a multiple of it.
pub(super) const COLUMNS: usize = 32;

/// Rows of the panels for an instruction set, largest first; the rest of a matrix that does not
/// fill the largest goes to the smallest that holds it.
fn panel_sizes() -> &'static [usize] {
    match simd::isa() {
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
    panel_sizes()[0]
}

/// A panel: `rows` rows of a [`Packed`] matrix from `first_row`, padded with zeros to `size`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) size: usize,
    start: usize,
}

/// A matrix `[rows, depth]` cut into panels, each stored column by column.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    data: Vec<f32>,
    panels: Vec<Panel>,
    depth: usize,
}

impl Packed {
    /// Zeros, to be filled by [`Packed::fill`].
    pub(super) fn zeros(rows: usize, depth: usize) -> Self {
        let sizes = panel_sizes();
        let mut panels = Vec::with_capacity(rows.div_ceil(sizes[0]));
        let (mut first_row, mut start) = (0, 0);
        while first_row < rows {
            let left = rows - first_row;
            let size = *sizes
                .iter()
                .rev()
                .find(|&&size| size >= left)
                .unwrap_or(&sizes[0]);
            let rows = left.min(size);
            panels.push(Panel {
                first_row,
                rows,
                size,
                start,
            });
            first_row += rows;
            start += size * depth;
        }
        Self {
            data: vec![0.0; start],
            panels,
            depth,
        }
    }

    /// Sets every value from `value(row, depth index)`.
    pub(super) fn fill(mut self, value: impl Fn(usize, usize) -> f32) -> Self {
        for panel in &self.panels {
            let data = &mut self.data[panel.start..][..panel.size * self.depth];
            for (r, column) in data.chunks_exact_mut(panel.size).enumerate() {
                for (i, slot) in column[..panel.rows].iter_mut().enumerate() {
                    *slot = value(panel.first_row + i, r);
                }
            }
        }
        self
    }

    pub(super) fn panels(&self) -> &[Panel] {
        &self.panels
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }

    /// Columns `from..to` of the sum, of one panel.
    pub(super) fn slice(&self, panel: &Panel, from: usize, to: usize) -> PanelSlice<'_> {
        PanelSlice {
            size: panel.size,
            data: &self.data[panel.start..][from * panel.size..to * panel.size],
        }
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
    debug_assert_eq!(columns % COLUMNS, 0);
    debug_assert_eq!(panel.data.len(), offsets.len() * panel.size);
    let args = Args {
        w: panel.data,
        offsets,
        x,
        ld_c,
        columns,
    };
    match simd::isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::avx512(panel.size, &args, c),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::avx2(panel.size, &args, c),
        Isa::Portable => match panel.size {
            2 => run::<2, 8, { simd::PORTABLE_FMA }>(&args, c),
            _ => run::<4, 8, { simd::PORTABLE_FMA }>(&args, c),
        },
    }
}

struct Args<'a> {
    w: &'a [f32],
    offsets: &'a [u32],
    x: &'a [f32],
    ld_c: usize,
    columns: usize,
}

/// `M` rows by `N` columns held in registers, over all columns.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn run<const M: usize, const N: usize, const FMA: bool>(args: &Args<'_>, c: &mut [f32]) {
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
                    acc[m][n] = mul_add::<FMA>(w[m], x[n], acc[m][n]);
                }
            }
        }
        for (m, acc) in acc.iter().enumerate() {
            c[m * args.ld_c..][..N].copy_from_slice(acc);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a function of an instruction set is called after asking for it"
)]
mod x86 {
    use super::{Args, run};

    pub(super) fn avx512(rows: usize, args: &Args<'_>, c: &mut [f32]) {
        #[target_feature(enable = "avx512f,fma")]
        fn inner<const M: usize>(args: &Args<'_>, c: &mut [f32]) {
            run::<M, 32, true>(args, c);
        }
        // SAFETY: the caller asked `simd::isa`, which found AVX-512 F and FMA.
        unsafe {
            match rows {
                2 => inner::<2>(args, c),
                4 => inner::<4>(args, c),
                8 => inner::<8>(args, c),
                _ => inner::<12>(args, c),
            }
        }
    }

    pub(super) fn avx2(rows: usize, args: &Args<'_>, c: &mut [f32]) {
        #[target_feature(enable = "avx2,fma")]
        fn inner<const M: usize>(args: &Args<'_>, c: &mut [f32]) {
            run::<M, 16, true>(args, c);
        }
        // SAFETY: the caller asked `simd::isa`, which found AVX2 and FMA.
        unsafe {
            match rows {
                2 => inner::<2>(args, c),
                4 => inner::<4>(args, c),
                _ => inner::<6>(args, c),
            }
        }
    }
}
