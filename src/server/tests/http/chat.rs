//! The chat of the official program: a song as the answer to a message.

use std::time::Duration;

use acestep_server::auth::Credentials;
use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{
    app::{Setup, TestApp},
    official::raised,
    uploads::wav,
};

const PATH: &str = "/v1/chat/completions";

async fn ready(setup: Setup) -> TestApp {
    let app = TestApp::with(setup);
    app.load().await;
    app
}

fn said(content: impl Into<Value>, more: Value) -> Value {
    let mut body = json!({
        "model": "acestep/acestep-v15-demo",
        "messages": [
            { "role": "system", "content": "Sing." },
            { "role": "user", "content": content.into() },
        ],
        "audio_config": { "duration": 1, "format": "wav" },
    });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

/// The bytes of a data URL.
fn heard(part: &Value) -> Vec<u8> {
    let url = part["audio_url"]["url"].as_str().unwrap();
    let data = url.strip_prefix("data:audio/wav;base64,").unwrap();
    decode(data)
}

fn decode(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let value = letters.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 6) | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

fn encode(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1))
        .collect();
    let mut text: String = bits
        .chunks(6)
        .map(|six| {
            let value = (0..6).fold(0, |value, at| {
                (value << 1) | six.get(at).copied().unwrap_or(0)
            });
            char::from(letters[usize::from(value)])
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_holds_every_song_and_its_words() {
    let app = ready(Setup {
        unlimited: true,
        ..Setup::default()
    })
    .await;
    let text = "<prompt>slow waltz</prompt><lyrics>[Verse]\nla la</lyrics>";
    let body = said(text, json!({ "batch_size": 2, "seed": "5,6" }));
    let answer = app.post(PATH, body).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    assert_eq!(body["object"], "chat.completion");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(body["model"], "acestep/acestep-v15-demo");
    assert_eq!(body["usage"]["total_tokens"], 0);
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    let content = choice["message"]["content"].as_str().unwrap();
    for part in [
        "**Caption:** slow waltz",
        "## Lyrics",
        "[Verse]\nla la",
        "1.0s",
    ] {
        assert!(content.contains(part), "{part} in {content}");
    }
    let audio = choice["message"]["audio"].as_array().unwrap();
    assert_eq!(audio.len(), 2, "all of them");
    assert!(
        audio
            .iter()
            .all(|part| part["type"] == "audio_url" && heard(part).starts_with(b"RIFF"))
    );
    assert_ne!(audio[0], audio[1]);
    let songs = app.get("/api/v1/songs").await.json();
    let mut seeds: Vec<u64> = songs["songs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|song| song["seed"].as_u64().unwrap())
        .collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_who_speaks_then_words_sound_and_the_end() {
    let app = ready(Setup::default()).await;
    // Without a language model a description is the caption, and that is said.
    let body = said("a waltz for two pianos", json!({ "stream": true }));
    let answer = app.post(PATH, body).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = String::from_utf8(answer.body).unwrap();
    let events: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let delta = |chunk: &Value| chunk["choices"][0]["delta"].clone();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(delta(&chunks[0])["role"], "assistant");
    let [.., words, sound, end] = chunks.as_slice() else {
        panic!("{text}");
    };
    let words = delta(words)["content"].as_str().unwrap().to_owned();
    assert!(
        words.contains("waltz for two") && words.contains("No language model"),
        "{words}"
    );
    assert!(heard(&delta(sound)["audio"][0]).starts_with(b"RIFF"));
    assert_eq!(end["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_a_message_are_source_and_reference() {
    let app = ready(Setup::default()).await;
    let sound = json!({ "type": "input_audio", "input_audio": { "data": encode(&wav(2.0, 0.5)), "format": "wav" } });
    let text = json!({ "type": "text", "text": "techno" });
    let cover = said(json!([text, sound, sound]), json!({ "task_type": "cover" }));
    let answer = app.post(PATH, cover).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let songs = app.get("/api/v1/songs").await.json();
    let made_from = &songs["songs"][0]["made_from"];
    assert_eq!(
        (&made_from[0]["field"], &made_from[1]["field"]),
        (&json!("src_audio"), &json!("reference_audio"))
    );
    let config =
        json!({ "audio_config": { "duration": 1, "format": "wav", "instrumental": true } });
    let text = json!({ "type": "text", "text": "<prompt>techno</prompt>" });
    let like = said(json!([text, sound]), config);
    let answer = app.post(PATH, like).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let song = app.get("/api/v1/songs").await.json()["songs"][0].clone();
    assert_eq!(song["made_from"][0]["field"], "reference_audio");
    assert_eq!(song["params"]["lyrics"], "[inst]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_some_megabytes_may_come_with_the_key_in_the_body() {
    let app = TestApp::with(Setup {
        credentials: Credentials {
            api_key: Some("sk-1".to_owned()),
            ..Credentials::default()
        },
        ..Setup::default()
    });
    let recording = encode(&wav(40.0, 0.5));
    assert!(recording.len() > 2 << 20, "{}", recording.len());
    let sound =
        json!({ "type": "input_audio", "input_audio": { "data": recording, "format": "wav" } });
    let text = json!({ "type": "text", "text": "<prompt>techno</prompt>" });
    let mut body = said(json!([text, sound]), json!({ "ai_token": "sk-1" }));
    raised(&app.post(PATH, &body).await, 503, "loaded");
    body["ai_token"] = json!("sk-2");
    raised(&app.post(PATH, &body).await, 401, "API key");
    body["ai_token"] = json!("sk-1");
    body["padding"] = json!("x".repeat(48 << 20));
    raised(&app.post(PATH, &body).await, 413, "48 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_chat_cannot_answer_is_said_with_its_status() {
    let app = TestApp::new();
    raised(
        &app.post(PATH, said("a waltz", json!({}))).await,
        503,
        "loaded",
    );
    app.load().await;
    let part = |part: Value| said(json!([part]), json!({}));
    for (body, status, what) in [
        (json!("x"), 400, "chat"),
        (json!({ "model": "x" }), 400, "messages"),
        (json!({ "messages": [] }), 400, "model"),
        (json!({ "model": "x", "messages": [] }), 400, "user"),
        (said("  ", json!({})), 400, "user"),
        (said("x", json!({ "seed": "y" })), 400, "seed"),
        (said("x", json!({ "task_type": "cover" })), 400, "source"),
        (
            part(json!({ "type": "image_url", "image_url": {} })),
            400,
            "text",
        ),
        (
            part(json!({ "type": "input_audio", "input_audio": { "data": "*" } })),
            400,
            "base64",
        ),
        (
            part(json!({ "type": "input_audio", "input_audio": { "data": "Zm9v" } })),
            400,
            "audio",
        ),
        (
            said("x", json!({ "sample_mode": true })),
            503,
            "language model",
        ),
    ] {
        raised(&app.post(PATH, &body).await, status, what);
    }
    let form = Request::post(PATH)
        .header("content-type", "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    raised(&app.send(form).await, 415, "JSON");
    assert_eq!(
        app.get("/api/v1/uploads").await.json()["uploads"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_waits_too_long_is_504_and_its_job_goes_on() {
    let app = ready(Setup {
        generation_timeout: Some(Duration::from_millis(1)),
        ..Setup::default()
    })
    .await;
    let config = json!({ "audio_config": { "duration": 180 } });
    let prompt = "<prompt>x</prompt>";
    raised(
        &app.post(PATH, said(prompt, config.clone())).await,
        504,
        "goes on",
    );
    let jobs = app.get("/api/v1/jobs").await.json();
    let job = &jobs["jobs"][0];
    assert!(
        ["queued", "running"].contains(&job["state"].as_str().unwrap()),
        "{job}"
    );

    let mut streamed = said(prompt, config);
    streamed["stream"] = json!(true);
    let answer = app.post(PATH, streamed).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.contains("\"finish_reason\":\"error\"") && text.contains("goes on"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    for job in app.get("/api/v1/jobs").await.json()["jobs"]
        .as_array()
        .unwrap()
    {
        app.delete(&format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_signs_of_life_while_the_song_is_made() {
    let app = ready(Setup {
        unlimited: true,
        generation_timeout: Some(Duration::from_millis(2_500)),
        ..Setup::default()
    })
    .await;
    let long = json!({
        "stream": true, "batch_size": 8, "audio_config": { "duration": 600 }
    });
    let answer = app.post(PATH, said("<prompt>x</prompt>", long)).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("\"delta\":{\"content\":\".\"}"), "{text}");
    for job in app.get("/api/v1/jobs").await.json()["jobs"]
        .as_array()
        .unwrap()
    {
        app.delete(&format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()))
            .await;
    }
}
