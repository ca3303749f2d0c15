//! A few queries, as when a language model writes one token after another: each key and value is
//! read once, where it lies.

use rayon::prelude::*;

use super::{Heads, Shapes};
use crate::kernels::exp2::exp2;
use crate::kernels::simd::{mul_add, multiversion};
use crate::nn::mask::Mask;

pub(super) fn attend(
    shapes: &Shapes,
    q: &[f32],
    k: Heads<'_>,
    v: Heads<'_>,
    scale: f32,
    mask: Mask,
    out: &mut [f32],
) {
    let Shapes {
        nq, nk, lq, lk, d, ..
    } = *shapes;
    if out.is_empty() {
        return;
    }
    out.par_chunks_exact_mut(d)
        .enumerate()
        .for_each_init(Vec::new, |scores, (row, out)| {
            let (head, query) = (row / lq, row % lq);
            let kv_head = head / nq * nk + head % nq / (nq / nk);
            let keys = mask.keys(shapes.position(query), lk);
            let span = keys.start * d..keys.end * d;
            scores.resize(keys.len(), 0.0);
            attend_row(
                &q[row * d..][..d],
                &k.get(kv_head)[span.clone()],
                &v.get(kv_head)[span],
                scale,
                scores,
                out,
            );
        });
}

multiversion! {
    /// One query over all the keys given; `scores` has one value a key.
    fn attend_row(q: &[f32], k: &[f32], v: &[f32], scale: f32, scores: &mut [f32], out: &mut [f32]) = attend_row_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn attend_row_body<const FMA: bool>(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let mut max = f32::NEG_INFINITY;
    for (score, key) in scores.iter_mut().zip(k.chunks_exact(q.len())) {
        *score = dot::<FMA>(q, key) * scale;
        max = max.max(*score);
    }
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = exp2::<FMA>(*score - max);
        sum += *score;
    }
    out.fill(0.0);
    for (&weight, value) in scores.iter().zip(v.chunks_exact(q.len())) {
        for (out, &value) in out.iter_mut().zip(value) {
            *out = mul_add::<FMA>(weight, value, *out);
        }
    }
    let inverse = 1.0 / sum;
    for value in out {
        *value *= inverse;
    }
}

#[inline(always)]
fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0f32; LANES];
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for i in 0..LANES {
            sums[i] = mul_add::<FMA>(a[i], b[i], sums[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
