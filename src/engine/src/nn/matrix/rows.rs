//! A matrix that stays where a file has it.
//!
//! Some matrices are large and used seldom: a table of which a few hundred rows are looked up, the
//! layers that make a few rows of modulation for a whole song. On a processor they are read from
//! the mapped file each time, as bf16, f16 or f32, and take no memory in between.

use std::{fmt, ops::Range};

use candle_core::{DType, Device, Module, Result, Tensor, bail};

use super::Matrix;
use crate::nn::weights::{Content, floats};

/// Values that are unpacked at a time.
const TOGETHER: usize = 1 << 20;

/// `[rows, width]`, or some rows of it. Cloning is cheap.
#[derive(Clone)]
pub struct Rows {
    content: Content,
    /// Where its first row begins.
    start: usize,
    stored: DType,
    /// Rows of it that are meant.
    meant: Range<usize>,
    width: usize,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, width) = self.dims();
        write!(f, "Rows[{rows}, {width}; {}]", self.stored.as_str())
    }
}

impl Rows {
    /// The matrix of `dims` whose values, `stored` as bf16, f16 or f32, begin at `start` of `bytes`.
    ///
    /// # Errors
    /// The bytes end too early.
    pub(in crate::nn) fn new(
        content: Content,
        start: usize,
        stored: DType,
        (rows, width): (usize, usize),
    ) -> Result<Self> {
        let values = rows.checked_mul(width);
        let len = values.and_then(|values| values.checked_mul(stored.size_in_bytes()));
        let end = len.and_then(|len| len.checked_add(start));
        let held = content.bytes().len();
        if end.is_none_or(|end| end > held) {
            bail!("{rows} rows of {width} values from byte {start} are not in {held}");
        }
        Ok(Self {
            content,
            start,
            stored,
            meant: 0..rows,
            width,
        })
    }

    /// `[rows, width]`.
    pub(super) fn dims(&self) -> (usize, usize) {
        (self.meant.len(), self.width)
    }

    /// Some of its rows, without a copy.
    ///
    /// # Errors
    /// The range is not inside.
    pub(super) fn narrow(&self, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > self.meant.len() {
            bail!("rows {rows:?} of a matrix of {}", self.meant.len());
        }
        Ok(Self {
            meant: self.meant.start + rows.start..self.meant.start + rows.end,
            ..self.clone()
        })
    }

    /// Writes the values of `rows` of the whole matrix.
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let row = self.width * self.stored.size_in_bytes();
        let data = &self.content.bytes()[self.start..];
        floats(self.stored, &data[rows.start * row..rows.end * row], out);
    }

    /// They were read for now.
    fn release(&self, rows: &Range<usize>) {
        let row = self.width * self.stored.size_in_bytes();
        self.content
            .release(self.start + rows.start * row..self.start + rows.end * row);
    }

    /// The rows of `ids` `[n]`: `[n, width]`, f32.
    ///
    /// # Errors
    /// An id is too large.
    pub(super) fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let mut out = vec![0f32; ids.len() * self.width];
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(self.width.max(1))) {
            let row = self.meant.start + *id as usize;
            if row >= self.meant.end {
                bail!("row {id} of a matrix of {}", self.meant.len());
            }
            self.read(row..row + 1, out);
        }
        self.release(&self.meant);
        Tensor::from_vec(out, (ids.len(), self.width), &Device::Cpu)
    }
}

impl Module for Rows {
    /// `x` `[n, width]` times the transposed matrix: `[n, rows]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let together = (TOGETHER / self.width.max(1)).max(1);
        let parts = self
            .meant
            .clone()
            .step_by(together)
            .map(|first| {
                let rows = first..(first + together).min(self.meant.end);
                let mut values = vec![0f32; rows.len() * self.width];
                self.read(rows.clone(), &mut values);
                self.release(&rows);
                let weight = Tensor::from_vec(values, (rows.len(), self.width), &Device::Cpu)?;
                Matrix::Dense(weight).forward(x)
            })
            .collect::<Result<Vec<_>>>()?;
        match parts.as_slice() {
            [] => Tensor::zeros((x.dim(0)?, 0), DType::F32, &Device::Cpu),
            [only] => Ok(only.clone()),
            parts => Tensor::cat(parts, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Module, Tensor};

    use super::{super::Matrix, Rows};
    use crate::nn::WeightFile;

    #[test]
    fn values_that_stay_in_a_file_are_those_of_the_tensor() {
        let (rows, width) = (700, 2048);
        let wave = |rows: usize, step: f32| {
            let values: Vec<f32> = (0..rows * width).map(|i| (i as f32 * step).sin()).collect();
            Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
        };
        let dense = wave(rows, 0.37).to_dtype(DType::BF16).unwrap();
        let file = safetensors::serialize([("w", &dense)], None).unwrap();
        let file = WeightFile::from_vec(file).unwrap();
        let start = file.tensors()["w"].range.start;
        let at = |start| Rows::new(file.content(), start, DType::BF16, (rows, width));
        let stored = at(start).unwrap();
        assert!(at(start + 2).is_err());
        let dense = Matrix::Dense(dense.to_dtype(DType::F32).unwrap());

        let ids = Tensor::new(&[699u32, 0, 3], &Device::Cpu).unwrap();
        let of = |matrix: &Matrix, ids| matrix.lookup(ids).unwrap().to_vec2::<f32>().unwrap();
        let stored = Matrix::Rows(stored);
        assert_eq!(of(&stored, &ids), of(&dense, &ids));
        let some = stored.narrow(690..700).unwrap();
        let last = Tensor::new(&[9u32], &Device::Cpu).unwrap();
        assert_eq!(of(&some, &last)[0], of(&dense, &ids)[0]);
        assert!(
            some.lookup(&Tensor::new(&[10u32], &Device::Cpu).unwrap())
                .is_err()
        );

        // More rows than are unpacked at once.
        let x = wave(3, 0.91);
        let product = |matrix: &Matrix| matrix.forward(&x).unwrap();
        let far = (product(&stored) - product(&dense)).unwrap().abs().unwrap();
        assert!(far.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-3);
        assert_eq!(product(&some).dims(), [3, 10]);
    }
}
