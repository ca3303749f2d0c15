//! Adapters for the bundled model.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{Device, Tensor, safetensors};
use serde_json::Value;

/// Writes a LoRA of rank 2 for the first query projection of the bundled model, in the layout of
/// PEFT, as the folder `name` of `dir`; `width` other than 0 makes it one for another model.
pub(crate) fn write_adapter(dir: &Path, name: &str, width: usize) {
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../engine/demo-model/acestep-v15-demo/config.json"
    );
    let config: Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
    let size = |key: &str| config[key].as_u64().unwrap() as usize;
    let input = if width > 0 {
        width
    } else {
        size("hidden_size")
    };
    let out = size("num_attention_heads") * size("head_dim");
    let wave = |shape: (usize, usize), step: f32| {
        let values: Vec<f32> = (0..shape.0 * shape.1)
            .map(|index| (index as f32 * step).sin())
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let module = "base_model.model.layers.0.self_attn.q_proj";
    let tensors = HashMap::from([
        (format!("{module}.lora_A.weight"), wave((2, input), 0.7)),
        (format!("{module}.lora_B.weight"), wave((out, 2), 0.3)),
    ]);
    let folder = dir.join(name);
    fs::create_dir_all(&folder).unwrap();
    safetensors::save(&tensors, folder.join("adapter_model.safetensors")).unwrap();
    let config =
        r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 8, "base_model_name_or_path": "demo"}"#;
    fs::write(folder.join("adapter_config.json"), config).unwrap();
}
