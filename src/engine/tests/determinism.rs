//! The same seed is the same song, byte by byte: at any place of a batch, after a reload, with one
//! thread or several.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]
#![cfg(feature = "demo-model")]

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    process::Command,
};

use acestep_domain::{GenerationParams, generation::InferMethod};
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, LoadOptions, Request},
    observer::Silent,
};

fn engine() -> Engine {
    let checkpoint = Checkpoint::demo().unwrap();
    Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap()
}

/// A hash of the samples of each song of `seeds`.
fn songs(engine: &mut Engine, seeds: &[u32], infer_method: InferMethod) -> Vec<u64> {
    let request = Request {
        params: GenerationParams {
            caption: "a lofi track with piano and drums".to_owned(),
            duration_secs: Some(6.0),
            inference_steps: 4,
            infer_method,
            ..GenerationParams::default()
        },
        seeds: seeds.to_vec(),
        noise: None,
        codes: Vec::new(),
        keep_latents: false,
        raw_level: false,
        tiles: acestep_engine::pipeline::vae_tiles::TileOptions::default(),
    };
    let mut hashes = Vec::new();
    engine
        .generate(&request, &Silent, &mut |take| {
            assert_eq!((take.item, take.seed), (hashes.len(), seeds[take.item]));
            let mut hasher = DefaultHasher::new();
            for sample in take.audio.channels.iter().flatten() {
                sample.to_bits().hash(&mut hasher);
            }
            hashes.push(hasher.finish());
            Ok(())
        })
        .unwrap();
    hashes
}

#[test]
fn a_seed_is_one_song_wherever_it_stands_in_a_batch() {
    let mut engine = engine();
    for method in [InferMethod::Ode, InferMethod::Sde] {
        let batch = songs(&mut engine, &[7, 8, 9], method);
        assert_eq!(songs(&mut engine, &[9, 7], method), [batch[2], batch[0]]);
        assert_eq!(songs(&mut engine, &[8], method), [batch[1]]);
        assert_ne!(batch[0], batch[1]);
        assert_ne!(batch[1], batch[2]);
    }
}

#[test]
fn ode_and_sde_are_two_songs_and_a_reload_changes_neither() {
    let (mut one, mut two) = (engine(), engine());
    let ode = songs(&mut one, &[7], InferMethod::Ode);
    let sde = songs(&mut two, &[7], InferMethod::Sde);
    assert_ne!(ode, sde);
    assert_eq!(songs(&mut two, &[7], InferMethod::Ode), ode);
    assert_eq!(songs(&mut one, &[7], InferMethod::Sde), sde);
}

/// Run by [`the_number_of_threads_changes_nothing`] in processes of their own.
#[test]
#[ignore = "speaks to the test that starts it"]
#[allow(clippy::print_stdout, reason = "the answer to the parent")]
fn one_song_in_a_process() {
    let hashes = songs(&mut engine(), &[7], InferMethod::Ode);
    println!("song {:016x}", hashes[0]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let song = |threads: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "one_song_in_a_process",
                "--nocapture",
            ])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let answer = text.split("song ").nth(1).map(|rest| rest[..16].to_owned());
        answer.unwrap_or_else(|| panic!("{threads} threads: {text}"))
    };
    let one = song("1");
    assert_eq!(song("2"), one);
    assert_eq!(song("3"), one);
    let here = songs(&mut engine(), &[7], InferMethod::Ode);
    assert_eq!(format!("{:016x}", here[0]), one);
}
