//! Memory that cannot be had while a job runs: the job fails and says why, the server goes on.
//! Beside the engine's own test of every place, this one sees what is left of the program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod app;
#[path = "../../engine/tests/support/refusing.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod refusing;

use std::collections::BTreeSet;

use app::TestApp;
use serde_json::json;

#[global_allocator]
static REFUSING: refusing::Refusing = refusing::Refusing;

/// Jobs that run after one another.
const STRIDE: usize = 1;

#[tokio::test]
async fn a_job_without_memory_fails_and_the_server_goes_on() {
    let app = TestApp::new();
    let lm = json!({ "init_llm": true });
    let answer = app.post("/api/v1/service/initialize?wait=true", lm).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let song = json!({
        "caption": "lofi piano", "duration": 2, "inference_steps": 2, "seed": 7, "batch_size": 1,
        "audio_format": "flac"
    });
    let done = app.run(song.clone()).await;
    assert_eq!(done["state"], "done", "{done}");
    let mut messages = BTreeSet::new();
    let mut smaller_songs = 0;
    for n in (1..).step_by(STRIDE) {
        refusing::refuse(n);
        let job = app.run(song.clone()).await;
        if !refusing::refused() {
            assert_eq!(job["state"], "done", "{job}");
            break;
        }
        if job["state"] == "done" {
            // What does not fit whole is decoded in smaller pieces, and that is said.
            let notes = job["notes"].as_array().unwrap();
            let smaller = notes.iter().any(|note| note["code"] == "tile_size_lowered");
            assert!(smaller, "{n}: {job}");
            smaller_songs += 1;
            continue;
        }
        assert_eq!(job["state"], "failed", "{n}: {job}");
        let error = &job["error"];
        assert_eq!(error["code"], "out_of_memory", "{n}: {job}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
        messages.insert(error["message"].as_str().unwrap().to_owned());
        assert_eq!(job["song_ids"], json!([]));
        let status = app.get("/api/v1/status").await.json();
        assert_eq!(
            (&status["state"], &status["lm_loaded"]),
            (&json!("ready"), &json!(true))
        );
    }
    let told = |stage: &str| messages.iter().any(|message| message.contains(stage));
    for stage in ["language model", "preparation", "diffusion", "decod"] {
        assert!(told(stage), "{stage}: {messages:?}");
    }
    assert!(smaller_songs > 0, "decoding goes on in smaller pieces");
    let again = app.run(song).await;
    assert_eq!(again["state"], "done", "{again}");
}

#[tokio::test]
async fn a_model_without_memory_is_not_loaded_and_the_next_try_is() {
    let app = TestApp::new();
    refusing::refuse(100);
    let answer = app.post("/api/v1/service/initialize?wait=true", "").await;
    assert!(refusing::refused());
    let error = answer.json();
    assert_eq!(error["code"], "out_of_memory", "{error}");
    assert_eq!(app.get("/api/v1/status").await.json()["state"], "failed");
    app.load().await;
    app.song().await;
}
