//! Memory that cannot be had, wherever that is: the run fails and says so, or makes do with less;
//! what it took is given back, and the next run is as if nothing had been. A test has a process of
//! its own (nextest), which ends when an allocation fails that nobody had asked for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/demo_folder.rs"]
mod demo_folder;
#[path = "support/lm_with_codes.rs"]
mod lm_with_codes;
#[path = "support/refusing.rs"]
mod refusing;
#[path = "support/tiny_checkpoint.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod tiny_checkpoint;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use acestep_domain::{
    GenerationParams, event::Stage, generation::AudioFormat, lora::LoraUse, service::Quantization,
    task::TaskType,
};
use acestep_engine::{
    audio::{Audio, encode::encode},
    checkpoint::{Checkpoint, LmCheckpoint},
    demo,
    engine::{AlignRequest, Engine, Heard, LoadOptions, Request, Thinking},
    error::{Error, Result},
    observer::Silent,
};

#[global_allocator]
static REFUSING: refusing::Refusing = refusing::Refusing;

/// Bytes that may stay in use after a run: buffers that threads keep for the next one.
const KEPT: usize = 1 << 20;

/// What a run makes: samples, and codes of its notes.
#[derive(Debug, PartialEq)]
struct Made {
    samples: Vec<f32>,
    notes: Vec<String>,
}

impl Made {
    /// The same song; in other tiles but for the order of sums.
    fn is(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let apart = self.samples.iter().zip(&other.samples);
        let apart = apart.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        self.notes.iter().any(|note| note == "tile_size_lowered")
            && self.samples.len() == other.samples.len()
            && apart < 1e-3
    }
}

/// Refuses one allocation after another (every `stride`-th) until a run needs none that is refused;
/// the stages that failed for it, and how often a run made do with less.
fn sweep(stride: usize, mut attempt: impl FnMut() -> Result<Made>) -> (BTreeSet<Stage>, usize) {
    let want = attempt().unwrap();
    let mut stages = BTreeSet::new();
    let mut smaller = 0;
    let mut points = 0;
    for n in (1..).step_by(stride) {
        let (outcome, refused) = refusing::without(n, &mut attempt);
        if !refused {
            assert_eq!(outcome.unwrap(), want);
            break;
        }
        points = n;
        match outcome {
            Err(Error::OutOfMemory { stage, .. }) => drop(stages.insert(stage)),
            Ok(made) => {
                assert!(made != want && made.is(&want), "{n}: {:?}", made.notes);
                smaller += 1;
            }
            Err(other) => panic!("{n}: {other}"),
        }
        if n % 16 == 0 {
            assert_eq!(attempt().unwrap(), want, "after {n}");
        }
    }
    // By now everything is there that is made once: also the names of the program's functions,
    // which errors read for their backtraces and keep.
    let idle = refusing::in_use();
    for n in (1..=points).step_by(3 * stride) {
        drop(refusing::without(n, &mut attempt));
        let left = refusing::in_use();
        assert!(left <= idle + KEPT, "{n}: {left} in use, {idle} before");
    }
    assert_eq!(attempt().unwrap(), want);
    (stages, smaller)
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline/checkpoint")
}

fn params() -> GenerationParams {
    GenerationParams {
        caption: "a lofi track with piano and drums".to_owned(),
        lyrics: "[Verse]\none line\nand another".to_owned(),
        duration_secs: Some(6.0),
        inference_steps: 2,
        ..GenerationParams::default()
    }
}

/// Thinks where there is a language model, makes the songs, writes them.
fn make(engine: &mut Engine, request: &Request) -> Result<Made> {
    let thinking = Thinking {
        params: &request.params,
        seeds: &request.seeds,
        max_duration_secs: 600,
    };
    let thought = engine.think(thinking, &Silent)?;
    let request = Request {
        params: thought.params,
        codes: thought.codes,
        ..request.clone()
    };
    let mut samples = Vec::new();
    let report = engine.generate(&request, &Silent, &mut |take| {
        encode(&take.audio, AudioFormat::Flac)?;
        samples.extend(take.audio.channels.concat());
        Ok(())
    })?;
    Ok(Made {
        samples,
        notes: report.notes.into_iter().map(|note| note.code).collect(),
    })
}

fn two_songs() -> Request {
    Request {
        params: params(),
        seeds: vec![7, 8],
        ..Request::default()
    }
}

/// A tone of `secs` at the tiny checkpoint's rate.
fn tone(secs: f64) -> Audio {
    let samples = (secs * 400.0) as usize;
    let wave: Vec<f32> = (0..samples).map(|i| (i as f32 * 0.3).sin() * 0.5).collect();
    Audio {
        channels: vec![wave.clone(), wave],
        sample_rate_hz: 400,
    }
}

fn of_a_source(task: TaskType) -> Request {
    Request {
        params: GenerationParams {
            task_type: task,
            src_audio: Some("source".to_owned()),
            repainting_start: 1.0,
            repainting_end: Some(3.0),
            ..params()
        },
        seeds: vec![7],
        source: Some(tone(6.0)),
        references: vec![tone(9.0)],
        ..Request::default()
    }
}

#[test]
fn loading_fails_and_the_next_load_does_not() {
    let load = || {
        let checkpoint = Checkpoint::open(&tiny(), "acestep-v15-tiny")?;
        let engine = Engine::load(&checkpoint, &LoadOptions::default(), &Silent)?;
        drop(engine);
        Ok(Made {
            samples: Vec::new(),
            notes: Vec::new(),
        })
    };
    let (stages, smaller) = sweep(5, load);
    assert_eq!((stages, smaller), (BTreeSet::from([Stage::Load]), 0));
}

#[test]
fn a_song_with_a_language_model_fails_in_each_of_its_stages_and_the_next_is_made() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let options = LoadOptions::default();
    let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
    let lm = LmCheckpoint::open(root.path(), demo::LM_NAME).unwrap();
    engine.load_lm(&lm, &options, &Silent).unwrap();
    let request = two_songs();
    let (stages, smaller) = sweep(1, || make(&mut engine, &request));
    let all = [
        Stage::LanguageModel,
        Stage::Prepare,
        Stage::Diffusion,
        Stage::Decode,
        Stage::Save,
    ];
    assert_eq!(stages, BTreeSet::from(all));
    assert!(smaller > 0, "a song is decoded in smaller pieces");
}

#[test]
fn a_song_whose_networks_move_fails_while_one_is_read_and_the_next_is_made() {
    let checkpoint = Checkpoint::open(&tiny(), "acestep-v15-tiny").unwrap();
    let options = LoadOptions {
        offload_to_cpu: true,
        offload_dit_to_cpu: true,
        quantization: Quantization::None,
        ..LoadOptions::default()
    };
    let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
    let request = Request {
        seeds: vec![7],
        ..two_songs()
    };
    let (stages, _) = sweep(1, || make(&mut engine, &request));
    assert!(stages.contains(&Stage::Load) && stages.contains(&Stage::Diffusion));
}

#[test]
fn a_cover_and_a_repaint_fail_while_they_listen_and_the_next_is_made() {
    let checkpoint = Checkpoint::open(&tiny(), "acestep-v15-tiny").unwrap();
    let mut engine = Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap();
    for task in [TaskType::Cover, TaskType::Repaint] {
        let request = of_a_source(task);
        let (stages, smaller) = sweep(1, || make(&mut engine, &request));
        let heard = [
            Stage::Encode,
            Stage::Prepare,
            Stage::Diffusion,
            Stage::Decode,
        ];
        assert!(
            heard.iter().all(|stage| stages.contains(stage)),
            "{stages:?}"
        );
        assert!(smaller > 0, "{stages:?}");
    }
}

#[test]
fn an_adapter_that_finds_no_room_is_refused_and_the_next_song_has_it() {
    let checkpoint = Checkpoint::open(&tiny(), "acestep-v15-tiny").unwrap();
    let mut engine = Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap();
    let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora");
    let uses = [LoraUse::new("peft", 1.0)];
    let (stages, smaller) = sweep(1, || {
        engine.use_loras(&[], &adapters, &Silent)?;
        engine.use_loras(&uses, &adapters, &Silent)?;
        Ok(Made {
            samples: Vec::new(),
            notes: engine.loras().into_iter().map(|lora| lora.name).collect(),
        })
    });
    assert_eq!((stages, smaller), (BTreeSet::from([Stage::Load]), 0));
}

#[test]
fn timing_a_song_fails_in_each_of_its_stages_and_the_next_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = {
        let checkpoint = tiny_checkpoint::with_lyric_heads(folder.path());
        Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap()
    };
    let request = Request {
        seeds: vec![7],
        ..two_songs()
    };
    let (stages, smaller) = sweep(1, || {
        let asked = AlignRequest {
            request: &request,
            heard: Heard::Sound {
                audio: tone(6.0),
                gain: 1.0,
            },
            with_scores: true,
        };
        let found = engine.align(&asked, &Silent)?;
        let times = found
            .lines
            .iter()
            .flat_map(|line| [line.start_secs, line.end_secs]);
        Ok(Made {
            samples: times.map(|secs| secs as f32).collect(),
            notes: found.notes.into_iter().map(|note| note.code).collect(),
        })
    });
    // The half of the autoencoder that listens is read when it is needed.
    let all = [Stage::Load, Stage::Encode, Stage::Prepare, Stage::Diffusion];
    assert_eq!((stages, smaller), (BTreeSet::from(all), 0));
}

#[test]
fn with_less_and_less_memory_a_run_fails_with_a_reason_and_never_takes_the_program() {
    const STEPS: usize = 24;
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let options = LoadOptions::default();
    let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
    let lm = LmCheckpoint::open(root.path(), demo::LM_NAME).unwrap();
    engine.load_lm(&lm, &options, &Silent).unwrap();
    let request = two_songs();
    let want = make(&mut engine, &request).unwrap();
    let idle = refusing::in_use();
    let (outcome, peak) = refusing::within(usize::MAX, || make(&mut engine, &request));
    assert_eq!(outcome.unwrap(), want);
    let (mut made, mut failed) = (0, 0);
    // What is asked for is more than what is used: room for the buffers of all kernels.
    let most = peak + (peak - idle) + (64 << 20);
    for step in 0..=STEPS {
        let limit = idle + (most - idle) * step / STEPS;
        let (outcome, _) = refusing::within(limit, || make(&mut engine, &request));
        match outcome {
            Ok(song) => {
                assert!(song.is(&want), "{limit}");
                made += 1;
            }
            Err(Error::OutOfMemory { .. }) => failed += 1,
            Err(other) => panic!("{limit}: {other}"),
        }
        assert!(refusing::in_use() <= idle + KEPT, "{limit}");
    }
    assert!(made > 0 && failed > 0, "{made} made, {failed} failed");
    assert_eq!(make(&mut engine, &request).unwrap(), want);
}

#[path = "out_of_memory/words_and_scores.rs"]
mod words_and_scores;
