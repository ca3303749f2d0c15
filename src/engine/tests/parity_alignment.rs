//! Timed lyrics and alignment scores against numpy, torch and diffusers' decoder
//! (`src/xtask/reference/alignment.py`): attention made by hand, and a whole song.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/tiny_checkpoint.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod tiny_checkpoint;

use std::{collections::HashMap, fs, path::Path};

use acestep_domain::GenerationParams;
use acestep_engine::{
    alignment::{
        Maps, dtw,
        score::score,
        timing::{sharpened, token_secs},
    },
    checkpoint::Checkpoint,
    engine::{AlignRequest, Engine, Heard, LoadOptions, Request},
    error::Error,
    observer::Silent,
};
use candle_core::{Device, IndexOp, Tensor};
use closeness::assert_close;
use serde::Deserialize;
use serde_json::Value;
use tiny_checkpoint::{fixtures, tiny};

const SECS_PER_FRAME: f64 = 0.08;

#[derive(Deserialize)]
struct Told {
    sung: Vec<bool>,
    times: Vec<(f64, f64)>,
    score: f64,
    #[serde(default)]
    lm_score: f64,
    #[serde(default)]
    lines: Vec<(f64, f64, String)>,
    #[serde(default)]
    heads: Value,
    #[serde(default)]
    sharpness: f64,
}

fn reference() -> (HashMap<String, Told>, HashMap<String, Tensor>) {
    let told = fs::read(fixtures("alignment.json")).unwrap();
    let tensors = candle_core::safetensors::load(fixtures("alignment.safetensors"), &Device::Cpu);
    (serde_json::from_slice(&told).unwrap(), tensors.unwrap())
}

#[test]
fn sharpening_path_times_and_score_of_attention_made_by_hand() {
    let (told, tensors) = reference();
    assert!(told.len() >= 6);
    for (name, told) in told {
        let tensor = |what: &str| &tensors[&format!("{name}.{what}")];
        let attention = tensor("attention").transpose(1, 2).unwrap();
        let (_, frames, tokens) = attention.dims3().unwrap();
        let maps = Maps::from_attention(&attention, frames).unwrap();
        assert_eq!((maps.tokens(), maps.frames()), (tokens, frames));

        let gain = sharpened(&maps);
        let values: Vec<f32> = (0..tokens).flat_map(|row| gain.row(row).to_vec()).collect();
        let values = Tensor::from_vec(values, (tokens, frames), &Device::Cpu).unwrap();
        assert_close(&name, &values, tensor("sharpened"), 1e-4);

        let path = dtw::path(&gain);
        let found: Vec<i32> = path
            .iter()
            .flat_map(|place| [place.token as i32, place.frame as i32])
            .collect();
        let wanted: Vec<i32> = tensor("path").flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(found, wanted, "{name}");

        let times = token_secs(&path, tokens, SECS_PER_FRAME);
        assert_eq!(times.len(), told.times.len());
        for (found, wanted) in times.iter().zip(&told.times) {
            let far = (found.0 - wanted.0).abs().max((found.1 - wanted.1).abs());
            assert!(far < 1e-9, "{name}: {found:?} {wanted:?}");
        }
        let found = score(&maps, &told.sung);
        assert!(
            (found - told.score).abs() < 1.5e-4,
            "{name}: {found} {}",
            told.score
        );
    }
}

/// The tiny checkpoint with the heads named and sharpened as the reference has them.
fn sharp(told: &Told, folder: &Path) -> Checkpoint {
    let name = tiny(true, folder).name().to_owned();
    let config = folder.join(&name).join("config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["lyric_alignment_layers_config"] = told.heads.clone();
    fs::write(&config, json.to_string()).unwrap();
    let file = folder.join(&name).join("model.safetensors");
    let mut weights = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    for layer in told.heads.as_object().unwrap().keys() {
        let norm = format!("decoder.layers.{layer}.cross_attn.q_norm.weight");
        let sharper = (&weights[&norm] * told.sharpness).unwrap();
        weights.insert(norm, sharper);
    }
    candle_core::safetensors::save(&weights, &file).unwrap();
    Checkpoint::open(folder, &name).unwrap()
}

/// The first item of the pipeline fixture `turbo`.
fn turbo() -> (GenerationParams, Tensor) {
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(fixtures("pipeline/cases.json")).unwrap()).unwrap();
    let case = cases.iter().find(|case| case["name"] == "turbo").unwrap();
    let mut item = case["items"][0].clone();
    item["inference_steps"] = case["steps"].clone();
    item["duration"] = case["duration"].clone();
    let tensors =
        candle_core::safetensors::load(fixtures("pipeline/turbo.safetensors"), &Device::Cpu);
    let latents = tensors.unwrap()["latents"].i(0).unwrap();
    (serde_json::from_value(item).unwrap(), latents)
}

#[test]
fn a_whole_song_is_timed_as_the_reference_times_it() {
    let (mut told, tensors) = reference();
    let told = told.remove("whole").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = sharp(&told, folder.path());
    let (params, latents) = turbo();
    let request = Request {
        params,
        seeds: vec![0],
        noise: Some(tensors["whole.noise"].clone()),
        ..Request::default()
    };
    for fused_attention in [true, false] {
        let options = LoadOptions {
            fused_attention,
            ..LoadOptions::default()
        };
        let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
        assert!(engine.can_time_lyrics());
        let asked = AlignRequest {
            request: &request,
            heard: Heard::Latents(latents.clone()),
            with_scores: true,
        };
        let found = engine.align(&asked, &Silent).unwrap();
        assert_eq!(found.notes, []);
        // The tiny autoencoder has a frame of 0.04 s as the released one.
        let lines: Vec<_> = found
            .lines
            .iter()
            .map(|line| (line.start_secs, line.end_secs, line.text.clone()))
            .collect();
        assert_eq!(lines, told.lines);
        let scores = found.scores.unwrap();
        for (found, wanted) in [
            (scores.dit_score, told.score),
            (scores.lm_score, told.lm_score),
        ] {
            assert!((found - wanted).abs() < 1.5e-4, "{found} {wanted}");
        }
    }
}

#[test]
fn a_model_whose_heads_nobody_knows_and_a_song_without_words_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (params, latents) = turbo();
    let heard = Heard::Latents(latents);
    let ask = |checkpoint: &Checkpoint, params: GenerationParams| {
        let mut engine = Engine::load(checkpoint, &LoadOptions::default(), &Silent).unwrap();
        let request = Request {
            params,
            seeds: vec![0],
            ..Request::default()
        };
        let asked = AlignRequest {
            request: &request,
            heard: heard.clone(),
            with_scores: false,
        };
        (engine.can_time_lyrics(), engine.align(&asked, &Silent))
    };
    let unknown = tiny(true, &folder.path().join("unknown"));
    let (can, refused) = ask(&unknown, params.clone());
    assert!(!can);
    assert!(
        matches!(refused, Err(Error::Unsupported { .. })),
        "{refused:?}"
    );

    let (mut told, _) = reference();
    let known = sharp(&told.remove("whole").unwrap(), &folder.path().join("known"));
    let (can, refused) = ask(
        &known,
        GenerationParams {
            lyrics: "[Instrumental]".to_owned(),
            ..params
        },
    );
    assert!(can);
    assert!(
        matches!(
            refused,
            Err(Error::Invalid {
                field: "lyrics",
                ..
            })
        ),
        "{refused:?}"
    );
}
