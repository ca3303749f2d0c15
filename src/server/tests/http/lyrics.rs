//! Timed lyrics and scores over HTTP.

use serde_json::{Value, json};

use super::{app::TestApp, sung};

const LYRICS: &str = "[Verse]\nSoft notes in the morning light\n\n[Chorus]\nMusic fills the air";

fn song(lyrics: &str) -> Value {
    json!({
        "caption": "lofi piano", "lyrics": lyrics, "duration": 8, "seed": 7, "audio_format": "wav",
        "batch_size": 1
    })
}

fn ask(kind: &str, song_id: &str) -> Value {
    json!({ "kind": kind, "song_id": song_id })
}

async fn with_sung() -> TestApp {
    let app = TestApp::new();
    sung::write(&app.checkpoints_dir());
    let body = json!({ "config_path": sung::NAME });
    let answer = app.post("/api/v1/service/initialize?wait=true", body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    assert_eq!(answer.json()["model"]["times_lyrics"], true);
    app
}

impl TestApp {
    async fn made(&self, params: Value) -> String {
        let job = self.run(params).await;
        assert_eq!(job["state"], "done", "{job}");
        job["song_ids"][0].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lyrics_are_timed_kept_and_sent_as_files() {
    let app = with_sung().await;
    let id = app.made(song(LYRICS)).await;
    let file = |kind: &str| format!("/api/v1/songs/{id}/lyrics.{kind}");
    app.get(&file("lrc"))
        .await
        .is_refusal(404, "not_timed", None);

    let job = app.run(ask("lyrics_timing", &id)).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["source_song_id"], id.as_str());
    let known = app.get(&format!("/api/v1/songs/{id}")).await.json();
    let lines = known["lyric_lines"].as_array().unwrap();
    let texts: Vec<&str> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    let wanted: Vec<&str> = LYRICS.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(texts, wanted);
    let mut before = 0.0;
    for line in lines {
        let (start, end) = (
            line["start_secs"].as_f64().unwrap(),
            line["end_secs"].as_f64().unwrap(),
        );
        assert!(before <= start && start <= end && end <= 8.0, "{lines:?}");
        before = start;
    }

    let lrc = app.get(&file("lrc")).await;
    assert_eq!(lrc.header("content-type"), "text/plain; charset=utf-8");
    let text = String::from_utf8(lrc.body.clone()).unwrap();
    assert_eq!(text.lines().count(), wanted.len());
    assert!(text.starts_with("[00:0"), "{text}");
    let vtt = app.get(&format!("{}?download=1", file("vtt"))).await;
    assert_eq!(vtt.header("content-type"), "text/vtt; charset=utf-8");
    assert!(vtt.body.starts_with(b"WEBVTT\n\n"));
    let named = vtt.header("content-disposition");
    assert!(
        named.starts_with("attachment; filename=\"lofi piano.vtt\""),
        "{named}"
    );
    let srt = app.get(&file("srt")).await;
    assert!(srt.body.starts_with(b"1\n00:00:0"));
    app.get(&file("txt"))
        .await
        .is_refusal(404, "not_found", None);

    // Listened to in the same way, it is found out alike.
    let scored = app.run(ask("score", &id)).await;
    assert_eq!(scored["state"], "done", "{scored}");
    let codes: Vec<&str> = scored["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["code"].as_str())
        .collect();
    assert_eq!(codes, ["score_without_lm"]);
    let again = app.get(&format!("/api/v1/songs/{id}")).await.json();
    assert_eq!(again["lyric_lines"], known["lyric_lines"]);
    let alignment = &again["scores"]["alignment"];
    for figure in ["lm_score", "dit_score"] {
        let value = alignment[figure].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{alignment}");
    }
    assert_eq!(again["scores"]["model"], sung::NAME);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_for_with_the_song_its_lyrics_are_timed_after_it() {
    let app = with_sung().await;
    let mut params = song(LYRICS);
    params["auto_lrc"] = true.into();
    let id = app.made(params).await;
    let jobs = app.get("/api/v1/jobs?limit=1").await.json();
    let next = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    app.get(&format!("/api/v1/jobs/{next}/events")).await;
    assert_eq!(jobs["jobs"][0]["kind"], "lyrics_timing");
    let song = app.get(&format!("/api/v1/songs/{id}")).await.json();
    assert_eq!(song["lyric_lines"].as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_timed_says_why() {
    let app = TestApp::ready().await;
    assert_eq!(
        app.get("/api/v1/status").await.json()["model"]["times_lyrics"],
        false,
        "the built-in model knows no words"
    );
    let id = app.made(song(LYRICS)).await;
    for kind in ["lyrics_timing", "score"] {
        let refused = app.post("/api/v1/jobs", ask(kind, &id)).await;
        refused.is_refusal(400, "unsupported", Some("kind"));
    }
    let silent = app.made(song("")).await;
    let refused = app
        .post("/api/v1/jobs", ask("lyrics_timing", &silent))
        .await;
    refused.is_refusal(400, "invalid_value", Some("lyrics"));
    let none = app.get(&format!("/api/v1/songs/{silent}/lyrics.lrc")).await;
    none.is_refusal(400, "invalid_value", Some("lyrics"));
    let nobody = app.post("/api/v1/jobs", json!({ "kind": "score" })).await;
    nobody.is_refusal(400, "invalid_value", Some("song_id"));
}
