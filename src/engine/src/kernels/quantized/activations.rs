//! Activations as integers of sixteen bits, with a scale for every [`PART`] of a row.

use rayon::prelude::*;

use super::blocks::PART;
use crate::kernels::simd::multiversion;

/// Values that a sum is kept of.
pub(super) const HALF: usize = PART / 2;

/// What a value of [`Activations::rest`] is of one of [`Activations::values`].
pub(super) const REST: f32 = 1.0 / 32768.0;

/// Largest absolute value that a part is scaled to.
const LARGEST: f32 = 32767.0;

/// Parts whose largest value is below this are zeros: their reciprocal would not be finite.
const SMALLEST: f32 = 1e-30;

/// How closely activations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closeness {
    /// In sixteen bits: half a step is 2⁻¹⁶ of the largest value of a part.
    Rounded,
    /// What sixteen bits leave over is kept as well, which is as close as f32.
    Full,
}

/// Rows of activations, `[n, width]`, `width` a multiple of [`PART`].
pub(super) struct Activations {
    pub(super) width: usize,
    /// What one step of the integers of a part stands for, `[n, width / PART]`; NaN where the part
    /// held what is no finite number.
    pub(super) scales: Vec<f32>,
    pub(super) values: Integers,
    /// What the values leave over, in steps of [`REST`].
    pub(super) rest: Option<Integers>,
}

pub(super) struct Integers {
    /// `[n, width]`
    pub(super) values: Vec<i16>,
    /// Sums of every half part, `[n, width / HALF]`; for formats whose weights have an offset.
    pub(super) sums: Vec<i32>,
}

impl Integers {
    fn zeros(len: usize) -> Self {
        Self {
            values: vec![0; len],
            sums: vec![0; len / HALF],
        }
    }
}

impl Activations {
    /// Takes `x`, `[n, width]`.
    pub(super) fn new(x: &[f32], width: usize, closeness: Closeness) -> Self {
        /// Parts of a task, so that a single row is not split.
        const TOGETHER: usize = 512;
        let mut scales = vec![0.0; x.len() / PART];
        let mut values = Integers::zeros(x.len());
        x.par_chunks(PART * TOGETHER)
            .zip(values.values.par_chunks_mut(PART * TOGETHER))
            .zip(values.sums.par_chunks_mut(2 * TOGETHER))
            .zip(scales.par_chunks_mut(TOGETHER))
            .for_each(|(((x, values), sums), scales)| {
                round(x, values, sums, scales);
            });
        let rest = (closeness == Closeness::Full).then(|| {
            let mut rest = Integers::zeros(x.len());
            x.par_chunks(PART * TOGETHER)
                .zip(values.values.par_chunks(PART * TOGETHER))
                .zip(rest.values.par_chunks_mut(PART * TOGETHER))
                .zip(rest.sums.par_chunks_mut(2 * TOGETHER))
                .for_each(|(((x, values), rest), sums)| leave_over(x, values, rest, sums));
            rest
        });
        Self {
            width,
            scales,
            values,
            rest,
        }
    }

    /// What a part of a row adds up to, in steps of its scale.
    pub(super) fn part_sum(&self, row: usize, part: usize) -> f32 {
        let at = 2 * (row * (self.width / PART) + part);
        let of = |integers: &Integers| (integers.sums[at] + integers.sums[at + 1]) as f32;
        match &self.rest {
            Some(rest) => of(rest) * REST + of(&self.values),
            None => of(&self.values),
        }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        let values = self.values.values.len();
        values.checked_div(self.width).unwrap_or(0)
    }
}

multiversion! {
    /// Fills `values`, sums of their halves, and what the values of each part are multiples of.
    fn round(x: &[f32], values: &mut [i16], sums: &mut [i32], scales: &mut [f32]) = round_body
}

multiversion! {
    /// Fills `rest` with what `values` of `x` leave over, and the sums of its halves.
    fn leave_over(x: &[f32], values: &[i16], rest: &mut [i16], sums: &mut [i32]) = leave_over_body
}

/// What the values of a part are multiplied with, and its largest value: NaN when one of them is.
/// Zero where they are zeros or no numbers.
#[inline(always)]
fn inverse(x: &[f32; PART]) -> (f32, f32) {
    /// Lanes that the compiler makes vectors of.
    const LANES: usize = 16;
    let (mut largest, mut sums) = ([0f32; LANES], [0f32; LANES]);
    for x in x.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            largest[i] = if x[i].abs() > largest[i] {
                x[i].abs()
            } else {
                largest[i]
            };
            sums[i] += x[i].abs();
        }
    }
    let (mut most, mut sum) = (0f32, 0f32);
    for i in 0..LANES {
        most = if largest[i] > most { largest[i] } else { most };
        sum += sums[i];
    }
    // A comparison passes over NaN, a sum does not.
    if sum.is_nan() {
        (0.0, f32::NAN)
    } else if (SMALLEST..f32::INFINITY).contains(&most) {
        (LARGEST / most, most)
    } else {
        (0.0, most)
    }
}

/// The nearest whole number, for what is far below 2²²: adding 1.5 × 2²³ leaves it in the lowest
/// bits.
#[inline(always)]
fn nearest(value: f32) -> i16 {
    const ROUND: f32 = 12_582_912.0;
    (value + ROUND).to_bits() as i16
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn add_up(values: &[i16; PART], sums: &mut [i32; 2]) {
    for (half, sum) in values.as_chunks::<HALF>().0.iter().zip(sums) {
        *sum = half.iter().map(|value| i32::from(*value)).sum();
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn round_body<const FMA: bool>(
    x: &[f32],
    values: &mut [i16],
    sums: &mut [i32],
    scales: &mut [f32],
) {
    let parts = x.as_chunks::<PART>().0.iter();
    let parts = parts.zip(values.as_chunks_mut::<PART>().0);
    for (((x, values), sums), scale) in parts.zip(sums.as_chunks_mut().0).zip(scales) {
        let (inverse, largest) = inverse(x);
        *scale = if inverse > 0.0 {
            largest / LARGEST
        } else if largest < SMALLEST {
            0.0
        } else {
            f32::NAN
        };
        if inverse > 0.0 {
            for (x, value) in x.iter().zip(values.iter_mut()) {
                *value = nearest(x * inverse);
            }
        }
        add_up(values, sums);
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn leave_over_body<const FMA: bool>(x: &[f32], values: &[i16], rest: &mut [i16], sums: &mut [i32]) {
    let parts = x.as_chunks::<PART>().0.iter();
    let parts = parts.zip(values.as_chunks::<PART>().0);
    let rest = rest.as_chunks_mut::<PART>().0.iter_mut();
    for (((x, values), rest), sums) in parts.zip(rest).zip(sums.as_chunks_mut().0) {
        let (inverse, _) = inverse(x);
        for ((x, value), rest) in x.iter().zip(values).zip(rest.iter_mut()) {
            let left = if inverse > 0.0 {
                x * inverse - f32::from(*value)
            } else {
                0.0
            };
            *rest = nearest(left * (1.0 / REST));
        }
        add_up(rest, sums);
    }
}

#[cfg(test)]
mod tests {
    use super::{Activations, Closeness, HALF, PART, REST};
    use crate::kernels::check::noise;

    /// What value `i` of the activations stands for.
    fn back(x: &Activations, i: usize) -> f64 {
        let rest = x.rest.as_ref().map_or(0, |rest| rest.values[i]);
        let steps = f64::from(x.values.values[i]) + f64::from(rest) * f64::from(REST);
        steps * f64::from(x.scales[i / PART])
    }

    #[test]
    fn what_is_kept_is_near_by_the_largest_of_its_part() {
        let mut x = noise(8 * PART, 1);
        x[3] = 1000.0;
        x[PART..2 * PART].fill(0.0);
        x[2 * PART..3 * PART].iter_mut().for_each(|x| *x *= 1e-25);
        for (closeness, steps) in [
            (Closeness::Rounded, f64::from(1 << 16)),
            (Closeness::Full, f64::from(1 << 23)),
        ] {
            let kept = Activations::new(&x, 4 * PART, closeness);
            assert_eq!(kept.rows(), 2);
            for (part, x) in x.chunks(PART).enumerate() {
                let largest = f64::from(x.iter().fold(0f32, |l, x| l.max(x.abs())));
                for (i, x) in x.iter().enumerate() {
                    let error = (back(&kept, part * PART + i) - f64::from(*x)).abs();
                    assert!(
                        error <= 1.01 * largest / steps,
                        "{closeness:?} {part} {i}: {error:e}"
                    );
                }
            }
            for integers in [Some(&kept.values), kept.rest.as_ref()]
                .into_iter()
                .flatten()
            {
                for (half, sum) in integers.values.chunks(HALF).zip(&integers.sums) {
                    assert_eq!(half.iter().map(|v| i32::from(*v)).sum::<i32>(), *sum);
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = noise(2 * PART, 2);
            x[40] = bad;
            let kept = Activations::new(&x, 2 * PART, Closeness::Full);
            assert!(kept.scales[0].is_finite() && kept.scales[1].is_nan());
        }
        let mut both = noise(PART, 3);
        (both[0], both[1]) = (f32::INFINITY, f32::NEG_INFINITY);
        assert!(Activations::new(&both, PART, Closeness::Rounded).scales[0].is_nan());
    }
}
