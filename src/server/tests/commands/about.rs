//! Timed lyrics and scores by the command line.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{json_of, made, run, stderr, sung};

const SUNG: [&str; 2] = ["--config_path", sung::NAME];

/// A folder with a model that times lyrics and `a.wav`, a song of six seconds.
fn with_song(more: &Value) -> (TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    sung::write(&folder.path().join("checkpoints"));
    let mut params = json!({
        "caption": "lofi piano", "lyrics": "[Verse]\nla la la\nla", "duration": 6, "seed": 7
    });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    let told = made(&folder, &["--output", "a.wav", SUNG[0], SUNG[1]], &params);
    (folder, told)
}

#[test]
fn a_songs_lyrics_are_timed_from_its_file() {
    let (folder, _) = with_song(&json!({}));
    let told = |words: &[&str]| {
        let words = [&["lyrics", "a.wav"], words, &SUNG].concat();
        run(folder.path(), &words, "")
    };
    let output = told(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lrc = String::from_utf8(output.stdout).unwrap();
    let texts: Vec<&str> = lrc.lines().filter_map(|line| line.get(10..)).collect();
    assert_eq!(texts, ["[Verse]", "la la la", "la"]);

    let output = told(&["--output", "a.srt"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let srt = std::fs::read_to_string(folder.path().join("a.srt")).unwrap();
    assert!(srt.starts_with("1\n00:00:0"), "{srt}");
    let output = told(&["--format", "vtt", "--json"]);
    assert_eq!(
        json_of(&output)["lyric_lines"].as_array().map(Vec::len),
        Some(3)
    );
    for (words, code) in [(&["--output", "a.txt"][..], 2), (&["--format", "txt"], 2)] {
        assert_eq!(told(words).status.code(), Some(code), "{words:?}");
    }
    let output = run(
        folder.path(),
        &["lyrics", "a.wav", "--config_path", "acestep-v15-demo"],
        "",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("attention heads"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_song_is_scored_from_its_file_by_what_there_is() {
    let (folder, _) = with_song(&json!({}));
    let words = [&["score", "a.wav", "--json"][..], &SUNG].concat();
    let output = run(folder.path(), &words, "");
    assert!(output.status.success(), "{}", stderr(&output));
    let told = json_of(&output);
    assert!(
        told["scores"]["alignment"]["dit_score"].is_number(),
        "{told}"
    );
    assert_eq!(
        told["scores"]["global"],
        Value::Null,
        "no language model reads codes"
    );
    let output = run(folder.path(), &["score", "a.wav", "--score_scale", "7"], "");
    assert_eq!(output.status.code(), Some(2));
    // A file that says nothing of itself.
    std::fs::copy(folder.path().join("a.wav"), folder.path().join("b.txt")).unwrap();
    let output = run(folder.path(), &["score", "b.txt"], "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_the_parameters_ask_for_is_found_out_after_the_songs() {
    let (folder, told) = with_song(&json!({ "auto_lrc": true, "auto_score": true }));
    let output = &told["outputs"][0];
    assert_eq!(output["lyrics"], "a.lrc", "{told}");
    assert!(
        output["scores"]["alignment"]["lm_score"].is_number(),
        "{told}"
    );
    let lrc = std::fs::read_to_string(folder.path().join("a.lrc")).unwrap();
    assert!(lrc.contains("]la la la\n"), "{lrc}");

    // Nothing is sung: the song is made all the same.
    let (folder, told) = with_song(&json!({ "auto_lrc": true, "lyrics": "" }));
    let notes = told["notes"].as_array().unwrap();
    assert!(
        notes.iter().any(|note| note["code"] == "not_found_out"),
        "{told}"
    );
    assert!(!folder.path().join("a.lrc").exists());
}
