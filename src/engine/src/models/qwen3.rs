//! Qwen3: token ids to the hidden states after the final norm. One network, twice in use: as the
//! text encoder, and with a head ([`CausalLm`]) as the language model.
//!
//! Reference: `transformers` `Qwen3Model`. Captions go through the whole network; lyrics take
//! rows of the embedding table only. The language model extends sequences token by token
//! ([`Qwen3::extend`]), each with a cache of its own.

mod causal_lm;
mod config;

use candle_core::{DType, Result, Tensor, bail};

pub use causal_lm::CausalLm;
pub use config::Config;
pub(crate) use config::released;

use super::encoder_layer::EncoderStack;
use crate::{
    footprint::Footprint,
    kernels::{matvec::FEW_ROWS, parallel::on_the_pool},
    nn::{Backend, KvCache, Mask, Matrix, Span, Weights},
};

/// The network.
#[derive(Debug, Clone)]
pub struct Qwen3 {
    /// `[v, h]`
    embed_tokens: Matrix,
    layers: EncoderStack,
}

/// The next tokens of one sequence, and what it has kept of those before them.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// At least one token.
    pub ids: &'a [u32],
    /// The sequence's own cache, from [`Qwen3::cache`].
    pub cache: &'a mut KvCache,
}

impl Qwen3 {
    /// Takes `embed_tokens`, `layers.*` and `norm`, below `model.` where the checkpoint has that
    /// prefix. Of the table only rows are read.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let w = below_model(w);
        let table = w
            .pp("embed_tokens")
            .seldom((cfg.vocab_size, cfg.hidden_size), "weight")?;
        Self::around(table, cfg, backend, &w)
    }

    /// The same around a table that was taken already.
    fn around(embed_tokens: Matrix, cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let masks = vec![Mask::Causal; cfg.num_hidden_layers];
        Ok(Self {
            embed_tokens,
            layers: EncoderStack::load(&cfg.layer(), &masks, backend, w)?,
        })
    }

    /// Rows of the embedding table for `ids` `[b, l]` (u32): `[b, l, h]`.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (b, l) = ids.dims2()?;
        let rows = self.embed_tokens.lookup(&ids.flatten_all()?)?; // [b * l, h]
        rows.reshape((b, l, ()))
    }

    /// Hidden states after the final norm for `ids` `[b, l]` (u32): `[b, l, h]`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.layers.forward(&self.embed(ids)?)
    }

    /// An empty cache of one sequence, with room for `tokens`.
    pub fn cache(&self, tokens: usize) -> Result<KvCache> {
        let (dtype, device) = (self.embed_tokens.dtype(), self.embed_tokens.device());
        self.layers.cache(tokens, dtype, &device)
    }

    /// Hidden states after the final norm of every new token, `[l, h]` for each chunk.
    ///
    /// Short chunks go through the network together, a long one alone, so on a CPU the bits of a
    /// sequence depend on its own chunks and on nothing beside it.
    pub fn extend(&self, chunks: &mut [Chunk<'_>]) -> Result<Vec<Tensor>> {
        if self.embed_tokens.device().is_cpu() {
            on_the_pool(|| self.extend_here(chunks))
        } else {
            self.extend_here(chunks)
        }
    }

    fn extend_here(&self, chunks: &mut [Chunk<'_>]) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::with_capacity(chunks.len());
        let mut rest = chunks;
        while let Some(count) = together(rest) {
            let (group, later) = rest.split_at_mut(count);
            self.extend_together(group, &mut outputs)?;
            rest = later;
        }
        Ok(outputs)
    }

    fn extend_together(&self, chunks: &mut [Chunk<'_>], outputs: &mut Vec<Tensor>) -> Result<()> {
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.ids).copied().collect();
        let mut spans = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            if chunk.ids.is_empty() {
                bail!("a sequence cannot be extended by no token");
            }
            spans.push(Span {
                len: chunk.ids.len(),
                cache: &mut *chunk.cache,
            });
        }
        let count = ids.len();
        let ids = Tensor::from_vec(ids, (1, count), &self.embed_tokens.device())?;
        let hidden_states = self
            .layers
            .extend(&self.embed(&ids)?, &mut spans)?
            .squeeze(0)?; // [l, h]
        let mut first = 0;
        for span in &spans {
            outputs.push(hidden_states.narrow(0, first, span.len)?);
            first += span.len;
        }
        Ok(())
    }

    /// Parameters, embeddings included.
    pub fn parameters(cfg: &Config) -> u64 {
        (cfg.vocab_size * cfg.hidden_size) as u64
            + EncoderStack::parameters(&cfg.layer(), cfg.num_hidden_layers)
    }

    /// Memory for one sequence of `l` tokens.
    pub fn footprint(cfg: &Config, l: usize, backend: Backend, dtype: DType) -> Footprint {
        let activations = cfg.layer().activation_bytes(1, l, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(activations)
    }
}

/// Where the network begins: below `model.` where a checkpoint has that prefix.
fn below_model(w: &Weights) -> Weights {
    if w.pp("model.embed_tokens").contains("weight") {
        w.pp("model")
    } else {
        w.clone()
    }
}

/// How many of the first chunks run together; `None` when there are none.
fn together(chunks: &[Chunk<'_>]) -> Option<usize> {
    let mut tokens = 0;
    let fitting = chunks
        .iter()
        .take_while(|chunk| {
            tokens += chunk.ids.len();
            tokens <= FEW_ROWS
        })
        .count();
    (!chunks.is_empty()).then_some(fitting.max(1))
}

#[cfg(test)]
mod tests {
    use super::{Config, Qwen3};

    #[test]
    fn parameters_of_the_released_encoder_follow_from_its_config() {
        let cfg = Config {
            vocab_size: 151_669,
            hidden_size: 1024,
            intermediate_size: 3072,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            rope_theta: 1e6,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: true,
            max_position_embeddings: None,
        };
        assert_eq!(Qwen3::parameters(&cfg), 595_776_512);
    }
}
