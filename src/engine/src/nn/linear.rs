//! One linear layer, whatever its weights are stored as.
//!
//! Which representation a weight has is decided when it is loaded and known nowhere else;
//! casting, if a representation needs it, belongs here too.

use candle_core::{Module, Result, Tensor};

use super::Weights;
use crate::kernels::matvec;

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub enum Linear {
    /// Weights in the precision of the activations.
    Dense {
        /// `[out, in]`
        weight: Tensor,
        /// `[out]`
        bias: Option<Tensor>,
    },
}

impl Linear {
    /// Takes `weight` `[output, input]` and `bias` `[output]`.
    pub fn load(input: usize, output: usize, w: &Weights) -> Result<Self> {
        let weight = w.get((output, input), "weight")?;
        let bias = Some(w.get(output, "bias")?);
        Ok(Self::Dense { weight, bias })
    }

    /// Takes `weight` `[output, input]`; the layer has no bias.
    pub fn load_without_bias(input: usize, output: usize, w: &Weights) -> Result<Self> {
        let weight = w.get((output, input), "weight")?;
        Ok(Self::Dense { weight, bias: None })
    }

    /// A layer from tensors that a network has cut out of another weight: `weight`
    /// `[out, in]`, `bias` `[out]`.
    pub fn from_parts(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self::Dense { weight, bias }
    }

    /// Parameters of a layer with and without bias.
    pub const fn parameters(input: usize, output: usize, bias: bool) -> u64 {
        (input * output) as u64 + if bias { output as u64 } else { 0 }
    }
}

impl Module for Linear {
    /// `[…, in]` to `[…, out]`, in the precision of the weights.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense { weight, bias } => {
                let (output, input) = weight.dims2()?;
                let mut dims = x.dims().to_vec();
                // One matrix product whatever the number of leading dims; the batched form would
                // repeat the weight.
                let rows = x.contiguous()?.reshape(((), input))?;
                let mut y = if matvec::takes(&rows, rows.dim(0)?) {
                    matvec::linear(&rows, weight)?
                } else {
                    rows.matmul(&weight.t()?)?
                };
                if let Some(bias) = bias {
                    y = y.broadcast_add(bias)?;
                }
                if let Some(last) = dims.last_mut() {
                    *last = output;
                }
                y.reshape(dims)
            }
        }
    }
}
