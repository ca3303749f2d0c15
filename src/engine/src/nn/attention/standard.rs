//! Attention from matrix products and a softmax, correct on every device.
//!
//! Queries are taken in chunks, so the scores never hold more than [`SCORE_BYTES`]; a windowed
//! chunk looks at its band of keys only, not at a masked square.

use candle_core::{DType, Device, Result, Tensor};

use crate::nn::Mask;

/// Scores held at once, in f32.
const SCORE_BYTES: usize = 64 << 20;
/// With a window of n, chunks of about n queries waste no more than a third of their band.
const WINDOW_CHUNK: usize = 128;

/// Bytes of the scores, their masked copy and their softmax over `lq` queries and `lk` keys.
pub(super) const fn score_bytes(nq: usize, lq: usize, lk: usize) -> u64 {
    let all = nq * lq * lk * size_of::<f32>();
    // A single row of queries is never split.
    let row = nq * lk * size_of::<f32>();
    let chunk = if all < SCORE_BYTES { all } else { SCORE_BYTES };
    3 * if chunk > row { chunk } else { row } as u64
}

/// `q` `[b, nq, lq, d]`, `k` and `v` `[b, nk, lk, d]` to `[b, nq, lq, d]`.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Mask) -> Result<Tensor> {
    let (b, nq, lq, d) = q.dims4()?;
    let (_, nk, lk, _) = k.dims4()?;
    let group = nq / nk;
    let row_bytes = b * nq * lk * size_of::<f32>();
    let rows = match mask {
        Mask::Window(n) => n.max(WINDOW_CHUNK),
        Mask::None | Mask::Causal => (SCORE_BYTES / row_bytes.max(1)).max(1),
    };
    let q = (q * (d as f64).powf(-0.5))?;
    let mut chunks = Vec::new();
    for start in (0..lq).step_by(rows.max(1)) {
        let len = rows.min(lq - start);
        // The queries are the last lq key positions.
        let first = start + lk - lq;
        let keys = mask.keys(first, lk).start..mask.keys(first + len - 1, lk).end;
        let k = k.narrow(2, keys.start, keys.len())?.contiguous()?;
        let v = v.narrow(2, keys.start, keys.len())?.contiguous()?;
        // The heads of a group share keys: they stand below each other in one product.
        let q = q
            .narrow(2, start, len)?
            .contiguous()?
            .reshape((b, nk, group * len, d))?;
        let scores = q.matmul(&k.t()?)?.to_dtype(DType::F32)?; // [b, nk, group * len, keys]
        let scores = match hidden(mask, first, len, keys.clone(), lk, q.device())? {
            Some(hidden) => scores
                .reshape((b, nk, group, len, keys.len()))?
                .broadcast_add(&hidden)?
                .reshape((b, nk, group * len, keys.len()))?,
            None => scores,
        };
        let weights = softmax(&scores)?.to_dtype(v.dtype())?;
        chunks.push(weights.matmul(&v)?.reshape((b, nq, len, d))?);
    }
    match chunks.as_slice() {
        [only] => Ok(only.clone()),
        many => Tensor::cat(many, 2),
    }
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax_last_dim(scores)
}

/// 0 where a query of the chunk sees a key, minus infinity where not; `None` when it sees all.
fn hidden(
    mask: Mask,
    first: usize,
    len: usize,
    keys: std::ops::Range<usize>,
    lk: usize,
    device: &Device,
) -> Result<Option<Tensor>> {
    let seen: Vec<_> = (first..first + len)
        .map(|position| mask.keys(position, lk))
        .collect();
    if seen.iter().all(|range| *range == keys) {
        return Ok(None);
    }
    let values: Vec<f32> = seen
        .iter()
        .flat_map(|range| {
            keys.clone().map(|key| {
                if range.contains(&key) {
                    0.
                } else {
                    f32::NEG_INFINITY
                }
            })
        })
        .collect();
    Ok(Some(Tensor::from_vec(values, (len, keys.len()), device)?))
}
