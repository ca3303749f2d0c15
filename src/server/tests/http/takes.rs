//! What is done with finished songs over HTTP: their raw sound, the settings inside their files, runs
//! that follow by themselves.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use super::app::{Answer, TestApp};

/// The samples of a wav of floats.
fn floats(wav: &[u8]) -> Vec<f32> {
    let reader = hound::WavReader::new(wav).unwrap();
    assert_eq!(reader.spec().sample_format, hound::SampleFormat::Float);
    reader.into_samples().map(Result::unwrap).collect()
}

impl TestApp {
    /// A finished song's record.
    async fn take_of(&self, more: Value) -> Value {
        let mut params = json!({
            "caption": "lofi piano", "duration": 2, "seed": 7, "audio_format": "wav32", "batch_size": 1
        });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let job = self.run(params).await;
        assert_eq!(job["state"], "done", "{job}");
        let id = job["song_ids"][0].as_str().unwrap();
        self.get(&format!("/api/v1/songs/{id}")).await.json()
    }

    async fn raw(&self, song: &Value) -> Answer {
        let id = song["id"].as_str().unwrap();
        self.get(&format!("/api/v1/songs/{id}/raw")).await
    }

    async fn settings(&self, name: &str, bytes: impl Into<Body>) -> Answer {
        let request = Request::post(format!("/api/v1/settings?name={name}"));
        self.send(request.body(bytes.into()).unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_at_any_level_gives_the_same_raw_sound() {
    let app = TestApp::ready().await;
    let plain = app.take_of(json!({})).await;
    let quiet = app.take_of(json!({ "target_lufs": -30 })).await;
    let report = &quiet["report"];
    let lufs = report["loudness_lufs"].as_f64().unwrap();
    assert!((lufs + 30.0).abs() < 0.1, "{report}");
    let before = report["raw_loudness_lufs"].as_f64().unwrap();
    let gain = report["gain"].as_f64().unwrap();
    assert!((before - (lufs - 20.0 * gain.log10())).abs() < 0.01);
    assert!(plain["report"]["gain"].as_f64().unwrap() > 2.0 * gain);

    let (a, b) = (app.raw(&plain).await, app.raw(&quiet).await);
    assert_eq!(a.header("content-type"), "audio/wav");
    assert!(
        a.header("content-disposition").contains("(raw).wav"),
        "{}",
        a.header("content-disposition")
    );
    let (a, b) = (floats(&a.body), floats(&b.body));
    assert_eq!(a.len(), b.len());
    let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    let off = off.fold(0f32, f32::max);
    assert!(off < 1e-5, "{off}");
    let loud = a.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    assert!(loud > 0.001, "{loud}");

    // A raw song is its own raw song.
    let again = app.settings("raw.wav", app.raw(&quiet).await.body).await;
    assert_eq!(again.status, 200);
    app.get("/api/v1/songs/nobody/raw")
        .await
        .is_refusal(404, "not_found", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_is_given_in_every_format_with_its_settings() {
    let app = TestApp::ready().await;
    let song = app.take_of(json!({ "bpm": 92 })).await;
    let path = format!("/api/v1/songs/{}/audio", song["id"].as_str().unwrap());
    let own = app.get(&path).await;
    let disposition = own.header("content-disposition");
    assert!(
        disposition.contains("lofi piano 32 bit float.wav\""),
        "{disposition}"
    );
    for (format, media_type, named, extension) in [
        ("mp3", "audio/mpeg", "lofi piano.mp3\"", "mp3"),
        ("flac", "audio/flac", "lofi piano.flac\"", "flac"),
        ("wav", "audio/wav", "lofi piano.wav\"", "wav"),
        ("wav24", "audio/wav", "lofi piano 24 bit.wav\"", "wav"),
    ] {
        let other = app.get(&format!("{path}?format={format}&download=1")).await;
        assert_eq!(other.status, 200);
        assert_eq!(other.header("content-type"), media_type);
        let disposition = other.header("content-disposition");
        assert!(disposition.contains(named), "{disposition}");
        assert_ne!(other.body, own.body);
        let settings = app.settings(&format!("x.{extension}"), other.body).await;
        assert_eq!(settings.status, 200, "{format}");
        assert_eq!(settings.json()["params"]["bpm"], 92, "{format}");
    }
    let wav = app.get(&format!("{path}?format=wav")).await;
    let samples: Vec<f32> = hound::WavReader::new(&wav.body[..])
        .unwrap()
        .into_samples::<i16>()
        .map(|sample| f32::from(sample.unwrap()) / 32768.0)
        .collect();
    let exact = floats(&own.body);
    assert_eq!(samples.len(), exact.len());
    let off = exact.iter().zip(&samples).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0f32, f32::max) < 1.5 / 32768.0);
    // Its own format is its own file.
    assert_eq!(
        app.get(&format!("{path}?format=wav32")).await.body,
        own.body
    );
    app.get(&format!("{path}?format=ogg"))
        .await
        .is_refusal(400, "invalid_value", Some("format"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loudness_out_of_reach_and_out_of_range_is_told() {
    let app = TestApp::ready().await;
    let song = app.take_of(json!({ "target_lufs": -3 })).await;
    assert_eq!(song["params"]["target_lufs"], -5.0);
    let codes: Vec<&str> = song["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["code"].as_str())
        .collect();
    assert!(codes.contains(&"target_lufs_clamped"), "{codes:?}");
    let peak = song["report"]["true_peak"].as_f64().unwrap();
    assert!(peak < 0.8914, "{peak}");
    let job = song["job_id"].as_str().unwrap();
    let job = app.get(&format!("/api/v1/jobs/{job}")).await.json();
    let codes = job["notes"].to_string();
    assert!(codes.contains("loudness_limited"), "{codes}");
    app.post("/api/v1/jobs", json!({ "target_lufs": "loud" }))
        .await
        .is_refusal(400, "invalid_value", Some("target_lufs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_inside_a_file_are_found_whoever_renamed_it() {
    let app = TestApp::ready().await;
    for format in ["wav", "flac", "mp3"] {
        let song = app
            .take_of(json!({ "audio_format": format, "bpm": 92, "loras": [] }))
            .await;
        let id = song["id"].as_str().unwrap();
        let file = app.get(&format!("/api/v1/songs/{id}/audio")).await.body;
        let found = app.settings("holiday.txt", file).await;
        assert_eq!(found.status, 200, "{:?}", found.json());
        let found = found.json();
        assert_eq!(found["title"], song["title"], "{format}");
        assert_eq!(found["params"], song["params"], "{format}");
        assert_eq!(found["notes"], json!([]), "{format}");
        // The record as it is downloaded, and the parameters alone.
        for json in [&song, &song["params"]] {
            let found = app.settings("x.bin", json.to_string()).await.json();
            assert_eq!(found["params"], song["params"], "{format}");
        }
    }
    let list = app.get("/api/v1/uploads").await.json();
    assert_eq!(list["uploads"], json!([]), "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_settings_is_refused_with_what_it_is_good_for() {
    let app = TestApp::ready().await;
    for (bytes, code) in [
        ("no sound at all", "invalid_audio"),
        ("{\"name\": \"package\", \"version\": 1}", "no_settings"),
        ("{}", "no_settings"),
        ("{\"caption\": ", "invalid_json"),
        ("", "invalid_audio"),
    ] {
        app.settings("file.json", bytes)
            .await
            .is_refusal(400, code, Some("file"));
    }
    let partly = "{\"caption\": \"waltz\", \"bpm\": \"fast\", \"made_by\": \"me\"}";
    let found = app.settings("old.json", partly).await.json();
    assert_eq!(found["params"]["caption"], "waltz");
    let notes = found["notes"].to_string();
    assert!(
        notes.contains("field_not_understood") && notes.contains("unknown_field"),
        "{notes}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_going_until_it_is_stopped() {
    let app = TestApp::ready().await;
    let job = app
        .run(json!({ "caption": "x", "duration": 1, "batch_size": 1, "repeat": 1 }))
        .await;
    let next = job["next_job_id"].as_str().unwrap().to_owned();
    let stop = |body: Value| {
        let path = format!("/api/v1/jobs/{next}");
        let app = &app;
        async move { app.json(Method::PATCH, &path, body).await }
    };
    app.get(&format!("/api/v1/jobs/{next}/events")).await;
    let last = app.get(&format!("/api/v1/jobs/{next}")).await.json();
    assert_eq!(
        (&last["state"], &last["next_job_id"]),
        (&json!("done"), &Value::Null)
    );
    assert_ne!(last["seeds"], job["seeds"]);
    stop(json!({ "repeat": 2 }))
        .await
        .is_refusal(409, "conflict", None);
    for (body, field) in [
        (json!({ "repeat": -1 }), Some("repeat")),
        (json!({ "repeat": 100 }), Some("repeat")),
        (json!({ "state": "done" }), Some("state")),
    ] {
        stop(body).await.is_refusal(400, "invalid_value", field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_songs_come_in_one_file_and_a_search_narrows_it() {
    use std::io::{Cursor, Read};

    let app = TestApp::ready().await;
    app.get("/api/v1/songs.zip")
        .await
        .is_refusal(404, "not_found", None);
    let first = app.take_of(json!({})).await;
    app.take_of(json!({ "seed": 8 })).await;
    app.take_of(json!({ "caption": "loud/drums: \u{5e9}\u{5d9}\u{5e8}" }))
        .await;
    let answer = app.get("/api/v1/songs.zip").await;
    assert_eq!(answer.header("content-type"), "application/zip");
    assert!(answer.header("content-disposition").contains("attachment"));
    let mut archive = zip::ZipArchive::new(Cursor::new(answer.body)).unwrap();
    let mut names: Vec<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "lofi piano (2).json",
            "lofi piano (2).wav",
            "lofi piano.json",
            "lofi piano.wav",
            "loud drums \u{5e9}\u{5d9}\u{5e8}.json",
            "loud drums \u{5e9}\u{5d9}\u{5e8}.wav",
        ]
    );
    let mut bytes = |name: &str| {
        let mut bytes = Vec::new();
        archive
            .by_name(name)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    };
    // Newest first, so the first song of that title has the number.
    let sound = app
        .get(&format!(
            "/api/v1/songs/{}/audio",
            first["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(bytes("lofi piano (2).wav"), sound.body);
    let kept: Value = serde_json::from_slice(&bytes("lofi piano (2).json")).unwrap();
    assert_eq!(kept["seed"], 7);

    for (query, songs) in [
        ("query=drums", 1),
        ("limit=2", 2),
        ("offset=1", 2),
        ("limit=1&offset=2", 1),
        ("limit=9", 3),
    ] {
        let found = app.get(&format!("/api/v1/songs.zip?{query}")).await;
        let archive = zip::ZipArchive::new(Cursor::new(found.body)).unwrap();
        assert_eq!(archive.len(), 2 * songs, "{query}");
    }
    for none in ["limit=0", "offset=3"] {
        app.get(&format!("/api/v1/songs.zip?{none}"))
            .await
            .is_refusal(404, "not_found", None);
    }
}
