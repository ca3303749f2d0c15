use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

use super::{Condition, Config, Context, Dit, Times};
use crate::{
    models::{
        AudioDetokenizer, AudioTokenizer, ConditionEncoder, lyric_encoder::LyricEncoder,
        timbre_encoder::TimbreEncoder,
    },
    nn::{Backend, WeightFile, Weights},
};

#[path = "../../../tests/support/closeness.rs"]
mod closeness;
use closeness::assert_close;

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-4;

fn tiny() -> (Dit, HashMap<String, Tensor>) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = fixtures.join("pipeline/checkpoint/acestep-v15-tiny");
    let cfg: Config =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let file = WeightFile::open(&folder.join("model.safetensors")).unwrap();
    let w = Weights::new(vec![file], DType::F32, &Device::Cpu).unwrap();
    let net = Dit::load(&cfg, Backend::Fused, &w.pp("decoder")).unwrap();
    let reference =
        candle_core::safetensors::load(fixtures.join("nets/dit.safetensors"), &Device::Cpu)
            .unwrap();
    (net, reference)
}

/// Hidden states after each layer.
fn states(
    net: &Dit,
    x: &Tensor,
    times: &Times,
    context: &Context,
    condition: &Condition,
) -> Vec<Tensor> {
    let proj = times.proj.narrow(0, 0, 1).unwrap();
    let mut state = net.patchify(x, context).unwrap();
    let mut states = Vec::new();
    for (layer, cross) in net.layers.iter().zip(&condition.layers) {
        state = layer.forward(&state, &proj, cross, &context.rope).unwrap();
        states.push(state.clone());
    }
    states
}

#[test]
fn every_layer_follows_the_reference() {
    let (net, reference) = tiny();
    for row in 0..3 {
        let input = |name: &str| &reference[&format!("{name}.{row}")];
        let time = input("time").to_vec1::<f32>().unwrap()[0];
        let states = states(
            &net,
            input("hidden"),
            &net.prepare_times(&[f64::from(time)]).unwrap(),
            &net.prepare_context(input("context")).unwrap(),
            &net.prepare_condition(input("condition")).unwrap(),
        );
        assert_eq!(states.len(), 4);
        for (i, state) in states.iter().enumerate() {
            let want = input("states").narrow(0, i, 1).unwrap();
            assert_close(&format!("item {row}, layer {i}"), state, &want, TOLERANCE);
        }
    }
}

#[test]
fn timestep_embeddings_follow_the_reference() {
    let (net, reference) = tiny();
    let times: Vec<f64> = reference["times"]
        .to_vec1::<f32>()
        .unwrap()
        .into_iter()
        .map(f64::from)
        .collect();
    let sinusoid = super::sinusoid(&times, DType::F32, &Device::Cpu).unwrap();
    for (name, embedding) in [
        ("time_embed", &net.time_embed),
        ("time_embed_r", &net.time_embed_r),
    ] {
        let (temb, proj) = embedding.forward(&sinusoid).unwrap();
        assert_close(name, &temb, &reference[&format!("{name}.temb")], TOLERANCE);
        assert_close(name, &proj, &reference[&format!("{name}.proj")], TOLERANCE);
    }
}

/// `config.json` of the released 2B checkpoints, and of XL.
fn released(xl: bool) -> Config {
    let mut config = serde_json::json!({
        "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "in_channels": 192, "audio_acoustic_hidden_dim": 64, "patch_size": 2,
        "text_hidden_dim": 1024, "timbre_hidden_dim": 64, "timbre_fix_frame": 750,
        "num_lyric_encoder_hidden_layers": 8, "num_timbre_encoder_hidden_layers": 4,
        "num_attention_pooler_hidden_layers": 2, "num_audio_decoder_hidden_layers": 24,
        "pool_window_size": 5, "fsq_dim": 2048, "fsq_input_levels": [8, 8, 8, 5, 5, 5],
        "fsq_input_num_quantizers": 1, "use_sliding_window": true, "sliding_window": 128,
        "rope_theta": 1_000_000, "rms_norm_eps": 1e-6, "attention_bias": false, "is_turbo": true,
    });
    if xl {
        let extra = serde_json::json!({
            "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 32, "num_attention_heads": 32,
            "encoder_hidden_size": 2048, "encoder_intermediate_size": 6144,
            "encoder_num_attention_heads": 16, "encoder_num_key_value_heads": 8,
            "lyric_alignment_layers_config": {"3": [18, 27], "4": [22]},
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
    }
    serde_json::from_value(config).unwrap()
}

#[test]
fn parameters_of_the_released_checkpoints_follow_from_their_configs() {
    for (xl, decoder, whole) in [
        (false, 1_575_458_880, 2_393_872_518),
        (true, 4_168_897_088, 4_987_310_726),
    ] {
        let cfg = released(xl);
        cfg.validate().unwrap();
        assert_eq!(Dit::parameters(&cfg), decoder);
        assert_eq!(LyricEncoder::parameters(&cfg), 404_789_248);
        assert_eq!(TimbreEncoder::parameters(&cfg), 201_481_216);
        assert_eq!(AudioTokenizer::parameters(&cfg), 105_032_198);
        assert_eq!(AudioDetokenizer::parameters(&cfg), 105_011_776);
        let all = Dit::parameters(&cfg)
            + ConditionEncoder::parameters(&cfg)
            + AudioTokenizer::parameters(&cfg)
            + AudioDetokenizer::parameters(&cfg);
        assert_eq!(all, whole);
        assert_eq!(cfg.timbre_has_special_token(), xl);
    }
}

#[test]
fn memory_grows_with_length_and_shrinks_with_precision() {
    let cfg = released(false);
    let shapes = |frames, backend| super::Shapes {
        frames,
        condition_tokens: 800,
        steps: 8,
        backend,
    };
    let at = |frames, backend, dtype| Dit::footprint(&cfg, &shapes(frames, backend), dtype);
    let short = at(750, Backend::Fused, DType::F32);
    let long = at(15_000, Backend::Fused, DType::F32);
    assert_eq!(short.weights, 4 * 1_575_458_880);
    assert_eq!(
        at(750, Backend::Fused, DType::BF16).weights,
        2 * 1_575_458_880
    );
    assert!(long.activations > 19 * short.activations);
    // Full attention over 7500 tokens would hold 3.6 GB of scores: they are made in blocks.
    let standard = at(15_000, Backend::Standard, DType::F32);
    assert!(standard.activations - long.activations <= 3 * (64 << 20));
    // Keys and values of 24 layers over 800 tokens are 79 MB in bf16.
    let cache = at(750, Backend::Fused, DType::BF16).cache;
    assert!((79_000_000..84_000_000).contains(&cache), "{cache}");
}

#[test]
fn the_heads_that_follow_the_lyrics_are_the_configs_or_those_of_its_size() {
    let heads = |cfg: &Config| {
        cfg.lyric_heads()
            .map(|heads| heads.values().flatten().count())
    };
    let mut cfg = released(false);
    assert_eq!(heads(&cfg), Some(7));
    assert_eq!(heads(&released(true)), Some(3), "its config names them");
    cfg.num_hidden_layers = 6;
    assert_eq!(heads(&cfg), None, "a model that nobody has looked at");
    cfg.lyric_alignment_layers_config = Some([(5, vec![1, 2]), (2, vec![])].into());
    assert_eq!(heads(&cfg), Some(2));
    cfg.lyric_alignment_layers_config = Some([(5, vec![])].into());
    assert_eq!(heads(&cfg), None);
}

#[test]
fn impossible_configs_are_refused_with_the_key() {
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 12] = [
        (|c| c.num_hidden_layers = usize::MAX, "num_hidden_layers"),
        (|c| c.audio_acoustic_hidden_dim = usize::MAX, "in_channels"),
        (|c| c.num_key_value_heads = 5, "num_key_value_heads"),
        (|c| c.head_dim = 127, "head_dim"),
        (|c| c.in_channels = 100, "in_channels"),
        (|c| c.fsq_dim = 7, "fsq_dim"),
        (
            |c| c.fsq_input_levels = vec![1 << 20; 6],
            "fsq_input_levels",
        ),
        (|c| c.sliding_window = None, "sliding_window"),
        (|c| c.layer_types = Some(vec![]), "layer_types"),
        (|c| c.hidden_size = 0, "hidden_size"),
        (
            |c| c.lyric_alignment_layers_config = Some([(24, vec![0])].into()),
            "lyric_alignment_layers_config",
        ),
        (
            |c| c.lyric_alignment_layers_config = Some([(2, vec![3, 16])].into()),
            "lyric_alignment_layers_config",
        ),
    ];
    for (change, key) in changes {
        let mut cfg = released(false);
        change(&mut cfg);
        let why = cfg.validate().unwrap_err();
        assert!(why.contains(key), "{why} does not name {key}");
    }
}
