//! The bundled model does what its card promises (`demo-model/MODEL.md`, "Measured"), asked the
//! way a user asks: a caption, a key, a tempo. 12 to 16 seconds a song, eight steps.
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]
#![cfg(feature = "demo-model")]

#[path = "support/listening.rs"]
mod listening;

use std::sync::Mutex;

use acestep_domain::GenerationParams;
use acestep_engine::{
    audio::Audio,
    checkpoint::Checkpoint,
    engine::{Engine, LoadOptions, Request},
    observer::Silent,
};
use listening::{level_above, pitch_classes, share_in_scale, tempo};
use serde_json::json;

static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

/// A song of the bundled model at the level the network gives it.
fn song(caption: &str, bpm: u32, key: &str, beats: &str, secs: f64, seed: u32) -> Audio {
    let params: GenerationParams = serde_json::from_value(json!({
        "caption": caption,
        "lyrics": "[Instrumental]",
        "bpm": bpm,
        "keyscale": key,
        "timesignature": beats,
        "duration": secs,
        "inference_steps": 8,
        "shift": 3.0,
    }))
    .unwrap();
    let request = Request {
        params,
        seeds: vec![seed],
        noise: None,
        codes: Vec::new(),
        keep_latents: false,
        raw_level: true,
        tiles: acestep_engine::pipeline::vae_tiles::TileOptions::default(),
    };
    let mut engine = ENGINE.lock().unwrap();
    let engine = engine.get_or_insert_with(|| {
        let checkpoint = Checkpoint::demo().unwrap();
        Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap()
    });
    let mut songs = Vec::new();
    engine
        .generate(&request, &Silent, &mut |take| {
            songs.push(take.audio);
            Ok(())
        })
        .unwrap();
    songs.pop().unwrap()
}

/// Figures of a green run, by `--no-capture`.
#[allow(clippy::print_stdout, reason = "figures of a test run")]
fn tell(line: &str) {
    println!("{line}");
}

#[test]
fn songs_stay_in_the_asked_key() {
    for (caption, bpm, key, beats) in [
        (
            "a house track with piano chords, bass and drums",
            124,
            "C major",
            "4",
        ),
        (
            "a lofi track with piano, bass and lazy drums",
            80,
            "A minor",
            "4",
        ),
        (
            "calm ambient music with soft pads and a flute melody",
            72,
            "Eb major",
            "4",
        ),
        (
            "an 8-bit chiptune with a square lead and bass",
            140,
            "F# minor",
            "4",
        ),
        ("a waltz with piano and a melody", 90, "G major", "3"),
    ] {
        let key_found = acestep_domain::metadata::KeyScale::parse(key).unwrap();
        let (tonic, minor) = (usize::from(key_found.tonic()), key_found.is_minor());
        let energy = pitch_classes(&song(caption, bpm, key, beats, 12.0, 1));
        let here = share_in_scale(&energy, tonic, minor);
        let tritone = share_in_scale(&energy, tonic + 6, minor);
        tell(&format!(
            "{key}: {here:.3} inside, {tritone:.3} a tritone away; {caption}"
        ));
        assert!(
            here >= 0.85,
            "{caption} in {key}: {here:.3} of the energy is in the key"
        );
        assert!(here > tritone, "{caption} in {key}: {here:.3} {tritone:.3}");
    }
}

#[test]
fn house_and_lofi_keep_the_asked_tempo() {
    for (caption, bpm) in [
        ("a house track with drums and bass", 124),
        ("a house track with drums and bass", 110),
        ("a lofi track with piano and drums", 80),
        ("a lofi track with piano and drums", 90),
    ] {
        let found = tempo(&song(caption, bpm, "A minor", "4", 16.0, 2));
        tell(&format!("asked {bpm}, heard {found:.1}; {caption}"));
        let off = (found / f64::from(bpm) - 1.0).abs();
        assert!(off <= 0.04, "{caption} at {bpm}: {found:.1}");
    }
}

#[test]
fn drums_are_there_or_not_as_asked() {
    for (with, without, bpm) in [
        (
            "a house track with drums, bass and piano",
            "a house track with bass and piano, no drums",
            124,
        ),
        (
            "a techno track with drums and synth",
            "a techno track with synth, without drums",
            134,
        ),
        (
            "a lofi track with piano and drums",
            "a lofi track with piano, no drums",
            80,
        ),
    ] {
        let treble =
            |caption: &str| level_above(&song(caption, bpm, "D minor", "4", 12.0, 3), 4500.0);
        let (with_drums, without_drums) = (treble(with), treble(without));
        tell(&format!(
            "{with_drums:.4} with, {without_drums:.4} without; {with}"
        ));
        assert!(
            with_drums >= 2.0 * without_drums,
            "{with}: {with_drums:.4}, {without}: {without_drums:.4}"
        );
    }
}

#[test]
fn a_song_has_the_asked_length_at_the_models_rate() {
    for secs in [0.5, 3.3, 12.0] {
        let audio = song("ambient pads", 70, "C major", "4", secs, 4);
        assert_eq!(audio.sample_rate_hz, 24_000);
        assert_eq!(audio.channels.len(), 2);
        assert!((audio.duration_secs() - secs).abs() < 1e-3);
        assert!(
            audio.rms() > 0.01,
            "{secs} s are too quiet: {}",
            audio.rms()
        );
    }
}
