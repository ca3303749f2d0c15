//! Every task on existing sound against diffusers' networks, and against its whole `AceStepPipeline`
//! where that does what the specification says (`src/xtask/reference/tasks.py`): a tiny random
//! checkpoint in float32, given noise, from the waves of source and references to the finished wave.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/placement.rs"]
mod placement;
#[path = "support/tiny_checkpoint.rs"]
mod tiny_checkpoint;

use std::{collections::HashMap, fs};

use acestep_domain::{GenerationParams, generation::read::params_from_json};
use acestep_engine::{
    audio::Audio,
    engine::{Engine, Request, RunReport, Take},
    observer::Silent,
    pipeline::vae_tiles::TileOptions,
    tasks::{self, Source, Sources},
};
use candle_core::{Device, IndexOp, Tensor};
use closeness::{Closeness, assert_close};
use placement::in_f32;
use serde_json::{Value, json};
use tiny_checkpoint::{fixtures, tiny, waveform};

/// Latents after all steps, of the largest reference value.
const LATENTS: f64 = 1e-3;
/// Context of a task, which no network but the autoencoder has touched.
const CONTEXT: f64 = 1e-4;
/// The final waveform.
const WAVEFORM_COSINE: f64 = 0.99999;

struct Case {
    json: Value,
    reference: HashMap<String, Tensor>,
}

impl Case {
    fn named(name: &str) -> Self {
        let cases = fs::read(fixtures("tasks").join("cases.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
        let json = cases.into_iter().find(|case| case["name"] == name).unwrap();
        let file = fixtures("tasks").join(format!("{name}.safetensors"));
        let reference = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        Self { json, reference }
    }

    fn params(&self) -> GenerationParams {
        let mut request = self.json["item"].as_object().unwrap().clone();
        request.insert("inference_steps".into(), self.json["steps"].clone());
        for key in [
            "shift",
            "guidance_scale",
            "task_type",
            "audio_cover_strength",
            "cover_noise_strength",
            "repainting_start",
            "repainting_end",
            "repaint_mode",
            "repaint_strength",
            "track_name",
            "complete_track_classes",
            "duration",
        ] {
            if let Some(value) = self.json.get(key) {
                request.insert(key.into(), value.clone());
            }
        }
        params_from_json(&json!(request), GenerationParams::default())
            .unwrap()
            .strict()
            .unwrap()
            .0
    }

    fn audio(&self, name: &str) -> Option<Audio> {
        let wave = self.reference.get(name)?;
        Some(Audio {
            channels: wave.to_vec2().unwrap(),
            sample_rate_hz: 400,
        })
    }

    fn request(&self) -> Request {
        Request {
            params: self.params(),
            seeds: vec![0],
            source: self.audio("source"),
            references: (0..)
                .map_while(|i| self.audio(&format!("reference.{i}")))
                .collect(),
            noise: Some(self.reference["noise"].clone()),
            keep_latents: true,
            raw_level: true,
            ..Request::default()
        }
    }
}

/// The engine, and the folder it reads the networks of audio codes from when they are first asked for.
fn engine(is_turbo: bool) -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = tiny(is_turbo, folder.path());
    let engine = Engine::load(&checkpoint, &in_f32(), &Silent).unwrap();
    (engine, folder)
}

fn run(engine: &mut Engine, request: &Request) -> (Vec<Take>, RunReport) {
    let mut takes = Vec::new();
    let report = engine
        .generate(request, &Silent, &mut |take| {
            takes.push(take);
            Ok(())
        })
        .unwrap();
    (takes, report)
}

fn reproduces(name: &str) {
    let case = Case::named(name);
    let (mut engine, _folder) = engine(case.json["is_turbo"].as_bool().unwrap());
    let (takes, report) = run(&mut engine, &case.request());
    assert_eq!(report.notes, []);
    let take = &takes[0];
    let latents = case.reference["latents"].i(0).unwrap();
    assert_close(name, take.latents.as_ref().unwrap(), &latents, LATENTS);
    let wave = case.reference["waveform"].i(0).unwrap();
    let closeness = Closeness::of(&waveform(take), &wave);
    assert!(closeness.cosine >= WAVEFORM_COSINE, "{name}: {closeness:?}");
}

#[test]
fn cover() {
    reproduces("cover");
}

#[test]
fn cover_that_switches_to_the_text() {
    reproduces("cover_switch");
    reproduces("cover_base");
}

#[test]
fn cover_that_starts_from_the_source() {
    reproduces("cover_noise");
}

#[test]
fn repaint_inside_the_source() {
    reproduces("repaint");
    reproduces("repaint_balanced");
}

#[test]
fn repaint_before_and_behind_the_source() {
    reproduces("repaint_before");
    reproduces("repaint_behind");
}

#[test]
fn lego_in_a_region_and_everywhere() {
    reproduces("lego");
    reproduces("lego_whole");
}

#[test]
fn extract() {
    reproduces("extract");
}

#[test]
fn complete() {
    reproduces("complete");
}

#[test]
fn one_reference_and_several() {
    reproduces("reference");
    reproduces("references");
}

#[test]
fn a_reference_beside_a_source() {
    reproduces("cover_reference");
}

/// Context and condition's instruction of a task as data, with the reference's latents as its source.
#[test]
fn the_conditioning_of_each_task() {
    let folder = tempfile::tempdir().unwrap();
    let silence = tiny(true, folder.path())
        .silence_latent(&Device::Cpu)
        .unwrap();
    for name in [
        "repaint",
        "repaint_balanced",
        "repaint_before",
        "repaint_behind",
        "lego",
        "lego_whole",
        "extract",
        "complete",
    ] {
        let case = Case::named(name);
        let params = case.params();
        let latents = case.reference["source_latents"].clone();
        let frames = latents.dim(1).unwrap();
        let secs = case.reference["source"].dim(1).unwrap() as f64 / 400.0;
        let region = params.region(secs).unwrap();
        let source = Source {
            latents,
            secs,
            region: region.map(|region| region.frames(25.0, frames)),
        };
        let sources = Sources {
            silence: &silence,
            mask_channels: 8,
            hints: None,
            source: Some(&source),
        };
        let found = tasks::conditioning(&params, sources, frames).unwrap();
        let expected = &case.reference["context"];
        assert_close(name, &found.context_latents, expected, CONTEXT);
        let kept = found.kept.map(|kept| kept.region);
        assert_eq!(kept.is_some(), name.starts_with("repaint"), "{name}");
    }
}

/// The promise of a repaint, measured on the engine alone: outside of the region and its crossfade the
/// wave is the autoencoder's own reading of the source, to the bit.
#[test]
fn outside_the_region_the_wave_is_the_round_trip_of_the_source() {
    for mode in ["conservative", "balanced", "aggressive"] {
        let case = Case::named("repaint");
        let (mut engine, _folder) = engine(true);
        let mut request = case.request();
        request.params.repaint_mode = serde_json::from_value(json!(mode)).unwrap();
        request.noise = None;
        request.raw_level = false;
        request.seeds = vec![3, 4];
        let (takes, report) = run(&mut engine, &request);
        let source = case.audio("source").unwrap();
        let (latents, _) = engine
            .vae_encode(&source, TileOptions::default(), &Silent)
            .unwrap();
        let (back, _) = engine
            .vae_decode(&latents, TileOptions::default(), &Silent)
            .unwrap();
        let fade = (0.05 * 400.0) as usize;
        let (start, end) = (37 * 16, 77 * 16);
        for take in &takes {
            assert_eq!(take.audio.frames(), source.frames());
            for (new, old) in take.audio.channels.iter().zip(&back[0].channels) {
                // The tiny autoencoder goes beyond full scale; what does is clipped and told.
                let old: Vec<f32> = old.iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
                assert_eq!(new[..start - fade], old[..start - fade], "{mode}");
                assert_eq!(new[end + fade..], old[end + fade..], "{mode}");
                let inside = new[start..end].iter().zip(&old[start..end]);
                assert!(inside.filter(|(new, old)| new != old).count() > (end - start) / 2);
            }
        }
        assert_ne!(takes[0].audio, takes[1].audio);
        assert!(
            report
                .notes
                .iter()
                .any(|note| note.code == "normalize_ignored")
        );
    }
}

/// Slices of a long reference come from the song's own seed: the same alone and in a batch.
#[test]
fn a_song_with_a_long_reference_is_the_same_in_any_batch() {
    let (mut engine, _folder) = engine(true);
    let mut request = Case::named("reference").request();
    let long = request.references[0].channels[0].repeat(7);
    request.references = vec![Audio {
        channels: vec![
            long.iter()
                .enumerate()
                .map(|(i, x)| x * (i as f32 / 9e3).sin())
                .collect(),
        ],
        sample_rate_hz: 400,
    }];
    request.noise = None;
    request.seeds = vec![11, 12];
    let (both, _) = run(&mut engine, &request);
    request.seeds = vec![12];
    let (alone, _) = run(&mut engine, &request);
    assert_eq!(alone[0].audio, both[1].audio);
    request.references.clear();
    let (without, _) = run(&mut engine, &request);
    assert_ne!(without[0].audio, alone[0].audio, "the reference is heard");
}
