//! A matrix of a layer, whatever it is stored as.

mod rows;

use std::{ops::Range, sync::Arc};

use candle_core::{
    DType, Device, Module, Result, Tensor, bail,
    quantized::{QMatMul, QStorage, QTensor},
};

use crate::kernels::{
    matvec,
    prepacked::Prepacked,
    quantized::{Blocks, Format, Panels},
    runs_here,
};

pub use rows::Rows;

/// Rows of activations that candle's kernels for cards take one by one (`MMVQ_MAX_BATCH`).
const FEW_ROWS: usize = 8;

/// `[rows, width]`; made by [`Weights::matrix`](super::Weights::matrix).
#[derive(Debug, Clone)]
pub enum Matrix {
    /// In the precision of the activations.
    Dense(Tensor),
    /// In the order of multiplication in host memory, for activations in f32.
    Prepacked(Prepacked),
    /// Left in its file on the host, for activations in f32.
    Rows(Rows),
    /// Panels in host memory, for activations in f32.
    Panels(Panels),
    /// Blocks on a card, multiplied by candle's kernels.
    Card(Card),
}

/// Blocks on a card, and the rows of them that are meant.
#[derive(Debug, Clone)]
pub struct Card {
    blocks: Arc<QTensor>,
    rows: Range<usize>,
    dtype: DType,
}

impl Matrix {
    /// `blocks` on a device, for activations in `dtype`.
    ///
    /// # Errors
    /// The device has too little memory.
    pub(super) fn quantized(blocks: &Blocks, dtype: DType, device: &Device) -> Result<Self> {
        if runs_here(device, dtype) {
            return Ok(Self::Panels(Panels::new(blocks)?));
        }
        let (rows, width) = blocks.dims();
        let blocks = QStorage::from_data(blocks.data().into(), device, blocks.format().ggml())?;
        Ok(Self::Card(Card {
            blocks: Arc::new(QTensor::new(blocks, (rows, width))?),
            rows: 0..rows,
            dtype,
        }))
    }

    /// Bytes of [`Self::quantized`] with `rows` of `width` values; `None` where a row is no whole
    /// number of blocks.
    pub(super) fn quantized_bytes(
        format: Format,
        (rows, width): (usize, usize),
        dtype: DType,
        device: &Device,
    ) -> Option<usize> {
        let row = format.row_bytes(width)?;
        Some(if runs_here(device, dtype) {
            Panels::bytes_for(format, (rows, width))
        } else {
            rows * row
        })
    }

    /// `[rows, width]`.
    ///
    /// # Errors
    /// A dense one has not two dimensions.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => weight.dims2(),
            Self::Prepacked(packed) => Ok(packed.dims()),
            Self::Rows(rows) => Ok(rows.dims()),
            Self::Panels(panels) => Ok(panels.dims()),
            Self::Card(card) => Ok((card.rows.len(), card.blocks.shape().dims2()?.1)),
        }
    }

    /// Bytes that its values or blocks take in memory.
    pub fn bytes(&self) -> u64 {
        (match self {
            Self::Prepacked(packed) => packed.bytes(),
            Self::Rows(_) => 0,
            Self::Dense(weight) => weight.elem_count() * weight.dtype().size_in_bytes(),
            Self::Panels(panels) => panels.bytes(),
            Self::Card(card) => card.blocks.storage_size_in_bytes(),
        }) as u64
    }

    /// Precision of the activations it takes and gives.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Prepacked(_) | Self::Rows(_) | Self::Panels(_) => DType::F32,
            Self::Card(card) => card.dtype,
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match self {
            Self::Dense(weight) => weight.device().clone(),
            Self::Prepacked(_) | Self::Rows(_) | Self::Panels(_) => Device::Cpu,
            Self::Card(card) => card.blocks.device(),
        }
    }

    /// Some of its rows, without a copy.
    ///
    /// # Errors
    /// The range is not inside.
    pub fn narrow(&self, rows: Range<usize>) -> Result<Self> {
        Ok(match self {
            Self::Dense(weight) => Self::Dense(weight.narrow(0, rows.start, rows.len())?),
            // Layers are packed; what rows are taken of is a table.
            Self::Prepacked(_) => bail!("rows of a packed layer"),
            Self::Rows(held) => Self::Rows(held.narrow(rows)?),
            Self::Panels(panels) => Self::Panels(panels.narrow(rows)?),
            Self::Card(card) => Self::Card(Card {
                rows: card.rows.start + rows.start..card.rows.start + rows.end,
                ..card.clone()
            }),
        })
    }

    /// The rows of `ids` `[n]` (u32): `[n, width]`.
    ///
    /// # Errors
    /// An id is too large.
    pub fn lookup(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => weight.index_select(ids, 0),
            Self::Prepacked(_) => bail!("a packed layer is no table"),
            Self::Rows(rows) => rows.lookup(&ids.to_vec1::<u32>()?),
            Self::Panels(panels) => panels.lookup(&ids.to_vec1::<u32>()?),
            Self::Card(card) => card.blocks.embedding(ids)?.to_dtype(card.dtype),
        }
    }
}

impl Matrix {
    /// `x` `[n, width]` times each of the transposed matrices, in one go where that is quicker:
    /// `[n, rows]` of each.
    ///
    /// # Errors
    /// Another width, too little memory.
    pub fn forward_all<'a>(matrices: &[&'a Self], x: &Tensor) -> Result<Vec<Tensor>> {
        let of = |matrix: &&'a Self| match matrix {
            Self::Panels(panels) => Some(panels),
            _ => None,
        };
        if let Some(panels) = matrices.iter().map(of).collect::<Option<Vec<_>>>() {
            return Panels::linear(&panels, x);
        }
        let of = |matrix: &&'a Self| match matrix {
            Self::Prepacked(packed) => Some(packed),
            _ => None,
        };
        if let Some(packed) = matrices.iter().map(of).collect::<Option<Vec<_>>>() {
            return Prepacked::linear(&packed, x);
        }
        matrices.iter().map(|matrix| matrix.forward(x)).collect()
    }
}

impl Module for Matrix {
    /// `x` `[n, width]` times the transposed matrix: `[n, rows]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => {
                if matvec::takes(x, x.dim(0)?) {
                    matvec::linear(x, weight)
                } else {
                    x.matmul(&weight.t()?)
                }
            }
            Self::Prepacked(packed) => Ok(Prepacked::linear(&[packed], x)?.remove(0)),
            Self::Rows(rows) => rows.forward(x),
            Self::Panels(panels) => Ok(Panels::linear(&[panels], x)?.remove(0)),
            Self::Card(card) => {
                // candle multiplies a few rows in any precision, more in f32 alone.
                let x = if x.dim(0)? <= FEW_ROWS && x.device().is_cuda() {
                    x.contiguous()?
                } else {
                    x.to_dtype(DType::F32)?
                };
                // It cannot multiply with some rows of its blocks, so all are and some kept.
                QMatMul::QTensor(Arc::clone(&card.blocks))
                    .forward(&x)?
                    .narrow(1, card.rows.start, card.rows.len())?
                    .contiguous()?
                    .to_dtype(card.dtype)
            }
        }
    }
}
