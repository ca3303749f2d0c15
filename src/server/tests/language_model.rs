//! The language model through the API, on the built-in models.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod app;

use app::TestApp;
use serde_json::json;

async fn with_lm() -> TestApp {
    let app = TestApp::new();
    let body = json!({ "init_llm": true });
    let answer = app.post("/api/v1/service/initialize?wait=true", body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    app
}

#[tokio::test]
async fn it_is_loaded_exchanged_and_given_up_without_a_restart() {
    let app = with_lm().await;
    let status = app.get("/api/v1/status").await.json();
    assert_eq!(status["lm_loaded"], true);
    assert_eq!(status["lm"]["name"], "acestep-5Hz-lm-demo");
    assert_eq!(status["lm"]["built_in"], true);
    assert_eq!(
        status["lm"]["has_codes"], false,
        "the built-in model knows none"
    );
    assert!(
        status["lms"]
            .as_array()
            .unwrap()
            .iter()
            .any(|lm| lm["built_in"] == true
                && lm["installed"] == true
                && lm["within_tier"] == true)
    );
    let off = app
        .post(
            "/api/v1/service/initialize?wait=true",
            json!({ "init_llm": false }),
        )
        .await
        .json();
    assert_eq!(
        (&off["lm_loaded"], &off["state"]),
        (&json!(false), &json!("ready"))
    );
    let missing = json!({ "lm_model_path": "acestep-5Hz-lm-9B" });
    let answer = app
        .post("/api/v1/service/initialize?wait=true", missing)
        .await;
    answer.is_refusal(400, "checkpoint", Some("lm_model_path"));
    let status = app.get("/api/v1/status").await.json();
    assert!(status["model"].is_object(), "the main model stays");
}

#[tokio::test]
async fn words_are_jobs_like_songs() {
    let app = with_lm().await;
    let format = app
        .run(json!({ "kind": "format", "caption": "lofi piano", "bpm": 71, "seed": 4 }))
        .await;
    assert_eq!(format["state"], "done", "{format}");
    assert_eq!(format["kind"], "format");
    assert_eq!(format["plan"]["bpm"], 71, "the user's value stands");
    assert!(
        format["plan"]["caption"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(format["song_ids"], json!([]));

    let sample = json!({
        "kind": "sample", "caption": "a slow lofi piano", "then_generate": true, "seed": 4,
        "duration": 10, "batch_size": 1, "audio_format": "wav"
    });
    let sample = app.run(sample).await;
    assert_eq!(sample["state"], "done", "{sample}");
    let next = sample["next_job_id"].as_str().unwrap();
    app.get(&format!("/api/v1/jobs/{next}/events")).await;
    let songs = app.get(&format!("/api/v1/jobs/{next}")).await.json();
    assert_eq!(
        (&songs["state"], &songs["kind"]),
        (&json!("done"), &json!("generate"))
    );
    assert_eq!(songs["params"]["caption"], sample["plan"]["caption"]);
    let id = songs["song_ids"][0].as_str().unwrap();
    let song = app.get(&format!("/api/v1/songs/{id}")).await.json();
    assert!((song["duration_secs"].as_f64().unwrap() - 10.0).abs() < 0.04);

    let heard = json!({ "kind": "encode", "song_id": id });
    let refused = app.post("/api/v1/jobs", heard).await;
    refused.is_refusal(400, "unsupported", Some("song_id"));
}

#[tokio::test]
async fn thinking_fills_what_was_left_open_and_the_events_tell_of_it() {
    let app = with_lm().await;
    let asked = json!({
        "caption": "house with a warm bass", "bpm": 99, "thinking": true, "seed": 11,
        "batch_size": 1, "audio_format": "wav"
    });
    let job = app.post("/api/v1/jobs", asked).await.json();
    let id = job["id"].as_str().unwrap();
    assert_eq!(job["params"]["duration"], -1.0, "left to the plan");
    let events = app.get(&format!("/api/v1/jobs/{id}/events")).await;
    let text = String::from_utf8(events.body).unwrap();
    assert!(
        text.contains("event: plan") && text.contains("\"language_model\""),
        "{text}"
    );
    let job = app.get(&format!("/api/v1/jobs/{id}")).await.json();
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["plan"]["bpm"], 99);
    let planned = job["plan"]["duration_secs"].as_f64().unwrap();
    let song = job["song_ids"][0].as_str().unwrap();
    let song = app.get(&format!("/api/v1/songs/{song}")).await.json();
    assert!((song["duration_secs"].as_f64().unwrap() - planned).abs() < 0.04);
    assert_eq!(song["plan"], job["plan"]);
    assert_eq!(song["provenance"]["lm"], "acestep-5Hz-lm-demo");
    assert_eq!(
        song["params"]["keyscale"], "",
        "what was asked stays what was asked"
    );
    let codes: Vec<&str> = job["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["code"].as_str())
        .collect();
    assert!(codes.contains(&"thinking_without_codes"), "{codes:?}");
}

#[tokio::test]
async fn without_one_words_are_refused_and_wrong_kinds_are_named() {
    let app = TestApp::ready().await;
    for kind in ["format", "sample", "understand"] {
        let answer = app
            .post("/api/v1/jobs", json!({ "kind": kind, "caption": "x" }))
            .await;
        answer.is_refusal(503, "not_ready", Some("kind"));
    }
    let answer = app.post("/api/v1/jobs", json!({ "kind": "remix" })).await;
    answer.is_refusal(400, "invalid_value", Some("kind"));
    let codes = json!({ "caption": "x", "audio_codes": "<|audio_code_1|>" });
    let answer = app.post("/api/v1/jobs", codes).await;
    answer.is_refusal(400, "unsupported", Some("audio_codes"));
}

#[tokio::test]
async fn a_plan_tells_memory_and_time_and_learns_from_runs() {
    let app = with_lm().await;
    let song = json!({
        "caption": "lofi piano", "duration": 4, "inference_steps": 2, "seed": 7, "batch_size": 1,
        "audio_format": "wav"
    });
    let before = app.post("/api/v1/plan", song.clone()).await.json();
    assert_eq!(before["fits"], true, "{before}");
    assert_eq!(before["time"]["measured"], false, "nothing ran yet");
    let total = before["time"]["total"].as_f64().unwrap();
    let parts = ["language_model", "prepare", "diffusion", "decode", "save"];
    let sum: f64 = parts
        .iter()
        .map(|stage| before["time"][*stage].as_f64().unwrap())
        .sum();
    assert!(total > 0.0 && (sum - total).abs() < 1e-6, "{before}");

    assert_eq!(app.run(song.clone()).await["state"], "done");
    let after = app.post("/api/v1/plan", song.clone()).await.json();
    assert_eq!(after["time"]["measured"], true, "{after}");
    let twice =
        json!({ "duration": 8, "caption": "lofi piano", "inference_steps": 2, "batch_size": 1 });
    let twice = app.post("/api/v1/plan", twice).await.json();
    let of = |plan: &serde_json::Value| plan["time"]["diffusion"].as_f64().unwrap();
    assert!((of(&twice) - 2.0 * of(&after)).abs() < 1e-6);

    // Another program on the same folder knows it.
    let kept = app.songs_dir().join("paces.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains("acestep-v15-demo"), "{kept}");
}
