//! Attention without a matrix of scores on Apple's GPUs, by the kernels that candle brings for Metal.

use candle_core::{Result, Tensor};
use candle_nn::ops::sdpa;

use super::rows_together;
use crate::nn::mask::Mask;

/// Sizes of a head that the kernels are compiled for.
const DIMS: [usize; 7] = [32, 64, 72, 80, 96, 128, 256];

/// A factor that candle's function wants; this one changes nothing.
const NO_SOFTCAPPING: f32 = 1.0;

/// Attention without a matrix of scores; `None` where there is no kernel for it: a window, which
/// [`standard`](super::standard) computes by blocks of its band, and queries that continue a cache.
pub(super) fn flash(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f32,
    mask: Mask,
) -> Result<Option<Tensor>> {
    let (lq, lk) = (q.dim(2)?, k.dim(2)?);
    // One query at the end of the keys sees all of them.
    let causal = match mask {
        Mask::None => false,
        Mask::Causal if lq == 1 => false,
        Mask::Causal if lq == lk => true,
        Mask::Causal | Mask::Window(_) => return Ok(None),
    };
    if !DIMS.contains(&q.dim(3)?) {
        return Ok(None);
    }
    let (q, k, v) = (q.contiguous()?, rows_together(k)?, rows_together(v)?);
    sdpa(&q, &k, &v, None, causal, scale, NO_SOFTCAPPING).map(Some)
}
