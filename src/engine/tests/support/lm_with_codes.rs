//! The bundled language model with an enlarged vocabulary: rows for audio codes, random and all different.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

pub(crate) const NAME: &str = "acestep-5Hz-lm-random";

/// Writes one of so many `codes` below `root`.
pub(crate) fn write(root: &Path, codes: u32) {
    let model = root.join(NAME);
    std::fs::create_dir(&model).unwrap();
    let file =
        |name: &str| acestep_engine::demo::file(&format!("acestep-5Hz-lm-demo/{name}")).unwrap();
    let mut tokenizer: serde_json::Value = serde_json::from_slice(file("tokenizer.json")).unwrap();
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    for code in 0..codes {
        added.push(serde_json::json!({
            "id": 1536 + code, "content": format!("<|audio_code_{code}|>"), "special": false,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        }));
    }
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(file("config.json")).unwrap();
    let vocabulary = 1536 + codes as usize;
    config["vocab_size"] = vocabulary.into();
    std::fs::write(model.join("config.json"), config.to_string()).unwrap();
    let source = candle_core::safetensors::load_buffer(file("model.safetensors"), &Device::Cpu);
    let mut tensors = source.unwrap();
    let name = tensors
        .keys()
        .find(|name| name.ends_with("embed_tokens.weight"))
        .unwrap()
        .clone();
    let table = tensors[&name].to_dtype(DType::F32).unwrap();
    let width = table.dim(1).unwrap();
    // Rows of the codes: small, and all different.
    let rows: Vec<f32> = (0..codes as usize * width)
        .map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 * 0.2 - 0.1)
        .collect();
    let rows = Tensor::from_vec(rows, (codes as usize, width), &Device::Cpu).unwrap();
    tensors.insert(name, Tensor::cat(&[table, rows], 0).unwrap());
    candle_core::safetensors::save(&tensors, model.join("model.safetensors")).unwrap();
}
