//! Tasks on existing sound by the command line, with the bundled model.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{json_of, made, run, stderr, wav};

/// A folder with `a.wav`, a song of three seconds of the bundled model.
fn with_song() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    made(
        &folder,
        &["--output", "a.wav"],
        &json!({ "caption": "lofi piano", "duration": 3, "seed": 7 }),
    );
    folder
}

fn codes(told: &Value) -> Vec<&str> {
    let notes = told["notes"].as_array().unwrap().iter();
    notes.filter_map(|note| note["code"].as_str()).collect()
}

/// The autoencoder's own reading of `a.wav`, by channel.
fn round_trip(folder: &TempDir) -> Vec<f32> {
    for words in [
        &[
            "vae",
            "encode",
            "--input",
            "a.wav",
            "--output-latents",
            "l.safetensors",
        ][..],
        &[
            "vae",
            "decode",
            "--latents",
            "l.safetensors",
            "--output",
            "back.wav",
        ][..],
    ] {
        let output = run(folder.path(), words, "");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    wav(&folder.path().join("back.wav")).0
}

/// Largest difference of two stereo waves from second `from` to second `to`.
fn difference(a: &[f32], b: &[f32], from: f64, to: f64) -> f32 {
    let place = |secs: f64| (secs * 48_000.0) as usize;
    let span = place(from)..place(to);
    let pairs = a[span.clone()].iter().zip(&b[span]);
    pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn a_repaint_changes_its_region_and_nothing_else() {
    let folder = with_song();
    let back = round_trip(&folder);
    for mode in ["conservative", "balanced", "aggressive"] {
        let params = json!({
            "task_type": "repaint", "caption": "techno", "src_audio": "a.wav", "seed": 5,
            "repainting_start": 1.0, "repainting_end": 2.0, "repaint_mode": mode
        });
        let told = made(&folder, &["--output", "r.wav"], &params);
        assert_eq!(told["outputs"][0]["duration_secs"], 3.0);
        assert_eq!(told["params"]["duration"], 3.0);
        assert!(codes(&told).contains(&"normalize_ignored"), "{told}");
        let new = wav(&folder.path().join("r.wav")).0;
        let fade = 0.051;
        // 16 bit on both sides.
        assert!(difference(&new, &back, 0.0, 1.0 - fade) < 1e-4, "{mode}");
        assert!(difference(&new, &back, 2.0 + fade, 3.0) < 1e-4, "{mode}");
        assert!(difference(&new, &back, 1.0, 2.0) > 0.05, "{mode}");
    }
}

#[test]
fn a_repaint_lengthens_a_song_on_either_side() {
    let folder = with_song();
    let back = round_trip(&folder);
    let before = json!({
        "task_type": "repaint", "caption": "techno", "seed": 5,
        "repainting_start": -1.0, "repainting_end": 0.5
    });
    let told = made(
        &folder,
        &["--src_audio", "a.wav", "--output", "before.wav"],
        &before,
    );
    assert_eq!(told["outputs"][0]["duration_secs"], 4.0);
    let new = wav(&folder.path().join("before.wav")).0;
    let kept = &new[48_000..];
    // Where the source began, both halves of the autoencoder look into the silence before it.
    assert!(difference(kept, &back, 2.0, 3.0) < 1e-3);

    let behind = json!({
        "task_type": "repaint", "caption": "techno", "seed": 5, "audio_format": "wav32",
        "src_audio": "a.wav", "repainting_start": 3.0, "repainting_end": 4.5
    });
    let told = made(&folder, &["--output", "behind.wav"], &behind);
    assert_eq!(told["outputs"][0]["duration_secs"], 4.5);
    let (new, spec) = wav(&folder.path().join("behind.wav"));
    assert_eq!(spec.bits_per_sample, 32);
    let peak = |samples: &[f32]| samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    assert!(peak(&new[3 * 48_000..]) > 0.05, "the new part is heard");
}

#[test]
fn a_cover_takes_its_length_from_the_source_and_notes_what_does_nothing() {
    let folder = with_song();
    let params = json!({
        "task_type": "cover", "caption": "techno", "src_audio": "gone.wav", "seed": 5,
        "duration": 30, "repainting_start": 1.0, "track_name": "drums", "thinking": true,
        "audio_cover_strength": 0.5, "cover_noise_strength": 0.3
    });
    let told = made(
        &folder,
        &["--src_audio", "a.wav", "--output", "c.wav"],
        &params,
    );
    assert_eq!(told["outputs"][0]["duration_secs"], 3.0);
    let codes = codes(&told);
    for code in [
        "src_audio_by_flag",
        "duration_by_source",
        "repainting_start_ignored",
        "track_name_ignored",
        "thinking_ignored",
        "cover_without_codes",
    ] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    // It starts below the noisy end, so fewer than the eight steps are run.
    assert!(told["model"]["steps"].as_u64().unwrap() < 8, "{told}");
}

#[test]
fn references_are_read_and_several_may_be_given() {
    let folder = with_song();
    let params = json!({ "caption": "lofi piano", "duration": 1, "seed": 7 });
    made(&folder, &["--output", "plain.wav"], &params);
    let flags = ["--reference_audio", "a.wav", "--reference_audio", "a.wav"];
    let told = made(
        &folder,
        &[&flags[..], &["--output", "two.wav"]].concat(),
        &params,
    );
    assert_eq!(told["params"]["reference_audio"], json!(["a.wav", "a.wav"]));
    let read = |name: &str| wav(&folder.path().join(name)).0;
    assert_ne!(read("plain.wav"), read("two.wav"));
}

#[test]
fn what_a_task_cannot_use_ends_with_code_two_and_its_key() {
    let folder = with_song();
    std::fs::write(folder.path().join("x.wav"), "no sound").unwrap();
    for (params, field, part) in [
        (json!({ "task_type": "cover" }), "src_audio", "source"),
        (
            json!({ "task_type": "cover", "src_audio": "gone.wav" }),
            "src_audio",
            "gone.wav",
        ),
        (
            json!({ "task_type": "cover", "src_audio": "x.wav" }),
            "src_audio",
            "x.wav",
        ),
        (
            json!({ "reference_audio": ["a.wav", "x.wav"] }),
            "reference_audio",
            "x.wav",
        ),
        (
            json!({ "task_type": "repaint", "src_audio": "a.wav", "repainting_start": 2, "repainting_end": 1 }),
            "repainting_end",
            "ends at 1",
        ),
        (
            json!({ "task_type": "repaint", "src_audio": "a.wav", "repainting_start": 9 }),
            "repainting_start",
            "source ends at 3.00",
        ),
        (
            json!({ "task_type": "lego", "src_audio": "a.wav", "track_name": "drums" }),
            "task_type",
            "turbo",
        ),
        (
            json!({ "task_type": "extract", "src_audio": "a.wav", "track_name": "kazoo" }),
            "track_name",
            "kazoo",
        ),
    ] {
        let output = run(
            folder.path(),
            &["generate", "--params", "-", "--json"],
            &params.to_string(),
        );
        assert_eq!(output.status.code(), Some(2), "{params}");
        let error = &json_of(&output)["error"];
        assert_eq!(error["field"], field, "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_song_gives_back_what_the_network_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({ "caption": "lofi piano", "duration": 2, "seed": 7, "target_lufs": -30 });
    let made = made(&folder, &["--output", "quiet.wav"], &params);
    let gain = made["outputs"][0]["gain"].as_f64().unwrap();
    assert!(gain > 0.0 && made["outputs"][0]["raw_loudness_lufs"].is_number());
    std::fs::rename(
        folder.path().join("quiet.wav"),
        folder.path().join("renamed.bin"),
    )
    .unwrap();
    let words = ["raw", "renamed.bin", "--output", "raw.wav", "--json"];
    let told = json_of(&run(folder.path(), &words, ""));
    assert!((told["gain"].as_f64().unwrap() - gain).abs() < 1e-6);
    let quiet = hound::WavReader::open(folder.path().join("renamed.bin"))
        .unwrap()
        .into_samples::<i16>()
        .map(|sample| f32::from(sample.unwrap()) / 32_768.0)
        .collect::<Vec<_>>();
    let raw = hound::WavReader::open(folder.path().join("raw.wav"))
        .unwrap()
        .into_samples::<f32>()
        .map(Result::unwrap)
        .collect::<Vec<_>>();
    assert_eq!(quiet.len(), raw.len());
    for (quiet, raw) in quiet.iter().zip(&raw) {
        assert!((quiet / gain as f32 - raw).abs() < 1e-5);
    }
    let refused = run(
        folder.path(),
        &["raw", "renamed.bin", "--output", "x.mp3"],
        "",
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains(".wav"), "{}", stderr(&refused));
    assert!(!folder.path().join("x.mp3").exists());
    let refused = run(
        folder.path(),
        &["raw", "nowhere.wav", "--output", "x.wav"],
        "",
    );
    assert!(
        stderr(&refused).contains("Check the file"),
        "{}",
        stderr(&refused)
    );
    // Twice is once, and a stranger's file is refused.
    let words = ["raw", "raw.wav", "--output", "again.wav", "--json"];
    assert_eq!(json_of(&run(folder.path(), &words, ""))["gain"], 1.0);
    std::fs::write(folder.path().join("notes.txt"), "no song").unwrap();
    let refused = run(
        folder.path(),
        &["raw", "notes.txt", "--output", "x.wav"],
        "",
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("notes.txt"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_description_refuses_what_it_cannot_use_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("codes.txt"), " \n").unwrap();
    std::fs::write(folder.path().join("some.txt"), "1 2 3").unwrap();
    for (words, says) in [
        (&["--codes", "codes.txt"][..], "no audio codes"),
        (&["--codes", "some.txt", "--temperature", "NaN"], "0 to 2"),
        (&["--codes", "some.txt", "--temperature", "100"], "0 to 2"),
        (&["--codes", "some.txt", "--temperature", "-1"], "0 to 2"),
    ] {
        let output = run(folder.path(), &[&["understand"], words].concat(), "");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

#[test]
fn a_plan_counts_the_recordings_of_a_run() {
    let folder = with_song();
    // What is measured of the machine is kept there, so that two plans go by the same figures.
    std::fs::create_dir(folder.path().join("acestep_outputs")).unwrap();
    let planned = |more: Value| {
        let mut params = json!({ "caption": "x", "duration": 10, "batch_size": 1 });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let words = ["plan", "--json", "--params", "-"];
        let plan = json_of(&run(folder.path(), &words, &params.to_string()));
        let bytes = plan["memory"]["expected_peak_bytes"]["host"]
            .as_u64()
            .unwrap();
        (bytes, plan["time"]["total"].as_f64().unwrap())
    };
    let alone = planned(json!({}));
    for reference in ["a.wav", "gone.wav"] {
        let with = planned(json!({ "reference_audio": [reference] }));
        assert!(with.0 > alone.0 && with.1 > alone.1, "{with:?} {alone:?}");
    }
    let short = planned(json!({ "reference_audio": vec!["a.wav"; 8] }));
    let gone = planned(json!({ "reference_audio": vec!["gone.wav"; 8] }));
    assert!(short.0 < gone.0, "one that is read counts as long as it is");
}
