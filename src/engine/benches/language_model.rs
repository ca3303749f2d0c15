//! How quick the language model is, beside the memory and the f32 matrix product of the machine.
//!
//! `cargo bench -p acestep-engine --bench language_model`, on a machine that does nothing else.
//! Random weights in the shape of `acestep-5Hz-lm-0.6B`, in every format that can be asked for:
//! how quick they are does not depend on their values. Takes 4 GB of memory and 3 GB of disk.

use std::{collections::HashMap, path::Path};

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::LmCheckpoint,
    demo,
    engine::{LanguageModel, LoadOptions, MeasureOptions},
    memory::HugePages,
    observer::Silent,
};
use candle_core::{DType, Device, Tensor};

/// As in the program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

const NAME: &str = "acestep-5Hz-lm-0.6B";
const VOCABULARY: usize = 217_204;
const HIDDEN: usize = 1024;
const INTERMEDIATE: usize = 3072;
const LAYERS: usize = 28;
const HEAD_DIM: usize = 128;
const QUERIES: usize = 16 * HEAD_DIM;
const KEYS: usize = 8 * HEAD_DIM;

type Failed = Box<dyn std::error::Error>;

fn shapes() -> Vec<(String, Vec<usize>)> {
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
            ("self_attn.q_norm", vec![HEAD_DIM]),
            ("self_attn.k_norm", vec![HEAD_DIM]),
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
    shapes
}

/// Around one for norms, around zero for matrices.
fn values(count: usize, norm: bool) -> Vec<f32> {
    let mean = if norm { 1.0 } else { 0.0 };
    (0..count)
        .map(|i| mean + ((i * 7919 % 2003) as f32 / 1001.0 - 1.0) * 0.05)
        .collect()
}

/// The released layout, with the bundled tokenizer: what is measured needs no text.
fn write(root: &Path) -> Result<(), Failed> {
    let folder = root.join(NAME);
    std::fs::create_dir_all(&folder)?;
    let config = serde_json::json!({
        "model_type": "qwen3", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": QUERIES / HEAD_DIM, "num_key_value_heads": KEYS / HEAD_DIM,
        "head_dim": HEAD_DIM, "rope_theta": 1_000_000, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": true,
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let tokenizer = demo::file("acestep-5Hz-lm-demo/tokenizer.json")
        .ok_or("the bundled tokenizer is not in this build")?;
    std::fs::write(folder.join("tokenizer.json"), tokenizer)?;
    let tensors = shapes()
        .into_iter()
        .map(|(name, shape)| {
            let values = values(shape.iter().product(), shape.len() == 1);
            let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
            Ok((name, values.to_dtype(DType::BF16)?))
        })
        .collect::<candle_core::Result<HashMap<_, _>>>()?;
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors"))?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> Result<(), Failed> {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    write(root.path())?;
    let source = LmCheckpoint::open(root.path(), NAME)?;
    println!(
        "| weights | GB | prefill tokens/s | of the f32 product | decode tokens/s | of the memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for quantization in [Quantization::Int8, Quantization::Int4, Quantization::None] {
        let options = LoadOptions {
            quantization,
            ..LoadOptions::default()
        };
        let model = LanguageModel::load(&source, &options, &Silent)?;
        let measured = model.measure(&MeasureOptions::default(), &Silent)?;
        println!(
            "| {} | {:.2} | {:.0} | {:.0} % | {:.1} | {:.0} % of {:.0} GB/s |",
            model.info().dtype,
            model.info().resident_bytes as f64 / 1e9,
            measured.prefill_tokens_per_sec,
            100.0 * measured.prefill_share(),
            measured.decode_tokens_per_sec,
            100.0 * measured.decode_share(),
            measured.memory_bytes_per_sec / 1e9,
        );
    }
    Ok(())
}
