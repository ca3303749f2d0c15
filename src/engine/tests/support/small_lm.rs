//! A random language model whose widths are whole superblocks, with the bundled tokenizer.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

pub(crate) const NAME: &str = "acestep-5Hz-lm-random";
pub(crate) const VOCABULARY: usize = 1536;
const HIDDEN: usize = 256;
const INTERMEDIATE: usize = 512;
/// Query heads × dim, which is no whole superblock: its rows get blocks of 32.
const QUERIES: usize = 192;
const KEYS: usize = 96;
const LAYERS: usize = 2;

pub(crate) fn config() -> serde_json::Value {
    serde_json::json!({
        "model_type": "qwen3", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 48,
        "rope_theta": 1_000_000, "rms_norm_eps": 1e-6, "tie_word_embeddings": true,
    })
}

/// Names and values, in bf16, always the same.
pub(crate) fn tensors() -> HashMap<String, Tensor> {
    let mut shapes = vec![
        (
            "model.embed_tokens.weight".to_owned(),
            vec![VOCABULARY, HIDDEN],
        ),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_norm", vec![48]),
            ("self_attn.k_norm", vec![48]),
            ("self_attn.q_proj", vec![QUERIES, HIDDEN]),
            ("self_attn.k_proj", vec![KEYS, HIDDEN]),
            ("self_attn.v_proj", vec![KEYS, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, QUERIES]),
            ("mlp.gate_proj", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.up_proj", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, INTERMEDIATE]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let vector = shape.len() == 1;
            // Norms around one, matrices that keep the size of what they are multiplied with.
            let scale = 1.7 / (shape[shape.len() - 1] as f32).sqrt();
            let values: Vec<f32> = (0..count)
                .map(|_| {
                    if vector {
                        1.0 + 0.2 * next()
                    } else {
                        scale * next()
                    }
                })
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor.to_dtype(DType::BF16).unwrap())
        })
        .collect()
}

/// The released layout in a folder [`NAME`] below `root`.
pub(crate) fn write(root: &Path, tensors: &HashMap<String, Tensor>) {
    let folder = root.join(NAME);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), config().to_string()).unwrap();
    let tokenizer = acestep_engine::demo::file("acestep-5Hz-lm-demo/tokenizer.json").unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
    candle_core::safetensors::save(tensors, folder.join("model.safetensors")).unwrap();
}
