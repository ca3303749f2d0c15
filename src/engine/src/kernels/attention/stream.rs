//! Many queries: blocks of keys, running softmax.
//!
//! Everything is kept transposed, queries along the vector lanes: the scores of a block are keys
//! by queries, so maxima, sums and corrections of the softmax are plain vector operations, and
//! both products are the loop of [`tile`](crate::kernels::tile) with the packed keys or values as
//! its rows.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Heads, Shapes,
    packed::{Cut, PackedHead},
};
use crate::kernels::exp2::exp2;
use crate::kernels::parallel::{SharedOut, filled, for_each_with_scratch};
use crate::kernels::simd::{mul_add, multiversion};
use crate::kernels::tile::{COLUMNS, accumulate, panel_rows};
use crate::kernels::transpose::transpose;
use crate::nn::mask::Mask;

/// Queries of a task.
const QUERIES: usize = 96;
/// Keys of a block, where there are several.
const KEYS: usize = 240;
/// So many are still one block: what a window of 257 shows to the queries of a task. A multiple of every
/// panel height, as is [`KEYS`].
const MOST_KEYS: usize = 384;
/// Stands for "no maximum yet": finite, so that differences stay numbers.
const LOWEST: f32 = -1e30;

struct Scratch {
    /// `[d, queries]`
    queries: Vec<f32>,
    /// `[keys, queries]`
    scores: Vec<f32>,
    /// `[d, queries]`
    out: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
    correction: Vec<f32>,
    offsets: Vec<u32>,
}

#[expect(
    unsafe_code,
    reason = "buffers are written before they are read, by tasks in disjoint parts"
)]
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
        b,
        nq,
        nk,
        lq,
        lk,
        d,
    } = *shapes;
    if out.is_empty() {
        return;
    }
    let cut = Cut::new(lk, d);
    // SAFETY: the panels of every head are all of it.
    let packed = unsafe {
        filled(b * nk * cut.len(), |packed| {
            packed
                .par_chunks_exact_mut(cut.len())
                .enumerate()
                .for_each(|(head, packed)| cut.fill(k.get(head), v.get(head), d, packed));
        })
    };

    let blocks = lq.div_ceil(QUERIES);
    let out = SharedOut::new(out);
    for_each_with_scratch(
        b * nq * blocks,
        || Scratch {
            queries: vec![0.0; d * QUERIES],
            scores: vec![0.0; MOST_KEYS * QUERIES],
            out: vec![0.0; (d + panel_rows()) * QUERIES],
            max: vec![0.0; QUERIES],
            sum: vec![0.0; QUERIES],
            correction: vec![0.0; QUERIES],
            offsets: (0..d.max(MOST_KEYS))
                .map(|row| (row * QUERIES) as u32)
                .collect(),
        },
        |scratch, task| {
            let (head, first) = (task / blocks, task % blocks * QUERIES);
            let count = QUERIES.min(lq - first);
            let q = &q[(head * lq + first) * d..][..count * d];
            let kv_head = head / nq * nk + head % nq / (nq / nk);
            let packed = cut.head(&packed[kv_head * cut.len()..][..cut.len()]);
            attend_block(
                shapes,
                packed,
                q,
                first..first + count,
                scale,
                mask,
                scratch,
            );

            // SAFETY: each block of queries of each head belongs to one task.
            let out = unsafe { out.slice((head * lq + first) * d, count * d) };
            for sum in &mut scratch.sum[..count] {
                *sum = 1.0 / *sum;
            }
            multiply(&mut scratch.out[..d * QUERIES], &scratch.sum);
            transpose((&scratch.out, QUERIES), (d, count), (out, d));
        },
    );
}

/// One block of queries of one head; leaves unnormalised sums in `scratch.out` and their weights
/// in `scratch.sum`.
fn attend_block(
    shapes: &Shapes,
    head: PackedHead<'_>,
    q: &[f32],
    queries: Range<usize>,
    scale: f32,
    mask: Mask,
    scratch: &mut Scratch,
) {
    let d = shapes.d;
    let lanes = queries.len().next_multiple_of(COLUMNS);
    if queries.len() < lanes {
        scratch.queries.fill(0.0);
    }
    transpose((q, d), (queries.len(), d), (&mut scratch.queries, QUERIES));
    scratch.max.fill(scale);
    multiply(&mut scratch.queries, &scratch.max);
    scratch.out.fill(0.0);
    scratch.sum.fill(0.0);
    scratch.max.fill(LOWEST);

    // Keys that any query of the block may see, from a whole panel on.
    let positions = shapes.position(queries.start)..shapes.position(queries.end - 1) + 1;
    let visible =
        mask.keys(positions.start, shapes.lk).start..mask.keys(positions.end - 1, shapes.lk).end;
    let panels = head.cut.keys.list();
    let first_panel = visible.start / panel_rows();
    let last_panel = visible.end.div_ceil(panel_rows());

    let seen = Seen::new(positions.start, shapes.lk, mask);
    // Blocks of about one size: a rest would pay for the softmax of a whole one.
    let panels = &panels[first_panel..last_panel];
    let even = if panels.len() * panel_rows() <= MOST_KEYS {
        panels.len()
    } else {
        panels
            .len()
            .div_ceil(panels.len().div_ceil(KEYS / panel_rows()))
    };
    for block in panels.chunks(even.max(1)) {
        let (Some(first), Some(last)) = (block.first(), block.last()) else {
            break;
        };
        let keys = first.first_row..last.first_row + last.rows;
        scratch.scores[..block.len() * panel_rows() * QUERIES].fill(0.0);
        for panel in block {
            let seeing = seen.lanes(panel.first_row..panel.first_row + panel.rows, lanes);
            if seeing.is_empty() {
                continue;
            }
            let row = (panel.first_row - keys.start) * QUERIES;
            accumulate(
                panel.slice(head.keys, 0, d),
                &scratch.offsets[..d],
                &scratch.queries[seeing.start..],
                &mut scratch.scores[row + seeing.start..],
                QUERIES,
                seeing.len(),
            );
        }
        let scores = &mut scratch.scores[..keys.len() * QUERIES];
        for first in (0..lanes).step_by(COLUMNS) {
            let keys_seen = seen.keys(first..first + COLUMNS, &keys);
            let rows = keys_seen.start - keys.start..keys_seen.end - keys.start;
            if mask != Mask::None {
                // What all queries see is most of it.
                let all = seen.keys_of_all(first..first + COLUMNS, &keys_seen);
                for part in [keys_seen.start..all.start, all.end..keys_seen.end] {
                    let rows = part.start - keys.start..part.end - keys.start;
                    let scores = &mut scores[rows.start * QUERIES..rows.end * QUERIES];
                    hide(scores, first, part.start, &seen);
                }
            }
            soften(
                &mut scores[rows.start * QUERIES..rows.end * QUERIES],
                first,
                &mut scratch.max,
                &mut scratch.sum,
                &mut scratch.correction,
            );
        }
        multiply(&mut scratch.out, &scratch.correction);
        // Lanes that see the same keys go together.
        let step = if mask == Mask::None { lanes } else { COLUMNS };
        for first in (0..lanes).step_by(step) {
            let seen = seen.keys(first..first + step, &keys);
            if seen.is_empty() {
                continue;
            }
            for panel in head.cut.values.list() {
                accumulate(
                    panel.slice(head.values, seen.start, seen.end),
                    &scratch.offsets[..seen.len()],
                    &scores[(seen.start - keys.start) * QUERIES + first..],
                    &mut scratch.out[panel.first_row * QUERIES + first..],
                    QUERIES,
                    step,
                );
            }
        }
    }
}

/// First key that each query of a block sees, and the first after those.
pub(super) struct Seen {
    first: [u32; QUERIES],
    end: [u32; QUERIES],
}

impl Seen {
    fn new(first_position: usize, lk: usize, mask: Mask) -> Self {
        let of = |lane: usize| mask.keys((first_position + lane).min(lk - 1), lk);
        Self {
            first: std::array::from_fn(|lane| of(lane).start as u32),
            end: std::array::from_fn(|lane| of(lane).end as u32),
        }
    }

    /// Of the first `lanes`, those among which some see any of `keys`, in whole columns of the products.
    /// Later queries see later keys, so they follow each other.
    fn lanes(&self, keys: Range<usize>, lanes: usize) -> Range<usize> {
        let sees = |group: &usize| {
            let last = group + COLUMNS - 1;
            (self.first[*group] as usize) < keys.end && self.end[last] as usize > keys.start
        };
        let mut groups = (0..lanes).step_by(COLUMNS).filter(sees);
        let first = groups.next().unwrap_or(lanes);
        first..groups.next_back().unwrap_or(first) + if first < lanes { COLUMNS } else { 0 }
    }

    /// Those of `keys` that any of `lanes` sees.
    fn keys(&self, lanes: Range<usize>, keys: &Range<usize>) -> Range<usize> {
        let first = (self.first[lanes.start] as usize).clamp(keys.start, keys.end);
        let end = (self.end[lanes.end - 1] as usize).clamp(first, keys.end);
        first..end
    }

    /// Those of `keys` that all of `lanes` see; where there are none, an empty range among `keys`.
    fn keys_of_all(&self, lanes: Range<usize>, keys: &Range<usize>) -> Range<usize> {
        let first = (self.first[lanes.end - 1] as usize).clamp(keys.start, keys.end);
        let end = (self.end[lanes.start] as usize).clamp(first, keys.end);
        first..end
    }
}

multiversion! {
    /// Sets the scores of keys from `first_key` on to −∞ where one of the [`COLUMNS`] queries from
    /// `first_lane` on may not see them.
    fn hide(scores: &mut [f32], first_lane: usize, first_key: usize, seen: &Seen) = hide_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn hide_body<const FMA: bool>(
    scores: &mut [f32],
    first_lane: usize,
    first_key: usize,
    seen: &Seen,
) {
    let first: [u32; COLUMNS] = std::array::from_fn(|i| seen.first[first_lane + i]);
    let end: [u32; COLUMNS] = std::array::from_fn(|i| seen.end[first_lane + i]);
    for (i, row) in scores.chunks_exact_mut(QUERIES).enumerate() {
        let key = (first_key + i) as u32;
        let row = &mut row[first_lane..][..COLUMNS];
        for i in 0..COLUMNS {
            let sees = first[i] <= key && key < end[i];
            row[i] = if sees { row[i] } else { f32::NEG_INFINITY };
        }
    }
}

multiversion! {
    /// Turns scores `[keys, queries]` of the [`COLUMNS`] queries from `first` on into weights relative to
    /// the running maximum, adds them to the running sum, and says by how much earlier sums shrink.
    fn soften(
        scores: &mut [f32],
        first: usize,
        max: &mut [f32],
        sum: &mut [f32],
        correction: &mut [f32],
    ) = soften_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn soften_body<const FMA: bool>(
    scores: &mut [f32],
    first: usize,
    max: &mut [f32],
    sum: &mut [f32],
    correction: &mut [f32],
) {
    // Their maximum and sum stay in registers.
    let old: [f32; COLUMNS] = std::array::from_fn(|i| max[first + i]);
    let mut new = old;
    for row in scores.chunks_exact(QUERIES) {
        let row = &row[first..][..COLUMNS];
        for i in 0..COLUMNS {
            new[i] = if row[i] > new[i] { row[i] } else { new[i] };
        }
    }
    let mut total = [0f32; COLUMNS];
    for row in scores.chunks_exact_mut(QUERIES) {
        let row = &mut row[first..][..COLUMNS];
        for i in 0..COLUMNS {
            row[i] = exp2::<FMA>(row[i] - new[i]);
            total[i] += row[i];
        }
    }
    for i in 0..COLUMNS {
        let shrink = exp2::<FMA>(old[i] - new[i]);
        correction[first + i] = shrink;
        sum[first + i] = mul_add::<FMA>(sum[first + i], shrink, total[i]);
        max[first + i] = new[i];
    }
}

multiversion! {
    /// Multiplies every row of `[rows, queries]` by `factors`, one a query.
    fn multiply(values: &mut [f32], factors: &[f32]) = multiply_body
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
fn multiply_body<const FMA: bool>(values: &mut [f32], factors: &[f32]) {
    for row in values.chunks_exact_mut(QUERIES) {
        for (value, factor) in row.iter_mut().zip(factors) {
            *value *= factor;
        }
    }
}
