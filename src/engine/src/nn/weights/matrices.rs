//! Matrices of layers: quantised, dense, or left in their file.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};

use super::{Found, Kind, Role, Weights, floats};
use crate::{
    kernels::{
        prepacked::Prepacked,
        quantized::{Blocks, Format, Panels, quantize},
        runs_here,
    },
    nn::matrix::{Matrix, Rows},
    room,
};

impl Weights {
    /// Takes a matrix `[rows, width]`: quantised as the file holds it, or as the
    /// [`Formats`] ask, or as [`Self::get`] gives it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn matrix(&self, dims: (usize, usize), name: &str) -> Result<Matrix> {
        let full = self.full_name(name);
        if self.shared.complaints.is_some() {
            return self.rehearse_matrix(dims, name, &full);
        }
        let found = self.find(&dims.into(), &full)?;
        let blocks = match found.stored {
            Kind::Panels(format) => return self.panels(&found, format, dims, full),
            Kind::Packed(format) => found.blocks(format, dims)?,
            Kind::Plain(stored) => match self.formats.of(Role::of(&full), dims.1) {
                Some(format) => {
                    let bytes = dims.0 * format.row_bytes(dims.1).unwrap_or_default();
                    room::ask(bytes as u64, &Device::Cpu)?;
                    let blocks = quantize(format, dims, |row, out| {
                        let width = dims.1 * stored.size_in_bytes();
                        floats(stored, &found.data()[row * width..][..width], out);
                    })?;
                    Blocks::new(Arc::new(blocks), 0, format, dims)?
                }
                None if self.packs(&full) => return self.packed(&found, stored, dims, full),
                None => return self.get(dims, name).map(Matrix::Dense),
            },
        };
        let (dtype, device) = (self.dtype, &self.shared.device);
        let bytes = Matrix::quantized_bytes(blocks.format(), dims, dtype, device);
        room::ask(bytes.unwrap_or_default() as u64, device)?;
        let matrix = Matrix::quantized(&blocks, dtype, device)?;
        found.file.release(found.range.clone());
        let (format, bytes) = (blocks.format(), matrix.bytes() as usize);
        self.hold(full, bytes, Some(format));
        Ok(matrix)
    }

    /// Whether the matrix of that name is packed, if it is not quantised.
    fn packs(&self, name: &str) -> bool {
        self.prepacked
            && Role::of(name) == Role::Layer
            && runs_here(&self.shared.device, self.dtype)
    }

    /// A layer in the order of multiplication.
    fn packed(
        &self,
        found: &Found<'_>,
        stored: DType,
        dims: (usize, usize),
        name: String,
    ) -> Result<Matrix> {
        let bytes = Prepacked::bytes_for(dims, stored);
        room::ask(bytes as u64, &self.shared.device)?;
        let (data, row) = (found.data(), dims.1 * stored.size_in_bytes());
        let packed = Prepacked::new(dims, stored, |index, out| {
            floats(stored, &data[index * row..][..row], out);
        })?;
        found.file.release(found.range.clone());
        self.hold(name, bytes, None);
        Ok(Matrix::Prepacked(packed))
    }

    /// A matrix of which a file holds the panels.
    fn panels(
        &self,
        found: &Found<'_>,
        format: Format,
        dims: (usize, usize),
        name: String,
    ) -> Result<Matrix> {
        let (dtype, device) = (self.dtype, &self.shared.device);
        if !runs_here(device, dtype) {
            bail!("the tensor {name} is in panels, which only a processor can use");
        }
        let mapped = Panels::at(found.file.shared(), found.range.start, format, dims)?;
        let panels = if self.in_large_pages {
            room::ask(mapped.bytes() as u64, device)?;
            let copied = mapped.copied()?;
            found.file.release(found.range.clone());
            copied
        } else {
            found.file.expect(found.range.clone());
            mapped
        };
        self.hold(name, panels.bytes(), Some(format));
        Ok(Matrix::Panels(panels))
    }

    /// Takes a matrix `[rows, width]` that is used seldom or in few rows, such as the table of a
    /// text encoder: on a processor, one that is not quantised stays in its file.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn seldom(&self, dims: (usize, usize), name: &str) -> Result<Matrix> {
        let full = self.full_name(name);
        let (dtype, device) = (self.dtype, &self.shared.device);
        if !runs_here(device, dtype) || self.formats.of(Role::of(&full), dims.1).is_some() {
            return self.matrix(dims, name);
        }
        let matrix = if self.shared.survey.is_some() {
            self.zeros(dims)?
        } else {
            match self.find(&dims.into(), &full) {
                Ok(found) => match found.stored {
                    Kind::Plain(_) if self.shared.complaints.is_some() => self.zeros(dims)?,
                    Kind::Plain(stored) => {
                        let (content, start) = (found.file.content(), found.range.start);
                        Matrix::Rows(Rows::new(content, start, stored, dims)?)
                    }
                    Kind::Packed(_) | Kind::Panels(_) => return self.matrix(dims, name),
                },
                // What is wrong is said there.
                Err(_) => return self.matrix(dims, name),
            }
        };
        self.hold(full, 0, None);
        Ok(matrix)
    }

    /// Zeros in place of a matrix, and its bytes in the ledger as they would be.
    fn rehearse_matrix(&self, dims: (usize, usize), name: &str, full: &str) -> Result<Matrix> {
        let stored = match self.shared.survey {
            Some(stored) => Kind::Plain(stored),
            None => match self.find(&dims.into(), full) {
                Ok(found) => found.stored,
                Err(_) => return self.get(dims, name).map(Matrix::Dense),
            },
        };
        let format = match stored {
            Kind::Packed(format) | Kind::Panels(format) => Some(format),
            Kind::Plain(_) => self.formats.of(Role::of(full), dims.1),
        };
        let (dtype, device) = (self.dtype, &self.shared.device);
        let held = format.and_then(|format| {
            Some((
                format,
                Matrix::quantized_bytes(format, dims, dtype, device)?,
            ))
        });
        if let Some((format, bytes)) = held {
            self.hold(full.to_owned(), bytes, Some(format));
        } else {
            let bytes = match stored {
                Kind::Plain(stored) if self.packs(full) => Prepacked::bytes_for(dims, stored),
                _ => dims.0 * dims.1 * self.dtype.size_in_bytes(),
            };
            self.hold(full.to_owned(), bytes, None);
        }
        self.zeros(dims)
    }

    /// What stands for a matrix in a rehearsal; takes no memory.
    fn zeros(&self, dims: (usize, usize)) -> Result<Matrix> {
        let zeros = Tensor::zeros((), self.dtype, &self.shared.device)?;
        Ok(Matrix::Dense(zeros.broadcast_as(dims)?))
    }
}
