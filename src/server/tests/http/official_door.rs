//! Who may call the official program's routes, and what they answer of themselves.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use super::{
    app::{Setup, TestApp},
    official::{data, multipart, raised},
    uploads::wav,
};
use acestep_server::auth::Credentials;

fn with_key() -> TestApp {
    TestApp::with(Setup {
        credentials: Credentials {
            api_key: Some("sk-1".to_owned()),
            ..Credentials::default()
        },
        ..Setup::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_but_health_asks_for_the_key() {
    let app = with_key();
    for path in [
        "/release_task",
        "/query_result",
        "/format_input",
        "/create_random_sample",
        "/v1/chat/completions",
    ] {
        let answer = app.post(path, json!({ "prompt": "x" })).await;
        raised(&answer, 401, "API key");
        let wrong = app.post(path, json!({ "ai_token": "sk-2" })).await;
        raised(&wrong, 401, "API key");
    }
    for path in [
        "/v1/models",
        "/v1/stats",
        "/v1/audio?path=x.mp3",
        "/v1/nothing",
    ] {
        let answer = app.get(path).await;
        raised(&answer, 401, "API key");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
    }
    let health = app.get("/health").await;
    assert_eq!(health.header("set-cookie"), "");
    let health = data(&health);
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("ok"), &json!("1.0"))
    );

    let keyed = [("authorization", "sk-1")];
    let stats = app.call(Method::GET, "/v1/stats", &keyed).await;
    assert_eq!(stats.status, 200);
    let audio = app.get("/v1/audio?path=x.mp3&token=sk-1").await;
    raised(&audio, 404, "song");
    let page = app.get("/").await;
    let cookie = page.header("set-cookie").split(';').next().unwrap();
    let audio = app
        .call(Method::GET, "/v1/audio?path=x.mp3", &[("cookie", cookie)])
        .await;
    raised(&audio, 404, "song");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_may_stand_in_any_body() {
    let app = with_key();
    let path = "/create_random_sample";
    data(&app.post(path, json!({ "ai_token": "sk-1" })).await);
    let form = |body: &'static str| {
        Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap()
    };
    data(&app.send(form("ai_token=sk-1")).await);
    raised(&app.send(form("ai_token=sk-2")).await, 401, "API key");
    data(
        &app.send(multipart(path, &[("ai_token", None, b"sk-1")]))
            .await,
    );
    raised(&app.send(multipart(path, &[])).await, 401, "API key");

    // Nothing is taken in of whoever has not shown it.
    let sound = wav(1.0, 0.5);
    let file = ("src_audio", Some("a.wav"), sound.as_slice());
    let key = ("ai_token", None, &b"sk-1"[..]);
    let late = app.send(multipart("/release_task", &[file, key])).await;
    raised(&late, 401, "API key");
    let first = app.send(multipart("/release_task", &[key, file])).await;
    raised(&first, 503, "loaded");
    let uploads = app.get("/api/v1/uploads?token=sk-1").await.json();
    assert_eq!(uploads["uploads"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_answer_of_themselves_and_refuse_in_their_words() {
    let app = TestApp::new();
    assert_eq!(
        app.get("/v1/models").await.json(),
        json!({ "object": "list", "data": [] })
    );
    raised(
        &app.post("/release_task", json!({ "prompt": "x" })).await,
        503,
        "loaded",
    );
    let stats = data(&app.get("/v1/stats").await);
    let none = json!({
        "jobs": { "total": 0, "queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0 },
        "queue_size": 0, "queue_maxsize": 5, "avg_job_seconds": 5.0
    });
    assert_eq!(stats, none);

    app.load().await;
    let models = app.get("/v1/models").await.json();
    let model = &models["data"][0];
    assert_eq!(model["id"], "acestep/acestep-v15-demo");
    assert_eq!(model["input_modalities"], json!(["text", "audio"]));
    let song = app.song().await;
    let stats = data(&app.get("/v1/stats").await);
    assert_eq!(stats["jobs"]["succeeded"], 1);
    assert!(stats["avg_job_seconds"].as_f64().unwrap() > 0.0);

    for (asked, keys) in [
        (
            json!({}),
            &["description", "instrumental", "vocal_language"][..],
        ),
        (json!({ "sample_type": "simple_mode" }), &["description"]),
        (
            json!({ "sample_type": "custom_mode" }),
            &[
                "think",
                "caption",
                "lyrics",
                "bpm",
                "duration",
                "keyscale",
                "language",
                "timesignature",
            ],
        ),
    ] {
        let sample = data(&app.post("/create_random_sample", asked).await);
        for key in keys {
            assert!(!sample[*key].is_null(), "{key} in {sample}");
        }
    }

    for (path, status, part) in [
        ("/v1/audio?path=/etc/passwd".to_owned(), 403, "library"),
        ("/v1/audio?path=..%2Flibrary.db".to_owned(), 403, "library"),
        ("/v1/audio".to_owned(), 403, "library"),
        (format!("/v1/audio?path={song}.ogg"), 404, "mp3"),
        ("/v1/audio?path=018f.mp3".to_owned(), 404, "song"),
        ("/v1/nothing".to_owned(), 404, "/v1/nothing"),
        ("/release_task".to_owned(), 405, "GET"),
    ] {
        raised(&app.get(&path).await, status, part);
    }
    let path = format!("/v1/audio?path={song}.wav");
    let part = app
        .call(Method::GET, &path, &[("range", "bytes=0-3")])
        .await;
    assert_eq!(part.body, b"RIFF");
    let other = app.get(&format!("/v1/audio?path={song}.flac")).await;
    assert!(other.body.starts_with(b"fLaC"));
    let text = Request::post("/release_task")
        .header("content-type", "text/plain")
        .body(Body::from("prompt=x"))
        .unwrap();
    raised(&app.send(text).await, 415, "JSON");
    let foreign = [("origin", "http://evil.example")];
    raised(
        &app.call(Method::POST, "/release_task", &foreign).await,
        403,
        "another site",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_429() {
    let app = TestApp::with(Setup {
        queue_limit: Some(1),
        ..Setup::default()
    });
    app.load().await;
    let long = json!({ "prompt": "x", "duration": 180 });
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(app.post("/release_task", &long).await);
    }
    let full = answers.iter().find(|answer| answer.status == 429).unwrap();
    raised(full, 429, "full");
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        let body: Value = answer.json();
        let id = body["data"]["task_id"].as_str().unwrap();
        app.delete(&format!("/api/v1/jobs/{id}")).await;
    }
}
