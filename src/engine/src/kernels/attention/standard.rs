//! Attention in candle's operations, on any device and in any float dtype, a bounded block of
//! queries at a time.

use candle_core::{D, DType, Device, Result, Tensor};

use super::Shapes;
use crate::nn::mask::Mask;

/// Scores held at once: 64 MiB in f32.
pub const MAX_SCORES: usize = 16 * 1024 * 1024;

/// Textbook attention; the softmax is taken in f32. Items of a batch run one after another, so
/// that neither memory nor results depend on the batch.
pub fn standard(q: &Tensor, k: &Tensor, v: &Tensor, scale: f32, mask: Mask) -> Result<Tensor> {
    in_blocks(q, k, v, scale, mask, MAX_SCORES)
}

/// [`standard`] with no more than `most` scores at once, as far as one query goes.
pub(super) fn in_blocks(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f32,
    mask: Mask,
    most: usize,
) -> Result<Tensor> {
    let shapes = Shapes::new(q.shape(), k.shape(), v.shape())?;
    shapes.check_mask(mask)?;
    let Shapes { b, nq, lq, lk, .. } = shapes;
    let rows = (most / (nq * lk).max(1)).clamp(1, lq.max(1));
    let mut items = Vec::with_capacity(b);
    for item in 0..b {
        let (q, k, v) = (
            q.narrow(0, item, 1)?,
            k.narrow(0, item, 1)?,
            v.narrow(0, item, 1)?,
        );
        let mut blocks = Vec::with_capacity(lq.div_ceil(rows));
        for first in (0..lq).step_by(rows) {
            let count = rows.min(lq - first);
            blocks.push(block(
                &shapes,
                &q.narrow(2, first, count)?,
                &k,
                &v,
                first,
                scale,
                mask,
            )?);
        }
        items.push(Tensor::cat(&blocks, 2)?);
    }
    Tensor::cat(&items, 0)
}

/// Queries `first..` of one item, `q` `[1, nq, rows, d]`.
fn block(
    shapes: &Shapes,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    first: usize,
    scale: f32,
    mask: Mask,
) -> Result<Tensor> {
    let Shapes { nq, nk, lk, d, .. } = *shapes;
    let rows = q.dim(2)?;
    let (start, end) = (shapes.position(first), shapes.position(first + rows - 1));
    let keys = mask.keys(start, lk).start..mask.keys(end, lk).end;
    let group = nq / nk;
    let q = q.contiguous()?.reshape((nk, group * rows, d))?;
    let k = k
        .narrow(2, keys.start, keys.len())?
        .squeeze(0)?
        .contiguous()?; // [nk, keys, d]
    let v = v
        .narrow(2, keys.start, keys.len())?
        .squeeze(0)?
        .contiguous()?;
    let mut scores = (q.matmul(&k.transpose(1, 2)?)?.to_dtype(DType::F32)? * f64::from(scale))?; // [nk, group * rows, keys]
    if mask != Mask::None {
        let hidden = hidden(start..end + 1, &keys, lk, mask, q.device())?; // [rows, keys]
        scores = scores
            .reshape((nk * group, rows, keys.len()))?
            .broadcast_add(&hidden)?
            .reshape((nk, group * rows, keys.len()))?;
    }
    let weights = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    weights
        .to_dtype(v.dtype())?
        .matmul(&v)?
        .reshape((1, nq, rows, d))
}

/// 0 where a query at one of `positions` sees a key, −∞ elsewhere.
fn hidden(
    positions: std::ops::Range<usize>,
    keys: &std::ops::Range<usize>,
    lk: usize,
    mask: Mask,
    device: &Device,
) -> Result<Tensor> {
    let rows = positions.len();
    let mut values = Vec::with_capacity(rows * keys.len());
    for position in positions {
        let seen = mask.keys(position, lk);
        values.extend(keys.clone().map(|key| {
            if seen.contains(&key) {
                0f32
            } else {
                f32::NEG_INFINITY
            }
        }));
    }
    Tensor::from_vec(values, (rows, keys.len()), device)
}
