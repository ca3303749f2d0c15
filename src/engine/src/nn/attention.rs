//! Grouped-query attention with RMS-normed queries and keys.
//!
//! One block serves self-attention (with rotary positions and a [`Mask`]) and cross-attention
//! (keys and values prepared once, no positions). How the scores are computed is the
//! [`Backend`]'s business, chosen at load.

use std::ops::Range;

use candle_core::{DType, Device, Module, Result, Tensor};

use super::{KvCache, Linear, Mask, RmsNorm, Rope, SidePaths, Weights};
use crate::kernels::{attention as kernel, heads::split_heads};

/// How attention is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Matrix products and a softmax, a bounded block of queries at a time.
    Standard,
    /// Streaming over keys without a matrix of scores, where the device has a kernel for it.
    #[default]
    Fused,
}

impl Backend {
    /// Attention of `q` `[b, nq, lq, d]` over `k`, `v` `[b, nk, lk, d]`; `nq` is a multiple of
    /// `nk`. Scores are scaled by `d^-1/2`; the softmax counts in f32. Gives `[b, nq, lq, d]`.
    pub fn attend(self, q: &Tensor, k: &Tensor, v: &Tensor, mask: Mask) -> Result<Tensor> {
        let (_, _, lq, d) = q.dims4()?;
        let mask = mask.simplified(lq, k.dim(2)?);
        let scale = (d as f32).powf(-0.5);
        match self {
            Self::Standard => kernel::standard(q, k, v, scale, mask),
            Self::Fused => kernel::fused(q, k, v, scale, mask),
        }
    }

    /// Bytes of scores held at once over `lq` queries and `lk` keys of `nq` heads, for
    /// activations in `dtype`. The fused kernel runs in f32, on CPUs; elsewhere scores are made,
    /// masked and normalised, three copies at a time.
    pub const fn score_bytes(self, nq: usize, lq: usize, lk: usize, dtype: DType) -> u64 {
        if matches!(self, Self::Fused) && matches!(dtype, DType::F32) {
            return 0;
        }
        let row = nq * lk;
        let block = if row * lq < kernel::MAX_SCORES {
            row * lq
        } else {
            kernel::MAX_SCORES
        };
        // A single row of queries is never split.
        let values = if block > row { block } else { row };
        (3 * values * size_of::<f32>()) as u64
    }
}

/// Sizes of an attention block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Width of the input and output.
    pub h: usize,
    /// Query heads.
    pub nq: usize,
    /// Key and value heads.
    pub nk: usize,
    /// Head dimension; `nq * d` need not equal `h`.
    pub d: usize,
    /// Epsilon of the query and key norms.
    pub eps: f64,
}

impl Sizes {
    /// Parameters of one block.
    pub const fn parameters(&self) -> u64 {
        2 * Linear::parameters(self.h, self.nq * self.d, false)
            + 2 * Linear::parameters(self.h, self.nk * self.d, false)
            + 2 * self.d as u64
    }
}

/// Keys and values of a sequence, `[b, nk, l, d]`, keys normed (and turned, in self-attention).
#[derive(Debug, Clone)]
pub struct KeyValues {
    k: Tensor,
    v: Tensor,
}

/// The next tokens of one sequence among those of a forward, and what the sequence has kept.
#[derive(Debug)]
pub struct Span<'a> {
    /// Tokens, at least one.
    pub len: usize,
    /// Keys and values of the tokens before them.
    pub cache: &'a mut KvCache,
}

/// The attention block.
#[derive(Debug, Clone)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: RmsNorm,
    k_norm: RmsNorm,
    sizes: Sizes,
    backend: Backend,
}

impl Attention {
    /// Takes `{q,k,v,o}_proj.weight` and `{q,k}_norm.weight`.
    pub fn load(sizes: Sizes, backend: Backend, w: &Weights) -> Result<Self> {
        let Sizes { h, nq, nk, d, eps } = sizes;
        Ok(Self {
            q_proj: Linear::load_without_bias(h, nq * d, &w.pp("q_proj"))?,
            k_proj: Linear::load_without_bias(h, nk * d, &w.pp("k_proj"))?,
            v_proj: Linear::load_without_bias(h, nk * d, &w.pp("v_proj"))?,
            o_proj: Linear::load_without_bias(nq * d, h, &w.pp("o_proj"))?,
            q_norm: RmsNorm::load(d, eps, &w.pp("q_norm"))?,
            k_norm: RmsNorm::load(d, eps, &w.pp("k_norm"))?,
            sizes,
            backend,
        })
    }

    /// Takes the side paths of the four projections in place of those they had.
    pub fn attach(&mut self, paths: &SidePaths) {
        self.q_proj.attach(&paths.pp("q_proj"));
        self.k_proj.attach(&paths.pp("k_proj"));
        self.v_proj.attach(&paths.pp("v_proj"));
        self.o_proj.attach(&paths.pp("o_proj"));
    }

    /// Self-attention over `x` `[b, l, h]`; gives the same shape.
    pub fn forward(&self, x: &Tensor, rope: &Rope, mask: Mask) -> Result<Tensor> {
        let (q, KeyValues { k, v }) = self.projections(x, rope)?;
        self.output(&self.backend.attend(&q, &k, &v, mask)?)
    }

    /// Causal self-attention over the next tokens of several sequences, one after another in `x`
    /// `[1, l, h]`: each looks at its own sequence only. Gives the shape of `x`.
    pub fn extend(
        &self,
        x: &Tensor,
        rope: &Rope,
        layer: usize,
        spans: &mut [Span<'_>],
    ) -> Result<Tensor> {
        let (q, KeyValues { k, v }) = self.projections(x, rope)?;
        let mut first = 0;
        let mut outputs = Vec::with_capacity(spans.len());
        for Span { len, cache } in spans {
            let own = |t: &Tensor| t.narrow(2, first, *len)?.contiguous(); // [1, heads, l, d]
            let (keys, values) = cache.append(layer, &own(&k)?, &own(&v)?)?;
            outputs.push(
                self.backend
                    .attend(&own(&q)?, &keys, &values, Mask::Causal)?,
            );
            first += *len;
        }
        self.output(&Tensor::cat(&outputs, 2)?)
    }

    /// Queries, keys and values of a sequence `[b, l, h]`, queries and keys turned.
    fn projections(&self, x: &Tensor, rope: &Rope) -> Result<(Tensor, KeyValues)> {
        let [q, k, v] = Linear::forward_all([&self.q_proj, &self.k_proj, &self.v_proj], x)?;
        let q = normed_heads(&q, &self.q_norm, Some(rope))?;
        let k = normed_heads(&k, &self.k_norm, Some(rope))?;
        let v = heads(&v, self.sizes.nk, self.sizes.d)?;
        Ok((q, KeyValues { k, v }))
    }

    /// Keys and values of a sequence `[b, l, h]` for [`Self::cross`].
    pub fn key_values(&self, x: &Tensor) -> Result<KeyValues> {
        let Sizes { nk, d, .. } = self.sizes;
        let k = normed_heads(&self.k_proj.forward(x)?, &self.k_norm, None)?;
        let v = heads(&self.v_proj.forward(x)?, nk, d)?;
        Ok(KeyValues { k, v })
    }

    /// Cross-attention of `x` `[b, l, h]` over every key of `kv`; gives the shape of `x`.
    pub fn cross(&self, x: &Tensor, kv: &KeyValues) -> Result<Tensor> {
        let q = self.queries(x)?;
        self.output(&self.backend.attend(&q, &kv.k, &kv.v, Mask::None)?)
    }

    /// How [`Self::cross`] spreads over the keys `columns` of `kv` for `x` `[1, l, h]`: shares of all
    /// keys, `[heads, l, columns]`, f32, on the host. A bounded block of queries at a time.
    pub fn shares(
        &self,
        x: &Tensor,
        kv: &KeyValues,
        heads: &[usize],
        columns: &Range<usize>,
    ) -> Result<Tensor> {
        let Sizes { nq, nk, d, .. } = self.sizes;
        let q = self.queries(x)?.squeeze(0)?; // [nq, l, d]
        let l = q.dim(1)?;
        let block = (kernel::MAX_SCORES / kv.len().max(1)).clamp(1, l.max(1));
        let of_head = |head: &usize| {
            let q = q.get(*head)?.to_dtype(DType::F32)?;
            let k = kv.k.get(0)?.get(head / (nq / nk))?.to_dtype(DType::F32)?;
            let k = (k.t()? * f64::from(d as u32).powf(-0.5))?; // [d, keys]
            let blocks = (0..l).step_by(block).map(|first| {
                let scores = q.narrow(0, first, block.min(l - first))?.matmul(&k)?;
                candle_nn::ops::softmax_last_dim(&scores)?
                    .narrow(1, columns.start, columns.len())?
                    .to_device(&Device::Cpu)
            });
            Tensor::cat(&blocks.collect::<Result<Vec<_>>>()?, 0) // [l, columns]
        };
        let maps = heads.iter().map(of_head).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&maps, 0)
    }

    /// What [`Self::cross`] gives for every query when `kv` has one key: a softmax over one score
    /// is one, so the output is that value, whatever the query. `[b, 1, h]`.
    pub fn cross_constant(&self, kv: &KeyValues) -> Result<Tensor> {
        let Sizes { nq, nk, .. } = self.sizes;
        // Query head i reads key head i / (nq / nk).
        let (b, _, l, d) = kv.v.dims4()?;
        let v =
            kv.v.unsqueeze(2)?
                .broadcast_as((b, nk, nq / nk, l, d))?
                .contiguous()?;
        self.output(&v.reshape((b, nq, l, d))?)
    }

    fn queries(&self, x: &Tensor) -> Result<Tensor> {
        normed_heads(&self.q_proj.forward(x)?, &self.q_norm, None)
    }

    fn output(&self, x: &Tensor) -> Result<Tensor> {
        let (b, nq, l, d) = x.dims4()?;
        let x = x.transpose(1, 2)?.reshape((b, l, nq * d))?;
        self.o_proj.forward(&x) // [b, l, h]
    }
}

impl KeyValues {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.k.dims()[2]
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `[b, l, heads * d]` to `[b, heads, l, d]`, each head normed and, with `rope`, turned.
fn normed_heads(x: &Tensor, norm: &RmsNorm, rope: Option<&Rope>) -> Result<Tensor> {
    let (weight, eps) = norm.parts();
    split_heads(x, weight, eps, rope.map(Rope::angles))
}

/// `[b, l, heads * d]` to `[b, heads, l, d]`, contiguous.
fn heads(x: &Tensor, heads: usize, d: usize) -> Result<Tensor> {
    let (b, l, _) = x.dims3()?;
    x.reshape((b, l, heads, d))?.transpose(1, 2)?.contiguous()
}
