//! Flash attention on NVIDIA cards, by candle-flash-attn: bf16 and f16, from the Ampere generation on.

use candle_core::{Result, Tensor};

use crate::nn::mask::Mask;

/// The largest head that the kernels are compiled for.
#[cfg(feature = "flash-attn")]
const MOST_DIMS: usize = 256;

/// Attention without a matrix of scores; `None` where this build or card has no kernel for it.
#[cfg(feature = "flash-attn")]
pub(super) fn flash(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f32,
    mask: Mask,
) -> Result<Option<Tensor>> {
    use candle_core::DType;
    use candle_flash_attn::{flash_attn, flash_attn_windowed};

    let d = q.dim(3)?;
    let fits = d <= MOST_DIMS && d.is_multiple_of(8);
    if !q.device().is_cuda() || !matches!(q.dtype(), DType::BF16 | DType::F16) || !fits {
        return Ok(None);
    }
    // The kernels take `[b, l, heads, d]`, rows wherever they lie.
    let (q, k, v) = (q.transpose(1, 2)?, k.transpose(1, 2)?, v.transpose(1, 2)?);
    let out = match mask {
        Mask::None => flash_attn(&q, &k, &v, scale, false)?,
        // Queries stand at the end of the keys there as here.
        Mask::Causal => flash_attn(&q, &k, &v, scale, true)?,
        Mask::Window(n) => flash_attn_windowed(&q, &k, &v, scale, Some(n), Some(n))?,
    };
    out.transpose(1, 2)?.contiguous().map(Some)
}

/// Attention without a matrix of scores: not in this build.
#[cfg(not(feature = "flash-attn"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
pub(super) fn flash(_: &Tensor, _: &Tensor, _: &Tensor, _: f32, _: Mask) -> Result<Option<Tensor>> {
    Ok(None)
}
