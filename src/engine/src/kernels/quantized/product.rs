//! The product of panels with rounded activations: which kernel runs, and the one in plain Rust.
//!
//! For every run of values that share a scale, weights and activations are multiplied and added as
//! integers (at most 32 × 240 × 32767, below 2³¹); the sum is scaled by the activations' scale and
//! added, scaled by the weights', to the output's one running sum. Offsets are taken off with the
//! sum of the activations.

use std::ops::Range;

use half::f16;

use super::{
    activations::{Activations, Integers, REST},
    blocks::{Format, PART},
    panels::{LANES, PLANE, at},
};
use crate::kernels::simd;

/// Pairs of values in a part.
pub(super) const PAIRS: usize = PART / 2;

impl Format {
    /// Pairs of values that share a scale.
    pub(super) const fn run_pairs(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4K | Self::Q5K => PAIRS,
            Self::Q6K => PAIRS / 2,
        }
    }
}

/// A kernel that this machine can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX-512 BW.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Any machine.
    #[cfg_attr(
        all(target_arch = "aarch64", not(test)),
        expect(
            dead_code,
            reason = "every arm64 has NEON, so it only checks the other"
        )
    )]
    Portable,
}

impl Kernel {
    /// The best one.
    pub(super) fn best() -> Self {
        match simd::isa() {
            #[cfg(target_arch = "x86_64")]
            simd::Isa::Avx512 if is_x86_feature_detected!("avx512bw") => {
                if is_x86_feature_detected!("avx512vnni") {
                    Self::Vnni
                } else {
                    Self::Avx512
                }
            }
            #[cfg(target_arch = "x86_64")]
            simd::Isa::Avx512 | simd::Isa::Avx2 => Self::Avx2,
            #[cfg(target_arch = "aarch64")]
            simd::Isa::Portable => Self::Neon,
            #[cfg(not(target_arch = "aarch64"))]
            simd::Isa::Portable => Self::Portable,
        }
    }
}

/// One or two panels of `data` times some rows of `x`; `put` is given the row, the first output and
/// [`LANES`] values.
pub(super) fn multiply(
    format: Format,
    data: &[u8],
    x: &Activations,
    rows: Range<usize>,
    put: impl FnMut(usize, usize, &[f32; LANES]),
) {
    multiply_by(Kernel::best(), format, data, x, rows, put);
}

/// [`multiply`] by a kernel that this machine can run.
pub(super) fn multiply_by(
    kernel: Kernel,
    format: Format,
    data: &[u8],
    x: &Activations,
    rows: Range<usize>,
    mut put: impl FnMut(usize, usize, &[f32; LANES]),
) {
    let panel = x.width / format.block_values() * format.panel_block_bytes();
    assert!(
        x.width.is_multiple_of(format.block_values())
            && (data.len() == panel || data.len() == 2 * panel),
        "one or two whole panels"
    );
    let put: &mut dyn FnMut(usize, usize, &[f32; LANES]) = &mut put;
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Vnni => super::x86::vnni(format, data, x, rows, put),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => super::x86::avx512(format, data, x, rows, put),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => super::x86::avx2(format, data, x, rows, put),
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => super::neon::neon(format, data, x, rows, put),
        Kernel::Portable => {
            for (index, data) in data.chunks_exact(panel).enumerate() {
                for row in rows.clone() {
                    put(row, index * LANES, &portable(format, data, x, row));
                }
            }
        }
    }
}

fn half(block: &[u8], start: usize, lane: usize) -> f32 {
    let start = start + 2 * lane;
    f16::from_le_bytes([block[start], block[start + 1]]).to_f32()
}

/// Scale of a run of a lane.
fn scale(format: Format, block: &[u8], run: usize, lane: usize) -> f32 {
    let scale = half(block, 0, lane);
    match format {
        Format::Q8_0 => scale,
        Format::Q4K | Format::Q5K => scale * f32::from(block[at::SCALES + run * LANES + lane]),
        Format::Q6K => scale * f32::from(block[at::Q6K_SCALES + run * LANES + lane] as i8),
    }
}

/// What is taken off the values of a part of a lane.
fn minimum(format: Format, block: &[u8], part: usize, lane: usize) -> Option<f32> {
    match format {
        Format::Q8_0 | Format::Q6K => None,
        Format::Q4K | Format::Q5K => {
            let own = block[at::MINIMA + part * LANES + lane];
            Some(half(block, at::MINIMUM, lane) * f32::from(own))
        }
    }
}

/// Values of a pair of a part, `[lane][2]`.
fn pair(format: Format, block: &[u8], part: usize, pair: usize) -> [i16; 2 * LANES] {
    let plane = |start: usize, plane: usize| {
        let start = start + plane * PLANE + pair * 2 * LANES;
        &block[start..start + 2 * LANES]
    };
    let mut out = [0; 2 * LANES];
    match format {
        Format::Q8_0 => {
            for (out, q) in out.iter_mut().zip(plane(at::Q8_0_VALUES, 0)) {
                *out = i16::from(*q as i8);
            }
        }
        Format::Q4K => {
            let shift = part % 2 * 4;
            for (out, q) in out.iter_mut().zip(plane(at::AFTER_MINIMA, part / 2)) {
                *out = i16::from(q >> shift & 15);
            }
        }
        Format::Q5K => {
            let shift = part % 2 * 4;
            let low = plane(at::Q5K_NIBBLES, part / 2).iter();
            let high = plane(at::AFTER_MINIMA, 0);
            for ((out, q), high) in out.iter_mut().zip(low).zip(high) {
                *out = i16::from(q >> shift & 15 | (high >> part & 1) << 4);
            }
        }
        Format::Q6K => {
            let (side, own) = (part / 4 * 3, part % 4);
            let planes: [_; 3] = std::array::from_fn(|i| plane(at::Q6K_VALUES, side + i));
            for (i, out) in out.iter_mut().enumerate() {
                let bits = match planes.get(own) {
                    Some(plane) => plane[i] & 63,
                    None => planes[0][i] >> 6 | planes[1][i] >> 6 << 2 | planes[2][i] >> 6 << 4,
                };
                *out = i16::from(bits) - 32;
            }
        }
    }
    out
}

/// Appends the values that a lane of a block stands for.
pub(super) fn decode_lane(format: Format, block: &[u8], lane: usize, out: &mut Vec<f32>) {
    for part in 0..format.block_values() / PART {
        let minimum = minimum(format, block, part, lane);
        for index in 0..PAIRS {
            let run = (part * PAIRS + index) / format.run_pairs();
            let scale = scale(format, block, run, lane);
            let values = pair(format, block, part, index);
            out.extend(values[2 * lane..][..2].iter().map(|value| {
                let value = scale * f32::from(*value);
                minimum.map_or(value, |minimum| value - minimum)
            }));
        }
    }
}

fn portable(format: Format, panel: &[u8], x: &Activations, row: usize) -> [f32; LANES] {
    use simd::{PORTABLE_FMA, mul_add};
    let parts = x.width / PART;
    let scales = &x.scales[row * parts..][..parts];
    let (block_parts, x_width) = (format.block_values() / PART, x.width);
    let mut out = [0f32; LANES];
    for (index, block) in panel.chunks_exact(format.panel_block_bytes()).enumerate() {
        for part in 0..block_parts {
            let place = index * block_parts + part;
            for first in (0..PAIRS).step_by(format.run_pairs()) {
                let pairs = first..first + format.run_pairs();
                let of = |x: &Integers| {
                    let x = &x.values[row * x_width..][place * PART..][..PART];
                    dots(format, block, part, pairs.clone(), x).map(|int| int as f32)
                };
                let mut ints = of(&x.values);
                if let Some(rest) = &x.rest {
                    for (int, rest) in ints.iter_mut().zip(of(rest)) {
                        *int = mul_add::<PORTABLE_FMA>(rest, REST, *int);
                    }
                }
                let run = (part * PAIRS + first) / format.run_pairs();
                for (lane, (out, int)) in out.iter_mut().zip(ints).enumerate() {
                    let sum = int * scales[place];
                    *out = mul_add::<PORTABLE_FMA>(sum, scale(format, block, run, lane), *out);
                }
            }
            let sum = scales[place] * x.part_sum(row, place);
            for (lane, out) in out.iter_mut().enumerate() {
                if let Some(minimum) = minimum(format, block, part, lane) {
                    *out = mul_add::<PORTABLE_FMA>(-minimum, sum, *out);
                }
            }
        }
    }
    out
}

/// Some pairs of a part times `x`, of every lane.
fn dots(format: Format, block: &[u8], part: usize, pairs: Range<usize>, x: &[i16]) -> [i32; LANES] {
    let mut ints = [0i32; LANES];
    for of in pairs {
        let weights = pair(format, block, part, of);
        let (a, b) = (i32::from(x[2 * of]), i32::from(x[2 * of + 1]));
        for (int, w) in ints.iter_mut().zip(weights.as_chunks::<2>().0) {
            *int += i32::from(w[0]) * a + i32::from(w[1]) * b;
        }
    }
    ints
}
