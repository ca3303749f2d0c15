//! The bundled model: a small network in the released layout, inside the binary (feature
//! `demo-model`). It is bytes by path and nothing more; the checkpoint reader opens it like any
//! other folder. Its card is `demo-model/MODEL.md`.

/// Folder name of its DiT, the value of `config_path`.
pub const NAME: &str = "acestep-v15-demo";

/// Folder name of its language model, the value of `lm_model_path`.
pub const LM_NAME: &str = "acestep-5Hz-lm-demo";

/// Whether this build holds it.
pub const BUNDLED: bool = cfg!(feature = "demo-model");

/// Every file of the folder, by its path below the checkpoints folder; empty without the feature.
pub const FILES: &[(&str, &[u8])] = &[
    #[cfg(feature = "demo-model")]
    (
        "acestep-v15-demo/config.json",
        include_bytes!("../demo-model/acestep-v15-demo/config.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-v15-demo/model.safetensors",
        include_bytes!("../demo-model/acestep-v15-demo/model.safetensors"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-v15-demo/silence_latent.pt",
        include_bytes!("../demo-model/acestep-v15-demo/silence_latent.pt"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "vae/config.json",
        include_bytes!("../demo-model/vae/config.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "vae/diffusion_pytorch_model.safetensors",
        include_bytes!("../demo-model/vae/diffusion_pytorch_model.safetensors"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "Qwen3-Embedding-0.6B/config.json",
        include_bytes!("../demo-model/Qwen3-Embedding-0.6B/config.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "Qwen3-Embedding-0.6B/model.safetensors",
        include_bytes!("../demo-model/Qwen3-Embedding-0.6B/model.safetensors"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "Qwen3-Embedding-0.6B/tokenizer.json",
        include_bytes!("../demo-model/Qwen3-Embedding-0.6B/tokenizer.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "Qwen3-Embedding-0.6B/tokenizer_config.json",
        include_bytes!("../demo-model/Qwen3-Embedding-0.6B/tokenizer_config.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-5Hz-lm-demo/config.json",
        include_bytes!("../demo-model/acestep-5Hz-lm-demo/config.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-5Hz-lm-demo/model.safetensors",
        include_bytes!("../demo-model/acestep-5Hz-lm-demo/model.safetensors"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-5Hz-lm-demo/tokenizer.json",
        include_bytes!("../demo-model/acestep-5Hz-lm-demo/tokenizer.json"),
    ),
    #[cfg(feature = "demo-model")]
    (
        "acestep-5Hz-lm-demo/tokenizer_config.json",
        include_bytes!("../demo-model/acestep-5Hz-lm-demo/tokenizer_config.json"),
    ),
];

/// The bytes of one file of the bundled model, for example `vae/config.json`.
pub fn file(path: &str) -> Option<&'static [u8]> {
    FILES
        .iter()
        .find_map(|(name, bytes)| (*name == path).then_some(*bytes))
}
