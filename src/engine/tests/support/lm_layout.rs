//! The released layout of a language model of any size, with the bundled tokenizer.

use std::{collections::HashMap, path::Path};

use candle_core::Tensor;

/// Sizes of a Qwen3 whose head is its table.
pub(crate) struct Sizes {
    pub(crate) vocabulary: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) head_dim: usize,
    /// Query heads.
    pub(crate) queries: usize,
    /// Key and value heads.
    pub(crate) keys: usize,
}

impl Sizes {
    pub(crate) fn config(&self) -> serde_json::Value {
        serde_json::json!({
            "model_type": "qwen3", "vocab_size": self.vocabulary, "hidden_size": self.hidden,
            "intermediate_size": self.intermediate, "num_hidden_layers": self.layers,
            "num_attention_heads": self.queries, "num_key_value_heads": self.keys,
            "head_dim": self.head_dim, "rope_theta": 1_000_000, "rms_norm_eps": 1e-6,
            "tie_word_embeddings": true,
        })
    }

    /// Names and shapes of its tensors.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (h, i) = (self.hidden, self.intermediate);
        let (queries, keys) = (self.queries * self.head_dim, self.keys * self.head_dim);
        let mut shapes = vec![
            (
                "model.embed_tokens.weight".to_owned(),
                vec![self.vocabulary, h],
            ),
            ("model.norm.weight".to_owned(), vec![h]),
        ];
        for layer in 0..self.layers {
            for (name, shape) in [
                ("input_layernorm", vec![h]),
                ("post_attention_layernorm", vec![h]),
                ("self_attn.q_norm", vec![self.head_dim]),
                ("self_attn.k_norm", vec![self.head_dim]),
                ("self_attn.q_proj", vec![queries, h]),
                ("self_attn.k_proj", vec![keys, h]),
                ("self_attn.v_proj", vec![keys, h]),
                ("self_attn.o_proj", vec![h, queries]),
                ("mlp.gate_proj", vec![i, h]),
                ("mlp.up_proj", vec![i, h]),
                ("mlp.down_proj", vec![h, i]),
            ] {
                shapes.push((format!("model.layers.{layer}.{name}.weight"), shape));
            }
        }
        shapes
    }

    /// The folder `name` below `root`.
    pub(crate) fn write(&self, root: &Path, name: &str, tensors: &HashMap<String, Tensor>) {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), self.config().to_string()).unwrap();
        let tokenizer = acestep_engine::demo::file("acestep-5Hz-lm-demo/tokenizer.json").unwrap();
        std::fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
        candle_core::safetensors::save(tensors, folder.join("model.safetensors")).unwrap();
    }
}
