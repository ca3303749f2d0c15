//! What happens to the files of a checkpoint on their way to a user, and what must be said of it.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};

pub(crate) const TINY: &str = "acestep-v15-tiny";
pub(crate) const WEIGHTS: &str = "acestep-v15-tiny/model.safetensors";
pub(crate) const CONFIG: &str = "acestep-v15-tiny/config.json";
const SILENCE: &str = "acestep-v15-tiny/silence_latent.pt";

/// What happens to a file, the file the message must name, and the words it must say.
pub(crate) type Damage = (
    &'static str,
    fn(&Path),
    &'static str,
    &'static [&'static str],
);

pub(crate) fn change_config(
    path: &Path,
    change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
) {
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(config.as_object_mut().unwrap());
    fs::write(path, config.to_string()).unwrap();
}

pub(crate) fn change_tensors(path: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let mut tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

pub(crate) const DAMAGES: &[Damage] = &[
    (
        WEIGHTS,
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        WEIGHTS,
        &["truncated", "948984"],
    ),
    (
        WEIGHTS,
        |path| {
            fs::write(
                path,
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4787825604\n",
            )
            .unwrap();
        },
        WEIGHTS,
        &["Git LFS pointer", "git lfs pull"],
    ),
    (
        WEIGHTS,
        |path| fs::write(path, "<!DOCTYPE html><title>404</title>").unwrap(),
        WEIGHTS,
        &["web page"],
    ),
    (
        WEIGHTS,
        |path| fs::write(path, "").unwrap(),
        WEIGHTS,
        &["empty"],
    ),
    (
        WEIGHTS,
        |path| fs::write(path, [0x7f; 4096]).unwrap(),
        WEIGHTS,
        &["not a safetensors file"],
    ),
    (
        WEIGHTS,
        |path| fs::remove_file(path).unwrap(),
        TINY,
        &["no weights", "model.safetensors"],
    ),
    (
        WEIGHTS,
        |path| {
            change_tensors(path, |all| {
                drop(all.remove("decoder.layers.2.mlp.up_proj.weight"));
            });
        },
        WEIGHTS,
        &["decoder.layers.2.mlp.up_proj.weight", "missing"],
    ),
    (
        WEIGHTS,
        |path| {
            change_tensors(path, |all| {
                let wrong = Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap();
                all.insert("encoder.text_projector.weight".into(), wrong);
            });
        },
        WEIGHTS,
        &["encoder.text_projector.weight", "[3, 5]", "[40, 32]"],
    ),
    (
        WEIGHTS,
        |path| {
            change_tensors(path, |all| {
                let wrong = Tensor::zeros((1, 1, 40), DType::F64, &Device::Cpu).unwrap();
                all.insert("null_condition_emb".into(), wrong);
            });
        },
        WEIGHTS,
        &["null_condition_emb", "F64", "BF16"],
    ),
    (
        CONFIG,
        |path| fs::remove_file(path).unwrap(),
        CONFIG,
        &["missing"],
    ),
    (
        CONFIG,
        |path| fs::write(path, "{\"hidden_size\": 48,").unwrap(),
        CONFIG,
        &["not valid JSON"],
    ),
    (
        CONFIG,
        |path| fs::write(path, "").unwrap(),
        CONFIG,
        &["empty"],
    ),
    (
        CONFIG,
        |path| change_config(path, |config| drop(config.remove("head_dim"))),
        CONFIG,
        &["missing key", "head_dim"],
    ),
    (
        CONFIG,
        |path| {
            change_config(path, |config| {
                drop(config.insert("num_hidden_layers".into(), "four".into()));
            });
        },
        CONFIG,
        &["four"],
    ),
    (
        CONFIG,
        |path| {
            change_config(path, |config| {
                drop(config.insert("in_channels".into(), 100.into()));
            });
        },
        CONFIG,
        &["in_channels", "100"],
    ),
    (
        CONFIG,
        |path| {
            change_config(path, |config| {
                drop(config.insert("text_hidden_dim".into(), 64.into()));
            });
        },
        "Qwen3-Embedding-0.6B/config.json",
        &["hidden_size", "text_hidden_dim"],
    ),
    (
        "vae",
        |path| fs::remove_dir_all(path).unwrap(),
        "vae",
        &["missing", TINY, "Qwen3-Embedding-0.6B"],
    ),
    (
        "vae/config.json",
        |path| {
            change_config(path, |config| {
                drop(config.insert("decoder_input_channels".into(), 64.into()));
            });
        },
        "vae/config.json",
        &["decoder_input_channels", "audio_acoustic_hidden_dim"],
    ),
    (
        "vae/config.json",
        |path| fs::remove_file(path).unwrap(),
        "vae/config.json",
        &["missing"],
    ),
    (
        "vae/diffusion_pytorch_model.safetensors",
        |path| change_tensors(path, |all| drop(all.remove("decoder.conv2.weight_v"))),
        "vae/diffusion_pytorch_model.safetensors",
        &["decoder.conv2.weight_v", "missing"],
    ),
    (
        "Qwen3-Embedding-0.6B/tokenizer.json",
        |path| fs::remove_file(path).unwrap(),
        "Qwen3-Embedding-0.6B/tokenizer.json",
        &["missing"],
    ),
    (
        SILENCE,
        |path| fs::remove_file(path).unwrap(),
        SILENCE,
        &["missing"],
    ),
    (
        SILENCE,
        |path| fs::write(path, "not a zip").unwrap(),
        SILENCE,
        &["not a file saved by PyTorch"],
    ),
    (
        SILENCE,
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 100]).unwrap();
        },
        SILENCE,
        &["PyTorch"],
    ),
    (
        CONFIG,
        |path| {
            change_config(path, |config| {
                drop(config.insert("timbre_fix_frame".into(), 5000.into()));
            });
        },
        SILENCE,
        &["[1, 8, 1000]", "5000"],
    ),
];
