//! Keys and values of one sequence, kept between forwards.
//!
//! One buffer a layer, `[1, nk, capacity, d]`, written in place and read where it lies. It starts
//! with the room it is given and grows by whole blocks. Sequences never share a cache, so each
//! has its own length and its own positions.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::room;

/// Tokens by which a cache grows.
pub const BLOCK: usize = 256;

/// Keys and values of one sequence in every layer.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Layer>,
    len: usize,
}

#[derive(Debug)]
struct Layer {
    k: Tensor,
    v: Tensor,
}

impl KvCache {
    /// An empty cache of `layers` layers of `nk` heads of `d`, with room for `tokens`.
    pub fn new(
        layers: usize,
        (nk, d): (usize, usize),
        tokens: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let shape = (1, nk, Self::capacity_for(tokens), d);
        let values = 2 * layers * nk * shape.2 * d;
        room::ask((values * dtype.size_in_bytes()) as u64, device)?;
        let layers = (0..layers)
            .map(|_| {
                Ok(Layer {
                    k: Tensor::zeros(shape, dtype, device)?,
                    v: Tensor::zeros(shape, dtype, device)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers, len: 0 })
    }

    /// Tokens that a cache with room for `tokens` really holds.
    pub const fn capacity_for(tokens: usize) -> usize {
        let blocks = tokens.div_ceil(BLOCK);
        BLOCK * if blocks == 0 { 1 } else { blocks }
    }

    /// Tokens kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when no token is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A cache of its own with the same content, for a sequence with the same beginning.
    pub fn fork(&self) -> Result<Self> {
        let kept = self.layers.iter().flat_map(|layer| [&layer.k, &layer.v]);
        let bytes: usize = kept
            .map(|kept| kept.elem_count() * kept.dtype().size_in_bytes())
            .sum();
        if let Some(layer) = self.layers.first() {
            room::ask(bytes as u64, layer.k.device())?;
        }
        let layers = self
            .layers
            .iter()
            .map(|layer| {
                Ok(Layer {
                    k: layer.k.copy()?,
                    v: layer.v.copy()?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            len: self.len,
        })
    }

    /// Forgets all but the first `tokens`.
    pub fn truncate(&mut self, tokens: usize) {
        self.len = self.len.min(tokens);
    }

    /// Writes `k` and `v` `[1, nk, l, d]` of the next tokens in one layer; gives those of all
    /// tokens, `[1, nk, len + l, d]`. They count as kept when [`Self::advance`] says so, after the
    /// last layer.
    pub(crate) fn append(
        &mut self,
        layer: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Some(kept) = self.layers.get_mut(layer) else {
            bail!("the cache has no layer {layer}");
        };
        let end = self.len + k.dim(2)?;
        for (kept, new) in [(&mut kept.k, k), (&mut kept.v, v)] {
            let (_, nk, capacity, d) = kept.dims4()?;
            if end > capacity {
                let shape = (1, nk, Self::capacity_for(end), d);
                let values = nk * shape.2 * d;
                let bytes = 2 * values * kept.dtype().size_in_bytes();
                room::ask(bytes as u64, kept.device())?;
                let wider = Tensor::zeros(shape, kept.dtype(), kept.device())?;
                if self.len > 0 {
                    wider.slice_set(&kept.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
                }
                *kept = wider;
            }
            kept.slice_set(&new.contiguous()?, 2, self.len)?;
        }
        Ok((kept.k.narrow(2, 0, end)?, kept.v.narrow(2, 0, end)?))
    }

    /// `tokens` more are written in every layer.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, KvCache};
    use candle_core::{DType, Device, Tensor};

    fn rows(first: usize, count: usize) -> Tensor {
        let values: Vec<f32> = (0..2 * count * 3)
            .map(|i| ((i / (count * 3)) * 10_000 + first * 3 + i % (count * 3)) as f32)
            .collect();
        Tensor::from_vec(values, (1, 2, count, 3), &Device::Cpu).unwrap()
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn what_was_written_is_kept_when_it_grows_and_forks_are_apart() {
        let mut cache = KvCache::new(1, (2, 3), 1, DType::F32, &Device::Cpu).unwrap();
        let mut len = 0;
        for count in [1, BLOCK - 1, 1, 2 * BLOCK, 5] {
            let new = rows(len, count);
            let (k, v) = cache.append(0, &new, &(&new * 2.0).unwrap()).unwrap();
            cache.advance(count);
            len += count;
            assert_eq!(cache.len(), len);
            assert_eq!(flat(&k), flat(&rows(0, len)));
            assert_eq!(flat(&v), flat(&(rows(0, len) * 2.0).unwrap()));
        }
        let mut fork = cache.fork().unwrap();
        let (one, other) = (rows(9000, 1), rows(7000, 1));
        let (mine, _) = cache.append(0, &one, &one).unwrap();
        let (theirs, _) = fork.append(0, &other, &other).unwrap();
        let last = |t: &Tensor| flat(&t.narrow(2, len, 1).unwrap());
        assert_eq!(last(&mine), flat(&one));
        assert_eq!(last(&theirs), flat(&other));
        assert!(cache.append(1, &one, &one).is_err());

        cache.advance(1);
        cache.truncate(len);
        let (again, _) = cache.append(0, &other, &other).unwrap();
        assert_eq!(again.dim(2).unwrap(), len + 1);
        assert_eq!(last(&again), flat(&other));
        cache.truncate(len + 9);
        assert_eq!(cache.len(), len);
    }
}
