//! Offload: networks that are read for a stage and dropped after it take memory for that stage only,
//! and the song has the same bytes. Memory is counted by the allocator; a test has a process of its
//! own (nextest), so nobody else allocates.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/demo_folder.rs"]
mod demo_folder;
#[path = "support/small_lm.rs"]
mod small_lm;

use std::path::Path;

use acestep_domain::{GenerationParams, service::Quantization};
use acestep_engine::{
    checkpoint::{Checkpoint, LmCheckpoint},
    demo,
    engine::{Engine, LanguageModel, LoadOptions, Request},
    observer::Silent,
};

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

fn options(offload_to_cpu: bool, offload_dit_to_cpu: bool) -> LoadOptions {
    LoadOptions {
        offload_to_cpu,
        offload_dit_to_cpu,
        ..LoadOptions::default()
    }
}

fn request() -> Request {
    Request {
        params: GenerationParams {
            caption: "a lofi track with piano and drums".to_owned(),
            duration_secs: Some(2.0),
            inference_steps: 2,
            ..GenerationParams::default()
        },
        seeds: vec![7, 8],
        noise: None,
        codes: Vec::new(),
        keep_latents: false,
        raw_level: false,
        ..Request::default()
    }
}

/// Samples of every song, bytes that stay in use after loading, and the peak while they are made.
struct Outcome {
    samples: Vec<u32>,
    idle: usize,
    peak: usize,
}

fn outcome(checkpoint: &Checkpoint, options: &LoadOptions) -> Outcome {
    let before = counting::in_use();
    let mut engine = Engine::load(checkpoint, options, &Silent).unwrap();
    let idle = counting::in_use() - before;
    assert!(
        engine
            .info()
            .notes
            .iter()
            .all(|note| !note.code.contains("offload")),
        "{:?}",
        engine.info().notes
    );
    counting::take_peak();
    let mut samples = Vec::new();
    let mut songs = || {
        samples.clear();
        engine
            .generate(&request(), &Silent, &mut |take| {
                let all = take.audio.channels.iter().flatten();
                samples.extend(all.map(|sample| sample.to_bits()));
                Ok(())
            })
            .unwrap();
    };
    songs();
    let peak = counting::take_peak() - before;
    // Once more: what has gone comes again.
    songs();
    drop(engine);
    Outcome {
        samples,
        idle,
        peak,
    }
}

fn falls(root: &Path, quantization: Quantization) {
    let checkpoint = Checkpoint::open(root, demo::NAME).unwrap();
    let with = |to_cpu, dit_to_cpu| LoadOptions {
        quantization,
        ..options(to_cpu, dit_to_cpu)
    };
    // The first use of a kernel leaves buffers that the threads keep.
    drop(outcome(&checkpoint, &with(false, false)));
    let all = outcome(&checkpoint, &with(false, false));
    let some = outcome(&checkpoint, &with(true, false));
    let none = outcome(&checkpoint, &with(true, true));
    assert_eq!(some.samples, all.samples);
    assert_eq!(none.samples, all.samples);
    let told = [&all, &some, &none].map(|one| (one.idle >> 10, one.peak >> 10));
    assert!(
        none.idle < some.idle && some.idle < all.idle,
        "{told:?} KiB"
    );
    assert!(
        none.peak < some.peak && some.peak < all.peak,
        "{told:?} KiB"
    );
    assert!(none.idle < all.idle / 4, "{told:?} KiB");
    // As in the reference, the second switch acts with the first.
    let alone = outcome(&checkpoint, &with(false, true));
    let apart = alone.idle.abs_diff(all.idle);
    assert!(
        apart < all.idle / 50,
        "{} of {told:?} KiB",
        alone.idle >> 10
    );
}

#[test]
fn memory_falls_and_the_song_stays_the_same() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    falls(root.path(), Quantization::None);
}

#[test]
fn quantised_weights_wait_in_their_file() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    falls(root.path(), Quantization::Int8);
}

/// A folder in the way of the cache stands for one that cannot be written to.
#[test]
fn what_would_be_quantised_at_every_visit_stays_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let cache = root
        .path()
        .join(demo::NAME)
        .join("acestep-cache-q8_0-panels.gguf");
    std::fs::create_dir_all(cache.join("in the way")).unwrap();
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let options = LoadOptions {
        quantization: Quantization::Int8,
        ..options(true, true)
    };
    let engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
    let codes: Vec<&str> = engine
        .info()
        .notes
        .iter()
        .map(|note| note.code.as_str())
        .collect();
    assert_eq!(codes, ["quantization_not_kept", "offload_without_file"]);
}

#[test]
fn a_damaged_checkpoint_is_refused_at_load_though_nothing_is_read() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let path = root.path().join(demo::NAME).join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    tensors
        .remove("decoder.layers.1.mlp.up_proj.weight")
        .unwrap();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let refused = Engine::load(&checkpoint, &options(true, true), &Silent);
    let message = refused.err().unwrap().to_string();
    assert!(
        message.contains("decoder.layers.1.mlp.up_proj.weight"),
        "{message}"
    );
}

#[test]
fn the_language_model_comes_and_goes_too() {
    let root = tempfile::tempdir().unwrap();
    small_lm::write(root.path(), &small_lm::tensors());
    let source = LmCheckpoint::open(root.path(), small_lm::NAME).unwrap();
    let load = |moves| LanguageModel::load(&source, &options(moves, false), &Silent).unwrap();
    // The first use of a kernel leaves buffers that the threads keep, and which threads take part is chance.
    let idle = |moves| {
        let held = (0..5).map(|_| {
            let before = counting::in_use();
            let model = load(moves);
            let held = counting::in_use().saturating_sub(before);
            drop(model);
            held
        });
        held.min().unwrap()
    };
    let (idle_moved, idle_stays) = (idle(true), idle(false));
    let (moved, stays) = (load(true), load(false));
    let weights = stays.info().resident_bytes as usize;
    assert_eq!(moved.info().resident_bytes, stays.info().resident_bytes);
    assert!(
        idle_stays >= idle_moved + weights * 9 / 10,
        "{idle_stays} {idle_moved} {weights}"
    );
    let bits = |lm: &LanguageModel| -> Vec<u32> {
        let logits = lm.logits(&[vec![1, 2, 3]], &Silent).unwrap();
        let values: Vec<f32> = logits[0].to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    assert_eq!(bits(&moved), bits(&stays));
    assert_eq!(bits(&moved), bits(&stays), "read again");
}
