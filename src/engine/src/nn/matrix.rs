//! A matrix of a layer, whatever it is stored as.

use std::{ops::Range, sync::Arc};

use candle_core::{
    DType, Device, Module, Result, Tensor,
    quantized::{QMatMul, QStorage, QTensor},
};

use crate::kernels::{matvec, quantized::Packed};

/// `[rows, width]`; made by [`Weights::matrix`](super::Weights::matrix).
#[derive(Debug, Clone)]
pub enum Matrix {
    /// In the precision of the activations.
    Dense(Tensor),
    /// Blocks in host memory, for activations in f32.
    Packed(Packed),
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
    /// `packed` on a device, for activations in `dtype`.
    ///
    /// # Errors
    /// The device has too little memory.
    pub(super) fn packed(packed: Packed, dtype: DType, device: &Device) -> Result<Self> {
        // The kernel counts in f32, which is what networks run in on a CPU.
        if device.is_cpu() && dtype == DType::F32 {
            return Ok(Self::Packed(packed));
        }
        let (rows, width) = packed.dims();
        let blocks = QStorage::from_data(packed.data().into(), device, packed.format().ggml())?;
        Ok(Self::Card(Card {
            blocks: Arc::new(QTensor::new(blocks, (rows, width))?),
            rows: 0..rows,
            dtype,
        }))
    }

    /// `[rows, width]`.
    ///
    /// # Errors
    /// A dense one has not two dimensions.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => weight.dims2(),
            Self::Packed(packed) => Ok(packed.dims()),
            Self::Card(card) => Ok((card.rows.len(), card.blocks.shape().dims2()?.1)),
        }
    }

    /// Bytes of its values or blocks.
    pub fn bytes(&self) -> u64 {
        (match self {
            Self::Dense(weight) => weight.elem_count() * weight.dtype().size_in_bytes(),
            Self::Packed(packed) => packed.data().len(),
            Self::Card(card) => card.blocks.storage_size_in_bytes(),
        }) as u64
    }

    /// Precision of the activations it takes and gives.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Packed(_) => DType::F32,
            Self::Card(card) => card.dtype,
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match self {
            Self::Dense(weight) => weight.device().clone(),
            Self::Packed(_) => Device::Cpu,
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
            Self::Packed(packed) => Self::Packed(packed.narrow(rows)?),
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
            Self::Packed(packed) => packed.lookup(&ids.to_vec1::<u32>()?),
            Self::Card(card) => card.blocks.embedding(ids)?.to_dtype(card.dtype),
        }
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
            Self::Packed(packed) => packed.linear(x),
            Self::Card(card) => {
                // candle cannot multiply with some rows of its blocks, so all are and some kept.
                QMatMul::QTensor(Arc::clone(&card.blocks))
                    .forward(&x.to_dtype(DType::F32)?)?
                    .narrow(1, card.rows.start, card.rows.len())?
                    .contiguous()?
                    .to_dtype(card.dtype)
            }
        }
    }
}
