//! The bundled model under another name, with heads named that follow the lyrics. It has learnt nothing of
//! words, so the times are plausible in form only.

use std::{fs, path::Path};

use serde_json::Value;

/// Its folder name.
pub(crate) const NAME: &str = "acestep-v15-sung";

/// Puts it into the checkpoints folder `root`.
pub(crate) fn write(root: &Path) {
    for (folder, target, files) in [
        (
            "acestep-v15-demo",
            NAME,
            &["model.safetensors", "silence_latent.pt"][..],
        ),
        (
            "vae",
            "vae",
            &["config.json", "diffusion_pytorch_model.safetensors"],
        ),
        (
            "Qwen3-Embedding-0.6B",
            "Qwen3-Embedding-0.6B",
            &["config.json", "model.safetensors", "tokenizer.json"],
        ),
    ] {
        fs::create_dir_all(root.join(target)).unwrap();
        for file in files {
            let bytes = acestep_engine::demo::file(&format!("{folder}/{file}")).unwrap();
            fs::write(root.join(target).join(file), bytes).unwrap();
        }
    }
    let config = acestep_engine::demo::file("acestep-v15-demo/config.json").unwrap();
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config["lyric_alignment_layers_config"] = serde_json::json!({ "1": [0, 3], "4": [2] });
    fs::write(root.join(NAME).join("config.json"), config.to_string()).unwrap();
}
