//! The whole pipeline against diffusers' `AceStepPipeline`, from given noise to the waveform
//! (`src/xtask/reference/pipeline.py`): a tiny random checkpoint in float32 and the bundled model.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/placement.rs"]
mod placement;
#[path = "support/tiny_checkpoint.rs"]
mod tiny_checkpoint;

use std::{collections::HashMap, fs};

use acestep_domain::GenerationParams;
#[cfg(feature = "demo-model")]
use acestep_engine::checkpoint::Checkpoint;
use acestep_engine::{
    engine::{Engine, LoadOptions, Request, Take},
    observer::Silent,
};
use candle_core::{Device, IndexOp, Tensor};
use closeness::{Closeness, assert_close};
use placement::in_f32;
use serde::Deserialize;
use serde_json::{Value, json};
use tiny_checkpoint::{fixtures, tiny, waveform};

/// Latents after all steps, of the largest reference value.
const LATENTS: f64 = 1e-3;
/// The final waveform.
const WAVEFORM_COSINE: f64 = 0.99999;

#[derive(Deserialize)]
struct Case {
    name: String,
    is_turbo: bool,
    steps: usize,
    shift: f64,
    guidance_scale: f64,
    cfg_interval: Option<[f64; 2]>,
    timesteps: Option<Vec<f64>>,
    duration: f64,
    #[serde(default)]
    audio_codes: Vec<u32>,
    items: Vec<Value>,
}

impl Case {
    fn params(&self, item: &Value) -> GenerationParams {
        let [start, end] = self.cfg_interval.unwrap_or([0.0, 1.0]);
        let text = |key: &str| item[key].as_str().unwrap_or("");
        serde_json::from_value(json!({
            "caption": item["caption"],
            "lyrics": item["lyrics"],
            "vocal_language": item["vocal_language"],
            "bpm": item["bpm"],
            "keyscale": text("keyscale"),
            "timesignature": text("timesignature"),
            "duration": self.duration,
            "inference_steps": self.steps,
            "shift": self.shift,
            "guidance_scale": self.guidance_scale,
            "cfg_interval_start": start,
            "cfg_interval_end": end,
            "timesteps": self.timesteps,
            "audio_codes": acestep_domain::audio_codes::to_text(&self.audio_codes),
        }))
        .unwrap()
    }
}

fn case(name: &str) -> (Case, HashMap<String, Tensor>) {
    let cases: Vec<Case> =
        serde_json::from_slice(&fs::read(fixtures("pipeline").join("cases.json")).unwrap())
            .unwrap();
    let case = cases.into_iter().find(|case| case.name == name).unwrap();
    let file = fixtures("pipeline").join(format!("{name}.safetensors"));
    (
        case,
        candle_core::safetensors::load(file, &Device::Cpu).unwrap(),
    )
}

fn run(engine: &mut Engine, case: &Case, item: usize, noise: &Tensor) -> Take {
    let request = Request {
        params: case.params(&case.items[item]),
        seeds: vec![0],
        noise: Some(noise.i(item..=item).unwrap()),
        codes: Vec::new(),
        keep_latents: true,
        raw_level: true,
        ..Request::default()
    };
    let mut takes = Vec::new();
    let report = engine
        .generate(&request, &Silent, &mut |take| {
            takes.push(take);
            Ok(())
        })
        .unwrap();
    assert_eq!(report.steps, case.steps);
    assert_eq!(report.notes, []);
    takes.pop().unwrap()
}

fn reproduces(name: &str) {
    let (case, reference) = case(name);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = tiny(case.is_turbo, folder.path());
    for fused_attention in [true, false] {
        let options = LoadOptions {
            fused_attention,
            ..in_f32()
        };
        let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
        assert_eq!(engine.info().notes, []);
        for item in 0..case.items.len() {
            let take = run(&mut engine, &case, item, &reference["noise"]);
            let latents = reference["latents"].i(item).unwrap();
            let what = format!("{name} {item}");
            assert_close(&what, take.latents.as_ref().unwrap(), &latents, LATENTS);
            let wave = reference["waveform"].i(item).unwrap();
            let closeness = Closeness::of(&waveform(&take), &wave);
            assert!(closeness.cosine >= WAVEFORM_COSINE, "{what}: {closeness:?}");
        }
    }
}

#[test]
fn turbo_in_eight_steps() {
    reproduces("turbo");
}

#[test]
fn base_with_guidance() {
    reproduces("base");
}

#[test]
fn base_with_guidance_inside_an_interval() {
    reproduces("base_interval");
}

#[test]
fn own_timesteps() {
    reproduces("custom_timesteps");
}

#[test]
fn audio_codes_as_the_source() {
    reproduces("codes");
}

#[cfg(feature = "demo-model")]
#[test]
fn the_bundled_model() {
    let (case, reference) = case("demo");
    let checkpoint = Checkpoint::demo().unwrap();
    let mut engine = Engine::load(&checkpoint, &in_f32(), &Silent).unwrap();
    assert_eq!(engine.info().notes, []);
    let take = run(&mut engine, &case, 0, &reference["noise"]);
    let latents = reference["latents"].i(0).unwrap();
    assert_close("demo", take.latents.as_ref().unwrap(), &latents, LATENTS);
    let wave = reference["waveform"].i(0).unwrap();
    let start = waveform(&take).narrow(1, 0, wave.dim(1).unwrap()).unwrap();
    let closeness = Closeness::of(&start.i(0..1).unwrap(), &wave);
    assert!(closeness.cosine >= WAVEFORM_COSINE, "{closeness:?}");
}
