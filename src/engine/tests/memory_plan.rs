//! The plan against the allocator: in every stage, what is in use is no more than what was planned,
//! and not so much less that the plan says nothing. A test has a process of its own (nextest).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/demo_folder.rs"]
mod demo_folder;
#[path = "support/lm_with_codes.rs"]
mod lm_with_codes;
#[path = "support/tiny_checkpoint.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod tiny_checkpoint;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use acestep_domain::{
    GenerationParams, event::Stage, job::JobKind, lora::LoraUse, memory::MemoryPlan,
    service::Quantization, task::TaskType,
};
use acestep_engine::{
    audio::Audio,
    checkpoint::{Checkpoint, LmCheckpoint},
    demo,
    engine::{Engine, LoadOptions, Request, Thinking, WriteRequest},
    memory::plan::{Brought, Free, Models, Work, lora_bytes, plan},
    observer::{Observer, Silent, Writing},
    pipeline::vae_tiles::TileOptions,
};

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

/// Notes down the peak since the last report for the stage that reports.
struct Watch {
    before: usize,
    peaks: Mutex<BTreeMap<Stage, u64>>,
}

impl Watch {
    fn new() -> Self {
        counting::take_peak();
        Self {
            before: counting::in_use(),
            peaks: Mutex::default(),
        }
    }

    fn note(&self, stage: Stage) {
        let peak = counting::take_peak().saturating_sub(self.before) as u64;
        let mut peaks = self.peaks.lock().unwrap();
        let noted = peaks.entry(stage).or_default();
        *noted = peak.max(*noted);
    }
}

impl Observer for Watch {
    fn progress(&self, stage: Stage, _: usize, _: usize, _: usize) {
        self.note(stage);
    }

    fn writing(&self, _: &Writing<'_>) {
        self.note(Stage::LanguageModel);
    }

    fn cancelled(&self) -> bool {
        false
    }
}

fn params(secs: f64, songs: usize) -> GenerationParams {
    GenerationParams {
        caption: "a lofi track with piano and drums".to_owned(),
        lyrics: "[Verse]\none line\nand another".to_owned(),
        duration_secs: Some(secs),
        batch_size: songs,
        inference_steps: 2,
        ..GenerationParams::default()
    }
}

const PLENTY: Free = Free {
    host: u64::MAX,
    device: u64::MAX,
    others: 0,
    largest_others: |_| Vec::new(),
    threads: 2,
};

/// What a run works on.
#[derive(Default)]
struct Given {
    source: Option<Audio>,
    references: Vec<Audio>,
    lora_dir: PathBuf,
}

/// Planned and measured MiB of each stage, checked.
fn holds(
    root: &Path,
    name: &str,
    lm: Option<&str>,
    options: &LoadOptions,
    asked: &GenerationParams,
) {
    holds_with((root, name, lm), options, asked, Given::default());
}

fn holds_with(
    (root, name, lm): (&Path, &str, Option<&str>),
    options: &LoadOptions,
    asked: &GenerationParams,
    given: Given,
) {
    let models = Models::find(root, name, lm).unwrap();
    let uses = asked.loras.clone().unwrap_or_default();
    let secs = |audio: &Audio| audio.duration_secs();
    let brought = Brought {
        source_secs: given.source.as_ref().map_or(0.0, secs),
        reference_secs: given.references.iter().map(secs).sum(),
        lora_bytes: lora_bytes(&given.lora_dir, &uses, options.device),
    };
    assert_eq!(brought.lora_bytes > 0, !uses.is_empty());
    let work = Work::of(asked, &models).with(brought);
    let planned = plan(&models, options, work, PLENTY);
    let checkpoint = Checkpoint::open(root, name).unwrap();
    let watch = Watch::new();
    let mut engine = Engine::load(&checkpoint, options, &watch).unwrap();
    if let Some(lm) = lm {
        let source = LmCheckpoint::open(root, lm).unwrap();
        engine.load_lm(&source, options, &watch).unwrap();
    }
    engine.use_loras(&uses, &given.lora_dir, &watch).unwrap();
    let seeds: Vec<u32> = (1..=asked.batch_size as u32).collect();
    let thinking = Thinking {
        params: asked,
        seeds: &seeds,
        max_duration_secs: 600,
    };
    let thought = engine.think(thinking, &watch).unwrap();
    let request = Request {
        params: thought.params,
        seeds,
        codes: thought.codes,
        source: given.source,
        references: given.references,
        raw_level: true,
        tiles: TileOptions {
            tile_frames: planned.vae_tile_frames,
            overlap_frames: None,
        },
        ..Request::default()
    };
    engine
        .generate(&request, &watch, &mut |take| {
            // As it is kept while it is written.
            let bytes: Vec<f32> = take.audio.channels.concat();
            assert!(!bytes.is_empty());
            watch.note(Stage::Decode);
            Ok(())
        })
        .unwrap();
    compare(&watch, &planned);
}

/// Every stage that was planned was measured, and is near its plan.
fn compare(watch: &Watch, planned: &MemoryPlan) {
    let peaks = watch.peaks.lock().unwrap();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let told: Vec<String> = planned
        .stages
        .iter()
        .map(|stage| {
            let measured = peaks.get(&stage.stage).copied().unwrap_or(0);
            format!(
                "{} {:.1} planned, {:.1} measured",
                stage.stage,
                mib(stage.peak_bytes),
                mib(measured)
            )
        })
        .collect();
    for stage in &planned.stages {
        let measured = peaks.get(&stage.stage).copied().unwrap_or(0);
        assert!(measured > 0, "{} was not measured: {told:#?}", stage.stage);
        assert!(measured <= stage.peak_bytes, "{}: {told:#?}", stage.stage);
        // The constant share is for tokenizers and the kernels' buffers.
        let loose = stage.peak_bytes.saturating_sub(40 << 20);
        assert!(
            measured * 3 >= loose,
            "{} says nothing: {told:#?}",
            stage.stage
        );
    }
}

fn ways() -> Vec<LoadOptions> {
    let mut ways = Vec::new();
    for quantization in [Quantization::None, Quantization::Int8, Quantization::Int4] {
        for moves in [false, true] {
            ways.push(LoadOptions {
                quantization,
                offload_to_cpu: moves,
                offload_dit_to_cpu: moves,
                ..LoadOptions::default()
            });
        }
    }
    ways.push(LoadOptions {
        compile: true,
        ..LoadOptions::default()
    });
    ways
}

#[test]
fn the_bundled_model_stays_below_its_plan() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    for options in ways() {
        for (secs, songs) in [(6.0, 1), (24.0, 2)] {
            let asked = params(secs, songs);
            holds(root.path(), demo::NAME, None, &options, &asked);
        }
    }
}

#[test]
fn the_bundled_language_model_stays_below_its_plan() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let asked = params(6.0, 1);
    let lm = Some(demo::LM_NAME);
    holds(root.path(), demo::NAME, lm, &LoadOptions::default(), &asked);
}

#[test]
fn a_language_model_that_writes_codes_stays_below_its_plan() {
    let root = tempfile::tempdir().unwrap();
    let name = tiny_checkpoint::tiny(true, root.path()).name().to_owned();
    lm_with_codes::write(root.path(), 64_000);
    for songs in [1, 4] {
        let asked = GenerationParams {
            lm_cfg_scale: 2.0,
            ..params(12.0, songs)
        };
        let models = Models::find(root.path(), &name, Some(lm_with_codes::NAME)).unwrap();
        let planned = |asked: &GenerationParams| {
            let work = Work::of(asked, &models);
            plan(&models, &LoadOptions::default(), work, PLENTY).lm_cache_bytes
        };
        let words_only = GenerationParams {
            thinking: false,
            ..asked.clone()
        };
        assert!(
            planned(&asked) > planned(&words_only),
            "codes are planned for"
        );
        let lm = Some(lm_with_codes::NAME);
        holds(root.path(), &name, lm, &LoadOptions::default(), &asked);
    }
}

#[test]
fn a_base_model_that_is_guided_stays_below_its_plan() {
    let root = tempfile::tempdir().unwrap();
    let name = tiny_checkpoint::tiny(false, root.path()).name().to_owned();
    let asked = GenerationParams {
        guidance_scale: 7.0,
        ..params(30.0, 2)
    };
    holds(root.path(), &name, None, &LoadOptions::default(), &asked);
}

#[test]
fn a_random_checkpoint_stays_below_its_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline/checkpoint");
    for fused_attention in [true, false] {
        let options = LoadOptions {
            fused_attention,
            ..LoadOptions::default()
        };
        holds(&root, "acestep-v15-tiny", None, &options, &params(30.0, 1));
    }
}

/// The switch does what it says: no matrix of scores is ever there.
#[test]
fn a_step_with_flash_attention_takes_less_memory() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let peak = |fused_attention| {
        let options = LoadOptions {
            fused_attention,
            ..LoadOptions::default()
        };
        let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
        let request = Request {
            params: GenerationParams {
                inference_steps: 1,
                ..params(240.0, 1)
            },
            seeds: vec![1],
            ..Request::default()
        };
        let watch = Watch::new();
        engine.generate(&request, &watch, &mut |_| Ok(())).unwrap();
        let peaks = watch.peaks.lock().unwrap();
        peaks[&Stage::Diffusion]
    };
    let (with, without) = (peak(true), peak(false));
    assert!(
        with + (32 << 20) < without,
        "{with} with, {without} without"
    );
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline/checkpoint")
}

/// A tone of `secs` at a rate.
fn tone(secs: f64, sample_rate_hz: u32) -> Audio {
    let samples = (secs * f64::from(sample_rate_hz)) as usize;
    let wave: Vec<f32> = (0..samples)
        .map(|i| (i as f32 * 0.03).sin() * 0.5)
        .collect();
    Audio {
        channels: vec![wave.clone(), wave],
        sample_rate_hz,
    }
}

fn of_a_source(task: TaskType, secs: f64) -> GenerationParams {
    GenerationParams {
        task_type: task,
        src_audio: Some("source".to_owned()),
        reference_audio: vec!["reference".to_owned()],
        repainting_start: 4.0,
        repainting_end: Some(12.0),
        audio_cover_strength: if task == TaskType::Cover { 0.5 } else { 1.0 },
        ..params(secs, 2)
    }
}

#[test]
fn a_cover_and_a_repaint_stay_below_their_plans() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    for task in [TaskType::Cover, TaskType::Repaint] {
        for moves in [false, true] {
            let options = LoadOptions {
                offload_to_cpu: moves,
                offload_dit_to_cpu: moves,
                ..LoadOptions::default()
            };
            let asked = of_a_source(task, 24.0);
            let given = |rate| Given {
                source: Some(tone(24.0, rate)),
                references: vec![tone(40.0, rate)],
                ..Given::default()
            };
            // The bundled autoencoder has no trained encoder; it works all the same.
            let bundled = (root.path(), demo::NAME, None);
            holds_with(bundled, &options, &asked, given(48_000));
            let random = tiny();
            let random = (random.as_path(), "acestep-v15-tiny", None);
            holds_with(random, &options, &asked, given(400));
        }
    }
}

#[test]
fn a_run_with_an_adapter_stays_below_its_plan() {
    let lora_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora");
    let asked = GenerationParams {
        loras: Some(vec![LoraUse {
            name: "peft".to_owned(),
            scale: 0.7,
            hash: None,
        }]),
        ..params(30.0, 1)
    };
    let given = Given {
        lora_dir,
        ..Given::default()
    };
    let random = tiny();
    let random = (random.as_path(), "acestep-v15-tiny", None);
    holds_with(random, &LoadOptions::default(), &asked, given);
}

#[test]
fn listening_stays_below_its_plan() {
    let root = tiny();
    let models = Models::find(&root, "acestep-v15-tiny", None).unwrap();
    let options = LoadOptions::default();
    let asked = params(30.0, 1);
    let work = Work::of_listening(&asked, &models, 60.0, true);
    let planned = plan(&models, &options, work, PLENTY);
    let checkpoint = Checkpoint::open(&root, "acestep-v15-tiny").unwrap();
    let watch = Watch::new();
    let mut engine = Engine::load(&checkpoint, &options, &watch).unwrap();
    let request = WriteRequest {
        kind: JobKind::Encode,
        params: &asked,
        seed: 1,
        max_duration_secs: 600,
        source: Some(tone(60.0, 400)),
    };
    let report = engine.write(&request, &watch).unwrap();
    assert_eq!(report.audio_codes.len(), 300);
    watch.note(Stage::Encode);
    let stages: Vec<Stage> = planned.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(stages, [Stage::Load, Stage::Encode]);
    compare(&watch, &planned);
}
