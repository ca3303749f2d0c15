//! Linear layers over dense weights that are put in the order of multiplication once.
//!
//! A library's matrix product packs the weights anew at every call. Here they are packed when they
//! are loaded: strips of [`COLUMNS`] outputs side by side, one input after another, which is how
//! the loop of [`tile`](super::tile) reads its columns. The activations become its rows, a few at a
//! time. Each output is one chain of multiply-adds in the order of the inputs, so no bit depends on
//! the number of rows, the outputs beside it or the threads.

use std::{fmt, sync::Arc};

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    linear::outputs_of,
    parallel::{SharedOut, for_each_with_scratch},
    tile::{COLUMNS, Packed, accumulate, panel_rows},
    transpose::transpose,
};
use crate::room::with_room;

/// Rows of activations that are packed at a time: all strips pass them before the next are.
const ROWS: usize = 384;

/// Values of a row that are put in their places at a time: a cache line.
const TOGETHER: usize = 16;

/// A matrix `[outputs, inputs]` in f32, ready to be multiplied. Cloning is cheap.
#[derive(Clone)]
pub struct Prepacked {
    /// `[strips, inputs, COLUMNS]`; outputs beyond the last are zeros.
    strips: Arc<Vec<f32>>,
    outputs: usize,
    inputs: usize,
}

impl fmt::Debug for Prepacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepacked[{}, {}]", self.outputs, self.inputs)
    }
}

impl Prepacked {
    /// The matrix `[outputs, inputs]` whose rows `read` writes; packed on all threads.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(
        (outputs, inputs): (usize, usize),
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Self> {
        let len = Self::bytes_for((outputs, inputs)) / size_of::<f32>();
        let mut strips = with_room(len)?;
        strips.resize(len, 0.0);
        if len > 0 {
            // Rows of a strip that begin at one place of every page would push each other out.
            let apart = inputs + TOGETHER;
            strips
                .par_chunks_mut(inputs * COLUMNS)
                .enumerate()
                .for_each_init(
                    || vec![0f32; COLUMNS * apart],
                    |rows, (index, strip)| {
                        let first = index * COLUMNS;
                        let lanes = COLUMNS.min(outputs - first);
                        for (lane, row) in rows.chunks_exact_mut(apart).take(lanes).enumerate() {
                            read(first + lane, &mut row[..inputs]);
                        }
                        weave(rows, apart, lanes, strip);
                    },
                );
        }
        Ok(Self {
            strips: Arc::new(strips),
            outputs,
            inputs,
        })
    }

    /// Bytes that a matrix takes.
    pub const fn bytes_for((outputs, inputs): (usize, usize)) -> usize {
        outputs.next_multiple_of(COLUMNS) * inputs * size_of::<f32>()
    }

    /// `[outputs, inputs]`.
    pub fn dims(&self) -> (usize, usize) {
        (self.outputs, self.inputs)
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> usize {
        self.strips.len() * size_of::<f32>()
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
}

/// Puts `lanes` rows, each `apart` values after the one before, side by side; a few values at a time,
/// so that what is written stays in the first cache.
fn weave(rows: &[f32], apart: usize, lanes: usize, strip: &mut [f32]) {
    for (first, places) in strip.chunks_mut(TOGETHER * COLUMNS).enumerate() {
        let count = places.len() / COLUMNS;
        transpose(
            (&rows[first * TOGETHER..], apart),
            (lanes, count),
            (places, COLUMNS),
        );
    }
}

fn products(matrices: &[&Prepacked], x: &[f32], outputs: &mut [&mut [f32]]) {
    let Some(inputs) = matrices.first().map(|matrix| matrix.inputs) else {
        return;
    };
    let offsets: Vec<u32> = (0..inputs).map(|input| (input * COLUMNS) as u32).collect();
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
        for_each_with_scratch(
            strips.len(),
            || vec![0f32; panel_rows() * COLUMNS],
            |scratch, task| {
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
            },
        );
    }
}

/// Where a task writes.
#[derive(Clone, Copy)]
struct Place {
    first_row: usize,
    strip: usize,
}

/// The outputs of one strip for some rows of activations, a panel each.
#[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
fn products_of_strip(
    matrix: &Prepacked,
    rows: &[Packed],
    place: Place,
    offsets: &[u32],
    scratch: &mut [f32],
    out: &SharedOut<'_>,
) {
    let (inputs, first) = (matrix.inputs, place.strip * COLUMNS);
    let weights = &matrix.strips[first * inputs..][..inputs * COLUMNS];
    let count = COLUMNS.min(matrix.outputs - first);
    let mut row = place.first_row;
    for packed in rows {
        for panel in packed.panels() {
            scratch.fill(0.0);
            let slice = packed.slice(panel, 0, inputs);
            accumulate(slice, offsets, weights, scratch, COLUMNS, COLUMNS);
            for sums in scratch.chunks_exact(COLUMNS).take(panel.rows) {
                // SAFETY: these columns of these rows belong to one task.
                let out = unsafe { out.slice(row * matrix.outputs + first, count) };
                out.copy_from_slice(&sums[..count]);
                row += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::Prepacked;
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};

    fn matrix(dims: (usize, usize), seed: u64) -> (Prepacked, Tensor) {
        let dense = tensor(&[dims.0, dims.1], seed);
        let values = flat(&dense);
        let packed = Prepacked::new(dims, |row, out| {
            out.copy_from_slice(&values[row * dims.1..][..dims.1]);
        });
        (packed.unwrap(), dense)
    }

    fn product(matrix: &Prepacked, x: &Tensor) -> Tensor {
        Prepacked::linear(&[matrix], x).unwrap().remove(0)
    }

    #[test]
    fn products_are_exact_sums_for_any_shape() {
        for (n, outputs, inputs) in [(1, 1, 1), (2, 33, 70), (13, 64, 129), (200, 45, 96)] {
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
    fn another_width_is_an_error() {
        let (packed, _) = matrix((4, 8), 1);
        assert!(Prepacked::linear(&[&packed], &tensor(&[2, 9], 1)).is_err());
        assert_eq!(packed.bytes(), Prepacked::bytes_for((4, 8)));
    }
}
