//! Sizes of the released checkpoints, for plans of what is not there yet (engine.md 1.3 to 1.5).

use acestep_domain::tier::LmSize;
use candle_core::DType;
use serde_json::{Value, json};

use crate::{
    checkpoint::Module,
    models::{
        dit, oobleck,
        qwen3::{self, released},
    },
};

/// Part of the name of the checkpoints with the larger decoder.
const XL: &str = "-xl-";

fn dit_json(name: &str) -> Value {
    let mut config = json!({
        "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "in_channels": 192, "audio_acoustic_hidden_dim": 64, "patch_size": 2,
        "text_hidden_dim": 1024, "timbre_hidden_dim": 64, "timbre_fix_frame": 750,
        "num_lyric_encoder_hidden_layers": 8, "num_timbre_encoder_hidden_layers": 4,
        "num_attention_pooler_hidden_layers": 2, "pool_window_size": 5, "fsq_dim": 2048,
        "fsq_input_levels": [8, 8, 8, 5, 5, 5], "fsq_input_num_quantizers": 1,
        "use_sliding_window": true, "sliding_window": 128, "rope_theta": 1_000_000.0,
        "rms_norm_eps": 1e-6, "attention_bias": false, "is_turbo": name.contains("turbo"),
    });
    if name.contains(XL) {
        let xl = [
            ("hidden_size", 2560),
            ("intermediate_size", 9728),
            ("num_hidden_layers", 32),
            ("num_attention_heads", 32),
            ("encoder_hidden_size", 2048),
            ("encoder_intermediate_size", 6144),
            ("encoder_num_attention_heads", 16),
            ("encoder_num_key_value_heads", 8),
        ];
        for (key, value) in xl {
            config[key] = value.into();
        }
    }
    config
}

/// The main model that `name` is, or would be: the 2B unless it says XL.
///
/// # Panics
/// Never: the table is complete, as a test shows.
pub(super) fn dit(name: &str) -> dit::Config {
    serde_json::from_value(dit_json(name)).expect("every key is in the table")
}

/// How a release stores the matrices of a module (engine.md 1.2): the larger decoder in f32.
pub(super) fn stored(name: &str, module: Module) -> DType {
    if module == Module::Dit && name.contains(XL) {
        DType::F32
    } else {
        DType::BF16
    }
}

/// How the released language models store theirs.
pub(super) const LM_STORED: DType = DType::BF16;

/// The text encoder beside every release.
pub(super) fn text_encoder() -> qwen3::Config {
    qwen3::Config {
        vocab_size: 151_669,
        ..released(1024, 3072, 28, 16)
    }
}

/// The autoencoder beside every release.
pub(super) fn vae() -> oobleck::Config {
    oobleck::Config {
        encoder_hidden_size: 128,
        downsampling_ratios: vec![2, 4, 4, 6, 10],
        channel_multiples: vec![1, 2, 4, 8, 16],
        decoder_channels: 128,
        decoder_input_channels: 64,
        audio_channels: 2,
        sampling_rate: 48_000,
    }
}

/// The language model of a size.
pub(super) fn lm(size: LmSize) -> qwen3::Config {
    match size {
        LmSize::Small => released(1024, 3072, 28, 16),
        LmSize::Medium => released(2048, 6144, 28, 16),
        LmSize::Large => released(2560, 9728, 36, 32),
    }
}
