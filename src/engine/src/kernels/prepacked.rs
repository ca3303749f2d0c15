//! Linear layers over dense weights that are put in the order of multiplication once.
//!
//! A library's matrix product packs the weights anew at every call. Here they are packed when they
//! are loaded: strips of [`COLUMNS`] outputs side by side, one input after another, which is how
//! the loop of [`tile`](super::tile) reads its columns. The activations become its rows, a few at a
//! time. Each output is one chain of multiply-adds in the order of the inputs, so no bit depends on
//! the number of rows, the outputs beside it or the threads.
//!
//! Weights that a checkpoint stores in bf16 stay so, in half the memory, and are widened a few inputs
//! at a time: the products are those of f32 to the bit.

use std::{fmt, ops::Range, sync::Arc};

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use super::{
    linear::outputs_of,
    parallel::{SharedOut, for_each_with_scratch},
    simd::multiversion,
    tile::{COLUMNS, Packed, accumulate, panel_rows},
    transpose::transpose,
};
use crate::room::with_room;

/// Rows of activations that are packed at a time: all strips pass them before the next are.
const ROWS: usize = 384;

/// Inputs of a strip that all rows pass before the next do: their weights stay in the first cache.
const INPUTS: usize = 64;

/// Values of a row that are put in their places at a time: a cache line.
const TOGETHER: usize = 16;

/// A matrix `[outputs, inputs]`, ready to be multiplied with activations in f32. Cloning is cheap.
#[derive(Clone)]
pub struct Prepacked {
    strips: Strips,
    outputs: usize,
    inputs: usize,
}

/// `[strips, inputs, COLUMNS]`; outputs beyond the last are zeros.
#[derive(Clone)]
enum Strips {
    F32(Arc<Vec<f32>>),
    /// The bits of bf16.
    Bf16(Arc<Vec<u16>>),
}

impl fmt::Debug for Prepacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepacked[{}, {}]", self.outputs, self.inputs)
    }
}

impl Prepacked {
    /// The matrix `[outputs, inputs]` whose rows `read` writes; packed on all threads. What is `stored` in
    /// bf16 is kept so: `read` must give values that bf16 has.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(
        (outputs, inputs): (usize, usize),
        stored: DType,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Self> {
        let dims = (outputs, inputs);
        let strips = if stored == DType::BF16 {
            Strips::Bf16(Arc::new(pack(dims, read, narrow)?))
        } else {
            Strips::F32(Arc::new(pack(dims, read, <[f32]>::copy_from_slice)?))
        };
        Ok(Self {
            strips,
            outputs,
            inputs,
        })
    }

    /// Bytes that a matrix takes of which the values are `stored` so.
    pub const fn bytes_for((outputs, inputs): (usize, usize), stored: DType) -> usize {
        let value = match stored {
            DType::BF16 => size_of::<u16>(),
            _ => size_of::<f32>(),
        };
        outputs.next_multiple_of(COLUMNS) * inputs * value
    }

    /// `[outputs, inputs]`.
    pub fn dims(&self) -> (usize, usize) {
        (self.outputs, self.inputs)
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> usize {
        match &self.strips {
            Strips::F32(strips) => size_of_val(strips.as_slice()),
            Strips::Bf16(strips) => size_of_val(strips.as_slice()),
        }
    }

    /// `x` `[n, inputs]` (f32) times each of the transposed matrices, in one go: `[n, outputs]` of
    /// each.
    ///
    /// # Errors
    /// Another width, dtype or device.
    #[expect(unsafe_code, reason = "the outputs are written before they are read")]
    pub fn linear(matrices: &[&Self], x: &Tensor) -> Result<Vec<Tensor>> {
        let dims: Vec<_> = matrices.iter().map(|matrix| matrix.dims()).collect();
        // SAFETY: the strips of all rows are all outputs.
        unsafe { outputs_of(&dims, x, |x, outputs| products(matrices, x, outputs)) }
    }

    /// The weights of some inputs of a strip, in `widened` where they are kept in bf16.
    fn weights<'a>(
        &'a self,
        strip: usize,
        inputs: Range<usize>,
        widened: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        let first = (strip * self.inputs + inputs.start) * COLUMNS;
        let place = first..first + inputs.len() * COLUMNS;
        match &self.strips {
            Strips::F32(strips) => &strips[place],
            Strips::Bf16(strips) => {
                widened.resize(place.len(), 0.0);
                widen(&strips[place], widened);
                widened
            }
        }
    }
}

/// The strips of a matrix whose rows `read` writes, as `keep` puts down some values of them.
fn pack<T: Copy + Default + Send>(
    (outputs, inputs): (usize, usize),
    read: impl Fn(usize, &mut [f32]) + Sync,
    keep: impl Fn(&mut [T], &[f32]) + Sync,
) -> Result<Vec<T>> {
    let len = outputs.next_multiple_of(COLUMNS) * inputs;
    let mut strips = with_room(len)?;
    strips.resize(len, T::default());
    if len == 0 {
        return Ok(strips);
    }
    // Rows of a strip that begin at one place of every page would push each other out.
    let apart = inputs + TOGETHER;
    strips
        .par_chunks_mut(inputs * COLUMNS)
        .enumerate()
        .for_each_init(
            || (vec![0f32; COLUMNS * apart], [0f32; TOGETHER * COLUMNS]),
            |(rows, woven), (index, strip)| {
                let first = index * COLUMNS;
                let lanes = COLUMNS.min(outputs - first);
                woven.fill(0.0);
                for (lane, row) in rows.chunks_exact_mut(apart).take(lanes).enumerate() {
                    read(first + lane, &mut row[..inputs]);
                }
                // Side by side, a few values at a time, so that what is written stays in the first cache.
                for (part, places) in strip.chunks_mut(TOGETHER * COLUMNS).enumerate() {
                    let count = places.len() / COLUMNS;
                    let woven = &mut woven[..places.len()];
                    let rows = (&rows[part * TOGETHER..], apart);
                    transpose(rows, (lanes, count), (woven, COLUMNS));
                    keep(places, woven);
                }
            },
        );
    Ok(strips)
}

/// Values that bf16 has, as its bits.
fn narrow(to: &mut [u16], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (from.to_bits() >> 16) as u16;
    }
}

multiversion! {
    /// Bits of bf16 as values.
    fn widen(from: &[u16], to: &mut [f32]) = widen_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn widen_body<const FMA: bool>(from: &[u16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f32::from_bits(u32::from(*from) << 16);
    }
}

fn products(matrices: &[&Prepacked], x: &[f32], outputs: &mut [&mut [f32]]) {
    let Some(inputs) = matrices.first().map(|matrix| matrix.inputs) else {
        return;
    };
    let offsets: Vec<u32> = (0..INPUTS).map(|input| (input * COLUMNS) as u32).collect();
    // Every strip of every matrix.
    let strips: Vec<(usize, usize)> = matrices
        .iter()
        .enumerate()
        .flat_map(|(index, matrix)| {
            (0..matrix.outputs.div_ceil(COLUMNS)).map(move |strip| (index, strip))
        })
        .collect();
    let outputs: Vec<_> = outputs.iter_mut().map(|out| SharedOut::new(out)).collect();
    // Whole panels, so that rows of the last one alone are padded.
    let together = ROWS.next_multiple_of(panel_rows());
    for (group, x) in x.chunks(together * inputs).enumerate() {
        let rows: Vec<Packed> = x
            .par_chunks(panel_rows() * inputs)
            .map(|x| {
                Packed::new(x.len() / inputs, inputs, |row, input| {
                    x[row * inputs + input]
                })
            })
            .collect();
        for_each_with_scratch(strips.len(), Scratch::default, |scratch, task| {
            let (index, strip) = strips[task];
            let place = Place {
                first_row: group * together,
                strip,
            };
            products_of_strip(
                matrices[index],
                &rows,
                place,
                &offsets,
                scratch,
                &outputs[index],
            );
        });
    }
}

/// Where a task writes.
#[derive(Clone, Copy)]
struct Place {
    first_row: usize,
    strip: usize,
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    /// Weights of some inputs in f32.
    weights: Vec<f32>,
    /// What all rows have come to, panel after panel.
    sums: Vec<f32>,
}

/// The outputs of one strip for some rows of activations, a panel each.
#[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
fn products_of_strip(
    matrix: &Prepacked,
    rows: &[Packed],
    place: Place,
    offsets: &[u32],
    Scratch { weights, sums }: &mut Scratch,
    out: &SharedOut<'_>,
) {
    let panels = || {
        rows.iter()
            .flat_map(|packed| packed.panels().iter().map(move |panel| (packed, panel)))
    };
    sums.clear();
    sums.resize(panels().map(|(_, panel)| panel.size * COLUMNS).sum(), 0.0);
    for from in (0..matrix.inputs).step_by(INPUTS) {
        let to = (from + INPUTS).min(matrix.inputs);
        let weights = matrix.weights(place.strip, from..to, weights);
        let mut sums = sums.as_mut_slice();
        for (packed, panel) in panels() {
            let (of_panel, others) = sums.split_at_mut(panel.size * COLUMNS);
            let slice = packed.slice(panel, from, to);
            accumulate(
                slice,
                &offsets[..to - from],
                weights,
                of_panel,
                COLUMNS,
                COLUMNS,
            );
            sums = others;
        }
    }
    let first = place.strip * COLUMNS;
    let count = COLUMNS.min(matrix.outputs - first);
    let (mut row, mut sums) = (place.first_row, sums.as_slice());
    for (_, panel) in panels() {
        let (of_panel, others) = sums.split_at(panel.size * COLUMNS);
        for values in of_panel.chunks_exact(COLUMNS).take(panel.rows) {
            // SAFETY: these columns of these rows belong to one task.
            let out = unsafe { out.slice(row * matrix.outputs + first, count) };
            out.copy_from_slice(&values[..count]);
            row += 1;
        }
        sums = others;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::Prepacked;
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};

    fn packed(dense: &Tensor, stored: DType) -> Prepacked {
        let (dims, values) = (dense.dims2().unwrap(), flat(dense));
        let read = |row, out: &mut [f32]| out.copy_from_slice(&values[row * dims.1..][..dims.1]);
        Prepacked::new(dims, stored, read).unwrap()
    }

    fn matrix(dims: (usize, usize), seed: u64) -> (Prepacked, Tensor) {
        let dense = tensor(&[dims.0, dims.1], seed);
        (packed(&dense, DType::F32), dense)
    }

    fn product(matrix: &Prepacked, x: &Tensor) -> Tensor {
        Prepacked::linear(&[matrix], x).unwrap().remove(0)
    }

    #[test]
    fn products_are_exact_sums_for_any_shape() {
        for (n, outputs, inputs) in [
            (1, 1, 1),
            (2, 33, 70),
            (13, 64, 129),
            (200, 45, 96),
            (401, 40, 600),
        ] {
            let (packed, dense) = matrix((outputs, inputs), 3);
            let x = tensor(&[n, inputs], 4);
            let got = product(&packed, &x);
            assert_eq!(got.dims(), [n, outputs]);
            let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let want = wide(&x).matmul(&wide(&dense).t().unwrap()).unwrap();
            let want = want.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_close(&flat(&got), &want, 1e-5);
        }
        let (packed, _) = matrix((7, 5), 1);
        let nothing = Tensor::zeros((0, 5), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(product(&packed, &nothing).dims(), [0, 7]);
    }

    #[test]
    fn a_row_has_the_same_bits_whatever_is_beside_it() {
        let (first, _) = matrix((70, 256), 5);
        let (second, _) = matrix((33, 256), 6);
        let x = tensor(&[205, 256], 7);
        let both = Prepacked::linear(&[&first, &second], &x).unwrap();
        for row in [0, 1, 12, 191, 192, 204] {
            let alone = x.narrow(0, row, 1).unwrap();
            for (matrix, together) in [&first, &second].into_iter().zip(&both) {
                let together = flat(&together.narrow(0, row, 1).unwrap());
                assert_eq!(flat(&product(matrix, &alone)), together, "row {row}");
            }
        }
        same_on_any_number_of_threads(|| product(&first, &x));
    }

    #[test]
    fn what_is_stored_in_bf16_takes_half_the_memory_and_gives_the_same_bits() {
        for (n, outputs, inputs) in [(1, 1, 1), (2, 33, 70), (1, 64, 600), (401, 45, 513)] {
            let dense = tensor(&[outputs, inputs], 8).to_dtype(DType::BF16).unwrap();
            let dense = dense.to_dtype(DType::F32).unwrap();
            let (exact, half) = (packed(&dense, DType::F32), packed(&dense, DType::BF16));
            assert_eq!(2 * half.bytes(), exact.bytes());
            assert_eq!(half.bytes(), Prepacked::bytes_for(half.dims(), DType::BF16));
            let x = tensor(&[n, inputs], 9);
            assert_eq!(flat(&product(&half, &x)), flat(&product(&exact, &x)));
        }
    }

    #[test]
    fn another_width_is_an_error() {
        let (packed, _) = matrix((4, 8), 1);
        assert!(Prepacked::linear(&[&packed], &tensor(&[2, 9], 1)).is_err());
        assert_eq!(packed.bytes(), Prepacked::bytes_for((4, 8), DType::F32));
    }
}
