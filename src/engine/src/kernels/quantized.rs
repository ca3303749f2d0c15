//! Linear layers over quantised weights.
//!
//! [`Blocks`] are a matrix as a GGUF file holds it. For a product they are put in order once
//! ([`Panels`]): sixteen rows side by side, so that a step of one token streams through memory
//! and reads nothing but the weights, and many rows of activations share every weight that is
//! unpacked. Weights stay the integers they are, and so do activations: sixteen bits for every 32
//! values, whose products are added exactly. For a few rows what sixteen bits leave over is kept
//! too, which is as close as f32 and costs nothing where the memory is what is waited for; many
//! rows are rounded (half a step is 2⁻¹⁶ of the largest of the 32, where candle's and llama.cpp's
//! kernels keep eight bits), which is twice as fast as f32 where there is VNNI.
//!
//! A value of the result is one sum in one order, whatever the outputs beside it, the threads or
//! the instruction set, as long as that has a fused multiply-add; and whatever the number of rows,
//! as long as they are few or many.

mod activations;
mod blocks;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod body;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
mod product;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::{fmt, sync::Arc};

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

pub use blocks::{Format, quantize};
pub(crate) use panels::LANES;
pub use panels::{ALIGNMENT, Panels, arranged};

/// Bytes held somewhere: a mapped file, the program itself, memory.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A quantised matrix `[rows, width]` as a file holds it, in host memory. Cloning is cheap.
#[derive(Clone)]
pub struct Blocks {
    bytes: SharedBytes,
    /// Where its first row begins.
    start: usize,
    format: Format,
    rows: usize,
    width: usize,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocks[{}, {}; {}]", self.rows, self.width, self.format)
    }
}

impl Blocks {
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

    /// Its blocks, row by row.
    pub fn data(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.start..self.start + self.rows * self.row_bytes()]
    }

    fn row_bytes(&self) -> usize {
        // `new` has seen that the row divides.
        self.width / self.format.block_values() * self.format.block_bytes()
    }

    /// The values it stands for, exactly: `[rows, width]`, f32.
    ///
    /// # Errors
    /// Too little memory.
    pub fn dequantize(&self) -> Result<Tensor> {
        let mut out = vec![0f32; self.rows * self.width];
        let rows = (16 * 1024 / self.width.max(1)).max(1);
        if !out.is_empty() {
            out.par_chunks_mut(rows * self.width)
                .zip(self.data().par_chunks(rows * self.row_bytes()))
                .for_each(|(out, data)| blocks::decode(self.format, data, out));
        }
        Tensor::from_vec(out, (self.rows, self.width), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests;
