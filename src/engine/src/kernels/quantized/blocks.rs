//! The block formats of GGUF: sizes, what a block stands for, and making them.
//!
//! Layouts as published with ggml (`ggml-common.h`, `ggml-quants.c`). Blocks of 32 values have one
//! scale; superblocks of 256 have scales of their own for every 32 (or 16), stored in few bits and
//! multiplied by one in half precision.

use std::fmt;

use candle_core::{
    Device, Result, Tensor, bail,
    quantized::{GgmlDType, QTensor},
};
use half::f16;
use rayon::prelude::*;

/// Values that share one part of a block: what the kernels decode at a time.
pub(super) const PART: usize = 32;

/// A block format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Eight bits and a scale for 32 values: 8.5 bits each.
    Q8_0,
    /// Four bits, a scale and a minimum for 32 values: 4.5 bits each.
    Q4K,
    /// Five bits likewise: 5.5 bits each.
    Q5K,
    /// Six bits and a scale for 16 values: 6.5625 bits each.
    Q6K,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Q8_0, Self::Q4K, Self::Q5K, Self::Q6K];

    /// The name in GGUF tools.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Values of a block.
    pub const fn block_values(self) -> usize {
        match self {
            Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row of `width` values; `None` when that is no whole number of blocks.
    pub const fn row_bytes(self, width: usize) -> Option<usize> {
        if width.is_multiple_of(self.block_values()) {
            (width / self.block_values()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// candle's name for it.
    pub const fn ggml(self) -> GgmlDType {
        match self {
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4K => GgmlDType::Q4K,
            Self::Q5K => GgmlDType::Q5K,
            Self::Q6K => GgmlDType::Q6K,
        }
    }
}

/// Blocks for a matrix `[rows, width]` whose rows `fill` writes; made on all threads.
///
/// # Errors
/// A row is no whole number of blocks.
pub fn quantize(
    format: Format,
    (rows, width): (usize, usize),
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Vec<u8>> {
    let Some(row_bytes) = format.row_bytes(width).filter(|bytes| *bytes > 0) else {
        bail!("rows of {width} values are no whole number of {format} blocks");
    };
    let mut out = vec![0u8; rows * row_bytes];
    let together = (64 * 1024 / width).max(1);
    out.par_chunks_mut(together * row_bytes)
        .enumerate()
        .try_for_each(|(chunk, out)| -> Result<()> {
            let rows = out.len() / row_bytes;
            let mut values = vec![0f32; rows * width];
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                fill(chunk * together + row, values);
            }
            let values = Tensor::from_vec(values, (rows, width), &Device::Cpu)?;
            let blocks = QTensor::quantize(&values, format.ggml())?;
            out.copy_from_slice(&blocks.data()?);
            Ok(())
        })?;
    Ok(out)
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Scales and minima of the eight parts of a Q4_K or Q5_K block: six bits each in twelve bytes.
/// The four low ones lie in bytes 0–3 (and 4–7 for the minima), their two spare bits hold the
/// high bits of the four high ones, whose low nibbles share bytes 8–11.
pub(super) fn six_bits(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    const SIX: u32 = 0x3f3f_3f3f;
    const FOUR: u32 = 0x0f0f_0f0f;
    const TWO: u32 = 0x0303_0303;
    let word = |at: usize| {
        u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], packed[at + 3]])
    };
    let (scales, minima, high) = (word(0), word(4), word(8));
    let join = |low: u32, high: u32| (u64::from(low & SIX) | u64::from(high) << 32).to_le_bytes();
    (
        join(scales, (high & FOUR) | ((scales >> 6) & TWO) << 4),
        join(minima, ((high >> 4) & FOUR) | ((minima >> 6) & TWO) << 4),
    )
}

/// The values of whole blocks, in plain Rust.
pub(super) fn decode(format: Format, data: &[u8], out: &mut [f32]) {
    let blocks = data.chunks_exact(format.block_bytes());
    for (block, out) in blocks.zip(out.chunks_exact_mut(format.block_values())) {
        match format {
            Format::Q8_0 => {
                let scale = half(block, 0);
                for (out, q) in out.iter_mut().zip(&block[2..]) {
                    *out = scale * f32::from(*q as i8);
                }
            }
            Format::Q4K | Format::Q5K => decode_with_minima(format, block, out),
            Format::Q6K => decode_q6k(block, out),
        }
    }
}

fn decode_with_minima(format: Format, block: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    let mut packed = [0; 12];
    packed.copy_from_slice(&block[4..16]);
    let (scales, minima) = six_bits(&packed);
    let (high, low) = match format {
        Format::Q5K => (Some(&block[16..48]), &block[48..]),
        _ => (None, &block[16..]),
    };
    for (part, out) in out.chunks_exact_mut(PART).enumerate() {
        let scale = scale * f32::from(scales[part]);
        let minimum = minimum * f32::from(minima[part]);
        let low = &low[part / 2 * PART..][..PART];
        let shift = part % 2 * 4;
        for (i, out) in out.iter_mut().enumerate() {
            let fifth = high.map_or(0, |high| (high[i] >> part & 1) << 4);
            *out = scale * f32::from(low[i] >> shift & 15 | fifth) - minimum;
        }
    }
}

/// The 256 values of a Q6_K block before offset and scale, six bits each.
pub(super) fn six_bit_values(block: &[u8]) -> [u8; 8 * PART] {
    let (low, high) = (&block[..128], &block[128..192]);
    let mut out = [0; 8 * PART];
    for (part, out) in out.chunks_exact_mut(PART).enumerate() {
        let (side, quarter) = (part / 4, part % 4);
        let low = &low[side * 64 + quarter % 2 * PART..][..PART];
        let high = &high[side * PART..][..PART];
        for (i, out) in out.iter_mut().enumerate() {
            *out = low[i] >> (quarter / 2 * 4) & 15 | (high[i] >> (quarter * 2) & 3) << 4;
        }
    }
    out
}

fn decode_q6k(block: &[u8], out: &mut [f32]) {
    let scales = &block[192..208];
    let scale = half(block, 208);
    for ((i, out), bits) in out.iter_mut().enumerate().zip(six_bit_values(block)) {
        let own = f32::from(scales[i / 16] as i8);
        *out = scale * own * (f32::from(bits) - 32.0);
    }
}
