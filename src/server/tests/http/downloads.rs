//! Downloads over HTTP: what can be asked for, and every way to ask wrongly. That files arrive is tested
//! in the studio and in the browser, against a hub on this machine.

use axum::http::Method;
use serde_json::{Value, json};

use super::app::{Setup, TestApp};

const PATH: &str = "/api/v1/downloads";

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_downloaded_is_listed_with_its_size() {
    let app = TestApp::new();
    let list = app.get(PATH).await.json();
    let names: Vec<&str> = list["downloadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|release| release["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"acestep-v15-turbo") && names.contains(&"acestep-5Hz-lm-4B"));
    assert!(
        !names.contains(&"vae"),
        "a part comes with a model: {names:?}"
    );
    assert!(list["downloadable"][0]["bytes"].as_u64().unwrap() > 6_000_000_000);
    assert_eq!(list["downloads"], json!([]));
    assert!(list["checkpoints_free_bytes"].as_u64().unwrap() > 0);
    let status = app.get("/api/v1/status").await.json();
    assert_eq!(status["downloadable"], list["downloadable"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_makes_no_sense_is_refused_by_name() {
    let app = TestApp::new();
    for (body, code, field) in [
        ("", "invalid_json", None),
        ("[]", "invalid_json", None),
        ("{}", "invalid_value", Some("name")),
        ("{\"name\": 5}", "invalid_value", Some("name")),
        ("{\"name\": \"vae\"}", "invalid_value", Some("name")),
        ("{\"name\": \"../x\"}", "invalid_value", Some("name")),
        (
            "{\"name\": \"acestep-v15-turbo\", \"source\": \"ftp\"}",
            "invalid_value",
            Some("source"),
        ),
        (
            "{\"name\": \"acestep-v15-turbo\", \"folder\": \"/etc\"}",
            "invalid_value",
            Some("folder"),
        ),
    ] {
        app.post(PATH, body).await.is_refusal(400, code, field);
    }
    let one = format!("{PATH}/acestep-v15-base");
    let paused = |value: Value| app.json(Method::PATCH, &one, json!({ "paused": value }));
    paused(json!(true)).await.is_refusal(404, "not_found", None);
    paused(json!("yes"))
        .await
        .is_refusal(400, "invalid_value", Some("paused"));
    app.delete(&one).await.is_refusal(404, "not_found", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_service_mode_nobody_downloads() {
    let app = TestApp::with(Setup {
        service_mode: true,
        ..Setup::default()
    });
    assert_eq!(app.get(PATH).await.json()["downloadable"], json!([]));
    app.post(PATH, json!({ "name": "acestep-v15-turbo" }))
        .await
        .is_refusal(409, "conflict", None);
}
