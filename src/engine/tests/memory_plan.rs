//! The plan against the allocator: in every stage, what is in use is no more than what was planned,
//! and not so much less that the plan says nothing. A test has a process of its own (nextest).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/demo_folder.rs"]
mod demo_folder;

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use acestep_domain::{GenerationParams, event::Stage, service::Quantization};
use acestep_engine::{
    checkpoint::{Checkpoint, LmCheckpoint},
    demo,
    engine::{Engine, LoadOptions, Request, Thinking},
    memory::plan::{Free, Models, Work, plan},
    observer::{Observer, Writing},
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
};

/// Planned and measured MiB of each stage, checked.
fn holds(
    root: &Path,
    name: &str,
    lm: Option<&str>,
    options: &LoadOptions,
    asked: &GenerationParams,
) {
    let models = Models::find(root, name, lm).unwrap();
    let planned = plan(&models, options, Work::of(asked, &models), PLENTY);
    let checkpoint = Checkpoint::open(root, name).unwrap();
    let watch = Watch::new();
    let mut engine = Engine::load(&checkpoint, options, &watch).unwrap();
    if let Some(lm) = lm {
        let source = LmCheckpoint::open(root, lm).unwrap();
        engine.load_lm(&source, options, &watch).unwrap();
    }
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
        noise: None,
        keep_latents: false,
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
    for quantization in [Quantization::None, Quantization::Int8] {
        for moves in [false, true] {
            ways.push(LoadOptions {
                quantization,
                quantize_above_bytes: 0,
                offload_to_cpu: moves,
                offload_dit_to_cpu: moves,
                ..LoadOptions::default()
            });
        }
    }
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
