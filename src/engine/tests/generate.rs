//! What a caller of the engine meets: lengths, progress, cancelling, refusals, faults named by
//! their network, the autoencoder alone. On the tiny checkpoint of the parity fixtures.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use acestep_domain::{GenerationParams, capabilities::DeviceKind, task::TaskType};
use acestep_engine::{
    audio::Audio,
    checkpoint::Checkpoint,
    engine::{Engine, LoadOptions, Request, RunReport, Take, Vae},
    error::{Error, Result, Stage},
    observer::{Observer, Silent},
    pipeline::vae_tiles::TileOptions,
};
use candle_core::{Device, Tensor};

const NAME: &str = "acestep-v15-tiny";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline/checkpoint")
}

fn load(root: &Path) -> Engine {
    let checkpoint = Checkpoint::open(root, NAME).unwrap();
    Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap()
}

/// A copy of the checkpoint in which `change` has been at the tensors of `file`.
fn changed(file: &str, change: impl Fn(&mut HashMap<String, Tensor>)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in [NAME, "vae", "Qwen3-Embedding-0.6B"] {
        fs::create_dir_all(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(
                entry.path(),
                copy.path().join(folder).join(entry.file_name()),
            )
            .unwrap();
        }
    }
    let path = copy.path().join(file);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
    copy
}

fn request(duration_secs: f64, seeds: &[u32]) -> Request {
    Request {
        params: GenerationParams {
            caption: "a song".to_owned(),
            duration_secs: Some(duration_secs),
            inference_steps: 3,
            ..GenerationParams::default()
        },
        seeds: seeds.to_vec(),
        noise: None,
        codes: Vec::new(),
        keep_latents: true,
        raw_level: false,
        ..Request::default()
    }
}

fn run(engine: &mut Engine, request: &Request) -> Result<(Vec<Take>, RunReport)> {
    let mut takes = Vec::new();
    let report = engine.generate(request, &Silent, &mut |take| {
        takes.push(take);
        Ok(())
    })?;
    Ok((takes, report))
}

/// Remembers progress; cancels when `stage` has reported `after` times.
struct Watcher {
    stop: Option<(Stage, usize)>,
    seen: Mutex<Vec<(Stage, usize, usize, usize)>>,
}

impl Watcher {
    fn new(stop: Option<(Stage, usize)>) -> Self {
        Self {
            stop,
            seen: Mutex::default(),
        }
    }
}

impl Observer for Watcher {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        self.seen.lock().unwrap().push((stage, item, done, total));
    }

    fn cancelled(&self) -> bool {
        self.stop.is_some_and(|(stage, after)| {
            let seen = self.seen.lock().unwrap();
            seen.iter().filter(|event| event.0 == stage).count() >= after
        })
    }
}

#[test]
fn short_and_long_songs_are_as_long_as_asked() {
    let mut engine = load(&root());
    let info = engine.info().clone();
    assert_eq!((info.sample_rate_hz, info.channels), (400, 2));
    assert!((info.latent_rate_hz - 25.0).abs() < 1e-9);
    for secs in [0.1, 1.0, 5.4, 7.77] {
        let (takes, report) = run(&mut engine, &request(secs, &[1])).unwrap();
        let take = &takes[0];
        assert_eq!(
            take.audio.frames(),
            (secs * 400.0).round() as usize,
            "{secs}"
        );
        let frames = take.latents.as_ref().unwrap().dim(0).unwrap();
        assert_eq!(frames, (secs * 25.0).ceil() as usize, "{secs}");
        assert_eq!(report.steps, 3);
    }
}

#[test]
fn given_noise_decides_the_length_and_the_batch() {
    let mut engine = load(&root());
    let mut asked = request(60.0, &[1, 2]);
    let values: Vec<f32> = (0..2 * 21 * 8).map(|i| (i as f32).sin()).collect();
    asked.noise = Some(Tensor::from_vec(values, (2, 21, 8), &Device::Cpu).unwrap());
    let (takes, _) = run(&mut engine, &asked).unwrap();
    for take in &takes {
        assert_eq!(take.latents.as_ref().unwrap().dims(), [21, 8]);
        assert_eq!(take.audio.frames(), 21 * 16);
    }
    for shape in [(1, 21, 8), (2, 21, 7), (2, 0, 8)] {
        asked.noise = Some(Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap());
        let error = run(&mut engine, &asked).unwrap_err();
        assert!(
            matches!(error, Error::Invalid { field: "noise", .. }),
            "{error}"
        );
    }
}

#[test]
fn level_is_normalised_or_left_or_only_kept_from_clipping() {
    let mut engine = load(&root());
    let mut asked = request(1.0, &[1]);
    asked.raw_level = true;
    let raw = run(&mut engine, &asked).unwrap().0[0].audio.clone();
    asked.raw_level = false;
    for (normalize, peak) in [(true, 0.891_251), (false, raw.peak().min(1.0))] {
        asked.params.normalize = normalize;
        let take = run(&mut engine, &asked).unwrap().0.remove(0);
        assert!((take.audio.peak() - peak).abs() < 1e-5);
        assert_eq!(take.report.peak, take.audio.peak());
        assert!((take.report.gain - peak / raw.peak()).abs() < 1e-5);
    }
}

#[test]
fn progress_counts_every_stage_of_every_song_in_order() {
    let mut engine = load(&root());
    let watcher = Watcher::new(None);
    let order = Mutex::new(Vec::new());
    engine
        .generate(&request(1.0, &[1, 2]), &watcher, &mut |take| {
            order.lock().unwrap().push(take.item);
            Ok(())
        })
        .unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1]);
    let seen = watcher.seen.lock().unwrap();
    let of = |stage: Stage| -> Vec<(usize, usize, usize)> {
        let events = seen.iter().filter(|event| event.0 == stage);
        events
            .map(|&(_, item, done, total)| (item, done, total))
            .collect()
    };
    assert_eq!(of(Stage::Prepare), [(0, 1, 3), (0, 2, 3), (0, 3, 3)]);
    assert_eq!(
        of(Stage::Diffusion),
        [
            (0, 1, 3),
            (0, 2, 3),
            (0, 3, 3),
            (1, 1, 3),
            (1, 2, 3),
            (1, 3, 3)
        ]
    );
    assert_eq!(of(Stage::Decode), [(0, 1, 1), (1, 1, 1)]);
}

#[test]
fn cancelling_stops_at_the_next_step_tile_or_module_and_the_engine_goes_on() {
    let mut engine = load(&root());
    for (stage, after) in [
        (Stage::Prepare, 1),
        (Stage::Diffusion, 2),
        (Stage::Decode, 1),
    ] {
        let watcher = Watcher::new(Some((stage, after)));
        let result = engine.generate(&request(1.0, &[1, 2]), &watcher, &mut |_| Ok(()));
        assert!(matches!(result, Err(Error::Cancelled)), "{stage}");
        let seen = watcher.seen.lock().unwrap();
        assert_eq!(seen.iter().filter(|event| event.0 == stage).count(), after);
    }
    assert!(run(&mut engine, &request(1.0, &[1])).is_ok());

    let checkpoint = Checkpoint::open(&root(), NAME).unwrap();
    let watcher = Watcher::new(Some((Stage::Load, 2)));
    let result = Engine::load(&checkpoint, &LoadOptions::default(), &watcher);
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn a_failing_sink_ends_the_run_with_its_error() {
    let mut engine = load(&root());
    let result = engine.generate(&request(1.0, &[1, 2]), &Silent, &mut |take| {
        assert_eq!(take.item, 0);
        Err(Error::Audio {
            what: "disk".to_owned(),
            reason: "full".to_owned(),
        })
    });
    assert!(matches!(result, Err(Error::Audio { .. })));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let mut engine = load(&root());
    let mut cover = request(1.0, &[1]);
    cover.params.task_type = TaskType::Cover;
    let error = run(&mut engine, &cover).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                field: "src_audio",
                ..
            }
        ),
        "{error}"
    );
    // The silence of the tiny checkpoint lasts 40 seconds.
    let error = run(&mut engine, &request(41.0, &[1])).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                field: "duration",
                ..
            }
        ),
        "{error}"
    );
    let error = run(&mut engine, &request(1.0, &[])).unwrap_err();
    assert!(
        matches!(error, Error::Invalid { field: "seed", .. }),
        "{error}"
    );
    let mut timesteps = request(1.0, &[1]);
    timesteps.params.timesteps = Some(vec![0.1, 0.9]);
    let error = run(&mut engine, &timesteps).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                field: "timesteps",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn codes_lead_each_song_for_their_share_of_the_steps() {
    let mut engine = load(&root());
    let mut asked = request(5.2, &[1, 1]);
    let latents = |engine: &mut Engine, asked: &Request| -> Vec<Vec<f32>> {
        let (takes, _) = run(engine, asked).unwrap();
        let flat = |take: &Take| {
            let latents = take.latents.as_ref().unwrap();
            latents.flatten_all().unwrap().to_vec1().unwrap()
        };
        takes.iter().map(flat).collect()
    };
    let plain = latents(&mut engine, &asked);
    asked.codes = vec![vec![5; 26], vec![63_999; 26]];
    let led = latents(&mut engine, &asked);
    assert!(plain[0] != led[0] && led[0] != led[1]);
    asked.params.audio_cover_strength = 0.0;
    assert_eq!(latents(&mut engine, &asked), plain, "of no step at all");
    asked.params.audio_cover_strength = 0.5;
    let half = latents(&mut engine, &asked);
    assert!(half[0] != plain[0] && half[0] != led[0]);

    // Codes in the parameters are everybody's, and those of a song's own are the same to it.
    asked.params.audio_cover_strength = 1.0;
    asked.codes.clear();
    asked.params.audio_codes = acestep_domain::audio_codes::to_text(&[5; 26]);
    assert_eq!(
        latents(&mut engine, &asked),
        [led[0].clone(), led[0].clone()]
    );

    asked.params.audio_codes.clear();
    asked.codes = vec![vec![5]];
    let error = run(&mut engine, &asked).unwrap_err();
    assert!(error.to_string().contains("codes of 1 songs"), "{error}");
}

#[test]
fn what_is_cut_or_ignored_is_noted() {
    let mut engine = load(&root());
    let mut asked = request(1.0, &[1]);
    asked.params.caption = "word ".repeat(600);
    asked.params.lyrics = "la ".repeat(3000);
    asked.params.guidance_scale = 7.0;
    let (_, report) = run(&mut engine, &asked).unwrap();
    let codes: Vec<&str> = report.notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(
        codes,
        ["caption_cut", "lyrics_cut", "guidance_scale_ignored"]
    );
}

#[test]
fn a_network_that_breaks_is_named() {
    let dit = format!("{NAME}/model.safetensors");
    for (file, tensor, module) in [
        (
            "Qwen3-Embedding-0.6B/model.safetensors",
            "norm.weight",
            "text encoder",
        ),
        (
            dit.as_str(),
            "encoder.text_projector.weight",
            "condition encoder",
        ),
        (dit.as_str(), "decoder.proj_out.1.bias", "DiT"),
        (
            "vae/diffusion_pytorch_model.safetensors",
            "decoder.conv1.bias",
            "autoencoder's decoder",
        ),
    ] {
        let copy = changed(file, |tensors| {
            let broken = (&tensors[tensor] * f64::NAN).unwrap();
            tensors.insert(tensor.to_owned(), broken);
        });
        match run(&mut load(copy.path()), &request(1.0, &[1])) {
            Err(Error::NotFinite { module: named, .. }) => assert_eq!(named, module),
            other => panic!("{tensor}: {:?}", other.err()),
        }
    }
}

#[test]
fn silence_is_never_a_song_and_surplus_tensors_are_told() {
    let copy = changed("vae/diffusion_pytorch_model.safetensors", |tensors| {
        let name = "decoder.conv2.weight_g";
        let silent = tensors[name].zeros_like().unwrap();
        tensors.insert(name.to_owned(), silent.clone());
        tensors.insert("decoder.surplus".to_owned(), silent);
    });
    let mut engine = load(copy.path());
    let notes = &engine.info().notes;
    assert_eq!(notes[0].code, "tensors_unused");
    assert!(
        notes[0].message.contains("decoder.surplus"),
        "{}",
        notes[0].message
    );
    let error = run(&mut engine, &request(1.0, &[1])).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[test]
fn the_autoencoder_needs_no_other_folder() {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("vae")).unwrap();
    for name in ["config.json", "diffusion_pytorch_model.safetensors"] {
        fs::copy(
            root().join("vae").join(name),
            copy.path().join("vae").join(name),
        )
        .unwrap();
    }
    let vae = Vae::load(Some(copy.path()), DeviceKind::Cpu).unwrap();
    // Mono at another rate: both are said.
    let clip = Audio {
        channels: vec![(0..1600).map(|i| (i as f32 * 0.3).sin() * 0.5).collect()],
        sample_rate_hz: 800,
    };
    let (latents, notes) = vae.encode(&clip, TileOptions::default(), &Silent).unwrap();
    assert_eq!(latents.dims(), [1, 50, 8]);
    let codes: Vec<&str> = notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(codes, ["channels_changed", "clip_resampled"]);
    let (clips, _) = vae
        .decode(&latents, TileOptions::default(), &Silent)
        .unwrap();
    assert_eq!((clips[0].frames(), clips[0].sample_rate_hz), (800, 400));

    // The engine's own autoencoder gives the same.
    let engine = load(&root());
    let (same, _) = engine
        .vae_encode(&clip, TileOptions::default(), &Silent)
        .unwrap();
    assert_eq!(
        same.to_vec3::<f32>().unwrap(),
        latents.to_vec3::<f32>().unwrap()
    );
    let (again, _) = engine
        .vae_decode(&same, TileOptions::default(), &Silent)
        .unwrap();
    assert_eq!(again, clips);

    let wrong = Tensor::zeros((1, 50, 9), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = vae
        .decode(&wrong, TileOptions::default(), &Silent)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                field: "latents",
                ..
            }
        ),
        "{error}"
    );
    let nothing = tempfile::tempdir().unwrap();
    let error = Vae::load(Some(nothing.path()), DeviceKind::Cpu)
        .err()
        .unwrap();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
}
