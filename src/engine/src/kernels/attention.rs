//! Attention without a matrix of all scores.
//!
//! [`fused`] streams over blocks of keys with a running softmax, so its memory does not grow with
//! the square of the length, and a window costs its own width instead of the whole length.
//! [`standard`] is the textbook form in candle's operations, a bounded block of queries at a
//! time; it runs everywhere and is what the fused form is compared with.
//!
//! Both take `q` `[b, nq, lq, d]`, `k` and `v` `[b, nk, lk, d]` with `nq` a multiple of `nk`
//! (query head `h` reads key-value head `h / (nq / nk)`; keys are never repeated in memory), and
//! give `[b, nq, lq, d]` in the dtype of `q`. Keys and values may be the first rows of a longer
//! cache: [`fused`] reads them where they lie.

mod card;
mod decode;
mod metal;
mod packed;
mod self_test;
mod standard;
mod stream;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{
    conv1d::{runs_here, values},
    parallel::filled,
};
use crate::nn::mask::Mask;

pub use self_test::self_test;
pub use standard::{MAX_SCORES, standard};

/// Below this many queries keys are read once where they lie; from here on, packing them pays.
const FEW_QUERIES: usize = 12;

/// Shapes of one call, checked.
#[derive(Debug, Clone, Copy)]
struct Shapes {
    b: usize,
    nq: usize,
    nk: usize,
    lq: usize,
    lk: usize,
    d: usize,
}

/// Keys or values `[b, nk, lk, d]` where they lie: rows of one head follow each other, heads may
/// be apart, as in a cache with room for more.
#[derive(Debug, Clone, Copy)]
struct Heads<'a> {
    values: &'a [f32],
    nk: usize,
    batch_stride: usize,
    head_stride: usize,
    len: usize,
}

impl<'a> Heads<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (_, nk, lk, d) = layout.shape().dims4()?;
        let &[batch_stride, head_stride, ..] = layout.stride() else {
            bail!("attention: keys and values have four dimensions");
        };
        Ok(Self {
            values: &storage.as_slice::<f32>()?[layout.start_offset()..],
            nk,
            batch_stride,
            head_stride,
            len: lk * d,
        })
    }

    /// `[lk, d]` of head `head % nk` of item `head / nk`.
    fn get(&self, head: usize) -> &'a [f32] {
        let start = head / self.nk * self.batch_stride + head % self.nk * self.head_stride;
        &self.values[start..][..self.len]
    }
}

/// `x` as [`Heads`] can read it.
fn rows_together(x: &Tensor) -> Result<Tensor> {
    let together = matches!(x.stride(), &[_, _, row, 1] if row == x.dim(3)?);
    if together {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

impl Shapes {
    fn new(q: &Shape, k: &Shape, v: &Shape) -> Result<Self> {
        let (b, nq, lq, d) = q.dims4()?;
        let (kb, nk, lk, kd) = k.dims4()?;
        if k != v || kb != b || kd != d || nk == 0 || nq % nk != 0 {
            bail!("attention: q {q:?}, k {k:?} and v {v:?} do not fit together");
        }
        if lk == 0 {
            bail!("attention: there are no keys");
        }
        Ok(Self {
            b,
            nq,
            nk,
            lq,
            lk,
            d,
        })
    }

    /// Key position of query `i`; queries stand at the end of the keys.
    fn position(&self, i: usize) -> usize {
        (i + self.lk).saturating_sub(self.lq)
    }

    /// Refuses a mask under which some query would see no key.
    fn check_mask(&self, mask: Mask) -> Result<()> {
        if mask != Mask::None && self.lq > self.lk {
            bail!(
                "attention: {} queries cannot stand at the end of {} keys under {mask:?}",
                self.lq,
                self.lk
            );
        }
        Ok(())
    }
}

/// Streaming attention: on a CPU in f32 by the kernel of this module, on NVIDIA cards and Apple's GPUs by
/// candle's where the build has them, anywhere else [`standard`].
pub fn fused(q: &Tensor, k: &Tensor, v: &Tensor, scale: f32, mask: Mask) -> Result<Tensor> {
    let shapes = Shapes::new(q.shape(), k.shape(), v.shape())?;
    shapes.check_mask(mask)?;
    if !runs_here(q.device(), q.dtype()) {
        let flash = if q.device().is_metal() {
            metal::flash
        } else {
            card::flash
        };
        return match flash(q, k, v, scale, mask)? {
            Some(out) => Ok(out),
            None => standard(q, k, v, scale, mask),
        };
    }
    let op = Fused {
        shapes,
        scale,
        mask,
    };
    q.contiguous()?
        .apply_op3_no_bwd(&rows_together(k)?, &rows_together(v)?, &op)
}

struct Fused {
    shapes: Shapes,
    scale: f32,
    mask: Mask,
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "attention"
    }

    #[expect(unsafe_code, reason = "the output is written before it is read")]
    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let q = values(q, q_layout)?;
        let (k, v) = (Heads::new(k, k_layout)?, Heads::new(v, v_layout)?);
        // Base 2 exponentials take the factor log2(e) into the scale.
        let scale = self.scale * std::f32::consts::LOG2_E;
        let attend = if self.shapes.lq < FEW_QUERIES {
            decode::attend
        } else {
            stream::attend
        };
        // SAFETY: every query of every head has a row, which is all of it.
        let out = unsafe {
            filled(q.len(), |out| {
                attend(&self.shapes, q, k, v, scale, self.mask, out);
            })
        };
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests;
