//! Qwen3 with a head: hidden states to a logit for every token of the vocabulary, or for some.
//!
//! Reference: `transformers` `Qwen3ForCausalLM`. The head is the embedding table or a matrix of
//! its own; its rows are independent, so whoever allows few tokens asks for few rows.

use std::ops::Range;

use candle_core::{DType, Module, Result, Tensor};

use super::{Chunk, Config, Qwen3, below_model};
use crate::{
    footprint::Footprint,
    kernels::matvec::FEW_ROWS,
    nn::{Backend, KvCache, Matrix, Weights},
};

/// The language model.
#[derive(Debug, Clone)]
pub struct CausalLm {
    model: Qwen3,
    /// `[v, h]`
    lm_head: Matrix,
    vocab_size: usize,
}

impl CausalLm {
    /// Takes what [`Qwen3::load`] takes, and `lm_head.weight` unless the config ties it to the
    /// embeddings. A tied file may hold it all the same: a copy, which is passed over.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let (below, dims) = (below_model(w), (cfg.vocab_size, cfg.hidden_size));
        // Read for every token, so it does not stay in its file.
        let table = below.pp("embed_tokens").matrix(dims, "weight")?;
        let lm_head = if cfg.tie_word_embeddings {
            table.clone()
        } else {
            w.pp("lm_head").matrix(dims, "weight")?
        };
        Ok(Self {
            model: Qwen3::around(table, cfg, backend, &below)?,
            lm_head,
            vocab_size: cfg.vocab_size,
        })
    }

    /// Tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Bytes of the embedding table.
    pub fn table_bytes(&self) -> u64 {
        self.model.embed_tokens.bytes()
    }

    /// An empty cache of one sequence, with room for `tokens`.
    pub fn cache(&self, tokens: usize) -> Result<KvCache> {
        self.model.cache(tokens)
    }

    /// See [`Qwen3::extend`]: hidden states of every new token, `[l, h]` for each chunk.
    pub fn extend(&self, chunks: &mut [Chunk<'_>]) -> Result<Vec<Tensor>> {
        self.model.extend(chunks)
    }

    /// Hidden state of the last new token of each chunk, `[chunks, h]`.
    pub fn extend_last(&self, chunks: &mut [Chunk<'_>]) -> Result<Tensor> {
        let last: Vec<Tensor> = self
            .extend(chunks)?
            .iter()
            .map(|hidden| hidden.narrow(0, hidden.dim(0)? - 1, 1))
            .collect::<Result<_>>()?;
        Tensor::cat(&last, 0)
    }

    /// Logits of the tokens in `rows`, one range after another, for hidden states `[n, h]`:
    /// `[n, tokens]`, f32.
    pub fn logits(&self, hidden_states: &Tensor, rows: &[Range<usize>]) -> Result<Tensor> {
        let parts: Vec<Tensor> = rows
            .iter()
            .map(|rows| {
                self.lm_head
                    .narrow(rows.clone())?
                    .forward(&hidden_states.contiguous()?)?
                    .to_dtype(DType::F32)
            })
            .collect::<Result<_>>()?;
        Tensor::cat(&parts, 1)
    }

    /// Parameters; a tied head counts once.
    pub fn parameters(cfg: &Config) -> u64 {
        let head = if cfg.tie_word_embeddings {
            0
        } else {
            cfg.vocab_size * cfg.hidden_size
        };
        Qwen3::parameters(cfg) + head as u64
    }

    /// Values that one token keeps in a cache.
    pub fn cache_values(cfg: &Config) -> u64 {
        (2 * cfg.num_hidden_layers * cfg.num_key_value_heads * cfg.head_dim) as u64
    }

    /// Memory while sequences of the given lengths in tokens, prompts included, are extended
    /// together. Their prompts run one after another, the longest as a whole.
    pub fn footprint(cfg: &Config, lengths: &[usize], backend: Backend, dtype: DType) -> Footprint {
        let kept: usize = lengths.iter().map(|l| KvCache::capacity_for(*l)).sum();
        let longest = lengths.iter().copied().max().unwrap_or(0).max(FEW_ROWS);
        let layer = cfg.layer().activation_bytes(1, longest, backend, dtype);
        let logits = (lengths.len() * cfg.vocab_size * 2 * size_of::<f32>()) as u64;
        Footprint::new(Self::parameters(cfg), dtype)
            .with_activations(layer + logits)
            .with_cache(kept as u64 * Self::cache_values(cfg), dtype)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::CausalLm;
    use crate::{models::qwen3::released, nn::Backend};

    #[test]
    fn memory_of_the_released_models_follows_from_their_configs() {
        let small = released(1024, 3072, 28, 16);
        let large = released(2560, 9728, 36, 32);
        // KiB a token in bf16, as published: 112 and 144.
        assert_eq!(CausalLm::cache_values(&small) * 2, 114_688);
        assert_eq!(CausalLm::cache_values(&large) * 2, 147_456);
        let memory = CausalLm::footprint(&small, &[1000, 333], Backend::Fused, DType::F32);
        assert_eq!(memory.weights, CausalLm::parameters(&small) * 4);
        assert_eq!(memory.cache, (1024 + 512) * 114_688 * 2);
        let mut apart = small.clone();
        apart.tie_word_embeddings = false;
        let head = 217_204 * 1024;
        assert_eq!(
            CausalLm::parameters(&apart) - CausalLm::parameters(&small),
            head
        );
    }
}
