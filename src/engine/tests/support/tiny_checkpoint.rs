//! The tiny random checkpoint of the parity fixtures (`src/xtask/reference/pipeline.py`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use acestep_engine::{checkpoint::Checkpoint, engine::Take};
use candle_core::{Device, Tensor};
use serde_json::Value;

/// The folder of a script's fixtures.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A copy of the checkpoint below `copy` with `is_turbo` as asked: guidance and tasks hang on it.
pub(crate) fn tiny(is_turbo: bool, copy: &Path) -> Checkpoint {
    let name = "acestep-v15-tiny";
    for folder in [name, "vae", "Qwen3-Embedding-0.6B"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
        for entry in fs::read_dir(fixtures("pipeline/checkpoint").join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(folder).join(entry.file_name())).unwrap();
        }
    }
    let config = copy.join(name).join("config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["is_turbo"] = is_turbo.into();
    fs::write(&config, json.to_string()).unwrap();
    Checkpoint::open(copy, name).unwrap()
}

/// [`tiny`], which says of some heads that they follow the words.
#[allow(dead_code, reason = "shared with tests that time nothing")]
pub(crate) fn with_lyric_heads(copy: &Path) -> Checkpoint {
    let checkpoint = tiny(true, copy);
    let config = copy.join(checkpoint.name()).join("config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["lyric_alignment_layers_config"] = serde_json::json!({ "1": [0, 1] });
    fs::write(&config, json.to_string()).unwrap();
    Checkpoint::open(copy, checkpoint.name()).unwrap()
}

/// The sound of a take, `[channels, n]`.
pub(crate) fn waveform(take: &Take) -> Tensor {
    let frames = take.audio.frames();
    let samples = take.audio.channels.concat();
    Tensor::from_vec(samples, (take.audio.channels.len(), frames), &Device::Cpu).unwrap()
}
