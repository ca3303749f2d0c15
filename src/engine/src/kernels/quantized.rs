//! Linear layers over quantised weights, decoded while they are multiplied.
//!
//! A [`Packed`] matrix stays as the file holds it, so a mapped file is used where it lies and a
//! step of one token reads nothing but the blocks. Every weight is decoded to the f32 value its
//! block stands for (exactly: no format here needs more than 24 bits) and multiplied with the
//! activations in f32, which are never rounded to eight bits as candle's kernels do. A few rows
//! therefore give the bits that [`matvec`] gives for the decoded matrix: one sum in one order,
//! whatever the number of rows, the outputs beside it or the threads.

mod blocks;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::{fmt, ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

pub use blocks::{Format, quantize};

use super::conv1d::values;
use super::matvec::{self, FEW_ROWS, OUTPUTS};
use super::parallel::{SharedOut, for_each_with_scratch};

/// Rows of activations from which on a block of weights is decoded to memory once, instead of
/// into registers for every few rows.
const DECODE_FIRST: usize = 12;

/// Values of a decoded block of a long product: large enough for the matrix product to be quick,
/// small enough to be no burden.
const DECODED_VALUES: usize = 4 << 20;

/// Bytes held somewhere: a mapped file, the program itself, memory.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A quantised matrix `[rows, width]` in host memory, or some rows of one. Cloning is cheap.
#[derive(Clone)]
pub struct Packed {
    bytes: SharedBytes,
    /// Where its first row begins.
    start: usize,
    format: Format,
    rows: usize,
    width: usize,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed[{}, {}; {}]", self.rows, self.width, self.format)
    }
}

impl Packed {
    /// The matrix whose blocks begin at `start` of `bytes`.
    ///
    /// # Errors
    /// A row is no whole number of blocks, or the bytes end too early.
    pub fn new(
        bytes: SharedBytes,
        start: usize,
        format: Format,
        (rows, width): (usize, usize),
    ) -> Result<Self> {
        let Some(row_bytes) = format.row_bytes(width) else {
            bail!(
                "rows of {width} values are no whole number of {format} blocks of {}",
                format.block_values()
            );
        };
        let end = rows
            .checked_mul(row_bytes)
            .and_then(|len| len.checked_add(start));
        let held = (*bytes).as_ref().len();
        if end.is_none_or(|end| end > held) {
            bail!("{rows} rows of {width} {format} values from byte {start} are not in {held}");
        }
        Ok(Self {
            bytes,
            start,
            format,
            rows,
            width,
        })
    }

    /// How its blocks are made.
    pub fn format(&self) -> Format {
        self.format
    }

    /// `[rows, width]`.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.width)
    }

    /// Bytes of its blocks.
    pub fn data(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.start..self.start + self.rows * self.row_bytes()]
    }

    fn row_bytes(&self) -> usize {
        // `new` has seen that the row divides.
        self.width / self.format.block_values() * self.format.block_bytes()
    }

    /// Some of its rows, without a copy.
    ///
    /// # Errors
    /// The range is not inside.
    pub fn narrow(&self, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > self.rows {
            bail!("rows {rows:?} of a matrix of {}", self.rows);
        }
        Ok(Self {
            start: self.start + rows.start * self.row_bytes(),
            rows: rows.len(),
            ..self.clone()
        })
    }

    /// `x` `[n, width]` (f32) times the transposed matrix: `[n, rows]`.
    ///
    /// # Errors
    /// Another width, dtype or device.
    pub fn linear(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(&Product(self))
    }

    /// The rows of `ids`, which are below the number of rows: `[ids, width]`, f32.
    ///
    /// # Errors
    /// An id is too large.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let mut out = vec![0f32; ids.len() * self.width];
        let (data, row_bytes) = (self.data(), self.row_bytes());
        for (id, out) in ids.iter().zip(out.chunks_mut(self.width.max(1))) {
            let first = *id as usize * row_bytes;
            let Some(row) = data.get(first..first + row_bytes) else {
                bail!("row {id} of a matrix of {}", self.rows);
            };
            decode(self.format, row, out);
        }
        Tensor::from_vec(out, (ids.len(), self.width), &Device::Cpu)
    }

    /// The values it stands for: `[rows, width]`, f32.
    ///
    /// # Errors
    /// Too little memory.
    pub fn dequantize(&self) -> Result<Tensor> {
        let mut out = vec![0f32; self.rows * self.width];
        self.decode_parallel(self.data(), &mut out);
        Tensor::from_vec(out, (self.rows, self.width), &Device::Cpu)
    }

    /// Decodes whole rows on all threads.
    fn decode_parallel(&self, data: &[u8], out: &mut [f32]) {
        let rows = (16 * 1024 / self.width.max(1)).max(1);
        out.par_chunks_mut(rows * self.width)
            .zip(data.par_chunks(rows * self.row_bytes()))
            .for_each(|(out, data)| decode(self.format, data, out));
    }

    /// `[n, rows]` for a few rows of `x`.
    #[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
    fn few(&self, x: &[f32], out: &mut [f32]) {
        /// Weights of a task: enough to make starting it cheap, few enough to share evenly.
        const TASK_VALUES: usize = 64 * 1024;
        let n = x.len() / self.width;
        let (data, row_bytes) = (self.data(), self.row_bytes());
        let group = (TASK_VALUES / self.width)
            .next_multiple_of(OUTPUTS)
            .max(OUTPUTS);
        let out = SharedOut::new(out);
        let scratch = || (Vec::new(), Vec::new());
        for_each_with_scratch(self.rows.div_ceil(group), scratch, |scratch, task| {
            let (products, decoded) = scratch;
            let first = task * group;
            let count = group.min(self.rows - first);
            products.resize(count * n, 0.0);
            let data = &data[first * row_bytes..][..count * row_bytes];
            self.dots(data, x, decoded, products);
            for row in 0..n {
                // SAFETY: each range of outputs belongs to one task, in every row.
                let out = unsafe { out.slice(row * self.rows + first, count) };
                for (output, value) in out.iter_mut().enumerate() {
                    *value = products[output * n + row];
                }
            }
        });
    }

    /// The product of every row of `data` with every row of `x`, `[outputs, n]`.
    fn dots(&self, data: &[u8], x: &[f32], decoded: &mut Vec<f32>, out: &mut [f32]) {
        let n = x.len() / self.width;
        if n < DECODE_FIRST && fused_dots(self.format, data, x, self.width, out) {
            return;
        }
        let rows = data.chunks(OUTPUTS * self.row_bytes());
        for (data, out) in rows.zip(out.chunks_mut(OUTPUTS * n)) {
            decoded.resize(out.len() / n * self.width, 0.0);
            decode(self.format, data, decoded);
            matvec::dots(decoded, x, self.width, out);
        }
    }

    /// `[n, rows]` for many rows of `x`: blocks of weights are decoded and given to the matrix
    /// product of the f32 layers.
    #[expect(unsafe_code, reason = "the matrix product takes pointers")]
    fn many(&self, x: &[f32], out: &mut [f32]) {
        let n = x.len() / self.width;
        let (data, row_bytes) = (self.data(), self.row_bytes());
        let group = (DECODED_VALUES / self.width).clamp(OUTPUTS, self.rows.max(OUTPUTS));
        let threads = match rayon::current_num_threads() {
            1 => gemm::Parallelism::None,
            threads => gemm::Parallelism::Rayon(threads),
        };
        let mut decoded = vec![0f32; group.min(self.rows) * self.width];
        for first in (0..self.rows).step_by(group) {
            let count = group.min(self.rows - first);
            let decoded = &mut decoded[..count * self.width];
            self.decode_parallel(&data[first * row_bytes..][..count * row_bytes], decoded);
            let out = &mut out[first..];
            assert!(
                out.len() >= (n - 1) * self.rows + count && decoded.len() == count * self.width,
                "the product has a place"
            );
            // SAFETY: x is [n, width] and decoded [count, width], both without gaps; row r of the
            // result begins at r * rows and has `count` values, inside `out` as asserted.
            unsafe {
                gemm::gemm(
                    n,
                    count,
                    self.width,
                    out.as_mut_ptr(),
                    1,
                    self.rows as isize,
                    false,
                    x.as_ptr(),
                    1,
                    self.width as isize,
                    decoded.as_ptr(),
                    self.width as isize,
                    1,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    threads,
                );
            }
        }
    }
}

/// Decodes whole blocks.
fn decode(format: Format, data: &[u8], out: &mut [f32]) {
    use super::simd::{Isa, isa};
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::decode_avx512(format, data, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::decode_avx2(format, data, out),
        Isa::Portable => blocks::decode(format, data, out),
    }
}

/// [`Packed::dots`] decoding into registers; `false` where this machine has no such kernel.
fn fused_dots(format: Format, data: &[u8], x: &[f32], width: usize, out: &mut [f32]) -> bool {
    use super::simd::{Isa, isa};
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::dots_avx512(format, data, x, width, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::dots_avx2(format, data, x, width, out),
        Isa::Portable => return false,
    }
    #[cfg(target_arch = "x86_64")]
    true
}

struct Product<'a>(&'a Packed);

impl CustomOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "linear-quantized"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, width) = layout.shape().dims2()?;
        let (rows, own) = self.0.dims();
        if width != own {
            bail!("linear: rows of {width} values do not fit weights of {own}");
        }
        let x = values(x, layout)?;
        let mut out = vec![0f32; n * rows];
        if width > 0 && !out.is_empty() {
            if n <= FEW_ROWS {
                self.0.few(x, &mut out);
            } else {
                self.0.many(x, &mut out);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((n, rows))))
    }
}

#[cfg(test)]
mod tests;
