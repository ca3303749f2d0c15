//! What a run would need, told before it is asked for.

use acestep_domain::service::ServiceConfig;
use serde_json::{Value, json};

use super::app::{Answer, Setup, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_planned_without_queueing_anything() {
    let app = TestApp::ready().await;
    let peak = |answer: &Answer| {
        let plan = answer.json();
        assert_eq!(plan["fits"], true, "{plan}");
        plan["expected_peak_bytes"]["host"].as_u64().unwrap()
    };
    let short = json!({ "caption": "a short loop", "duration": 5 });
    let short = app.post("/api/v1/plan", &short).await;
    let long = json!({ "caption": "a long loop", "duration": 120 });
    let long = app.post("/api/v1/plan", &long).await;
    assert_eq!(short.status, 200);
    assert!(peak(&long) > peak(&short));
    assert_eq!(app.get("/api/v1/jobs").await.json()["jobs"], json!([]));
    app.post("/api/v1/plan", json!({ "duration": "inf" }))
        .await
        .is_refusal(400, "invalid_value", Some("duration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_load_the_plan_is_of_the_model_that_would_be_loaded() {
    let app = TestApp::new();
    let song = json!({ "caption": "a loop", "duration": 30, "batch_size": 1 });
    let answer = app.post("/api/v1/plan", &song).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let ahead = answer.json();
    assert_eq!(ahead["fits"], true, "{ahead}");
    let codes = |plan: &Value| {
        let notes = plan["notes"].as_array().unwrap().iter();
        notes
            .map(|note| note["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&ahead), ["planned_before_load"]);
    assert_eq!(ahead["notes"][0]["figures"]["model"], "acestep-v15-demo");
    assert_eq!(
        app.get("/api/v1/status").await.json()["state"],
        "not_initialized"
    );
    app.post("/api/v1/plan", json!({ "duration": "inf" }))
        .await
        .is_refusal(400, "invalid_value", Some("duration"));
    let words = json!({ "kind": "sample", "caption": "x" });
    app.post("/api/v1/plan", words)
        .await
        .is_refusal(503, "not_ready", Some("kind"));

    app.load().await;
    let loaded = app.post("/api/v1/plan", &song).await.json();
    assert_eq!(codes(&loaded), [""; 0]);
    for part in [
        "expected_peak_bytes",
        "resident",
        "moved",
        "vae_tile_frames",
    ] {
        assert_eq!(loaded[part], ahead[part], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_before_a_load_follows_what_is_asked_of_the_service_and_says_why_there_is_none() {
    let asking = |config_path: Option<&str>, init_llm: Option<bool>| {
        TestApp::with(Setup {
            requested: ServiceConfig {
                config_path: config_path.map(str::to_owned),
                init_llm,
                ..ServiceConfig::default()
            },
            ..Setup::default()
        })
    };
    let song = json!({ "caption": "a loop", "duration": 30, "batch_size": 1 });
    let with_lm = asking(None, Some(true));
    let plan = with_lm.post("/api/v1/plan", &song).await.json();
    let stages = plan["stages"].as_array().unwrap();
    let of_lm = stages
        .iter()
        .find(|stage| stage["stage"] == "language_model");
    assert!(of_lm.is_some(), "{plan}");
    let names = plan["notes"][0]["figures"]["model"].as_str().unwrap();
    assert_eq!(names, "acestep-v15-demo and acestep-5Hz-lm-demo");

    let missing = asking(Some("acestep-v15-nowhere"), None);
    let answer = missing.post("/api/v1/plan", &song).await;
    answer.is_refusal(503, "not_ready", Some("config_path"));
    let message = answer.json()["message"].to_string();
    assert!(message.contains("acestep-v15-nowhere"), "{message}");
}
