//! The API over the real router and the bundled model: every endpoint, and every way to ask wrongly.

#![expect(clippy::unwrap_used, reason = "a test that gets no answer fails")]

#[path = "http/access.rs"]
mod access;
#[path = "support/app.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod app;
#[path = "http/chat.rs"]
mod chat;
#[path = "http/downloads.rs"]
mod downloads;
#[path = "http/lyrics.rs"]
mod lyrics;
#[path = "http/official.rs"]
mod official;
#[path = "http/official_door.rs"]
mod official_door;
#[path = "http/official_words.rs"]
mod official_words;
#[path = "http/plans.rs"]
mod plans;
#[path = "http/queries.rs"]
mod queries;
#[path = "support/sung.rs"]
mod sung;
#[path = "http/takes.rs"]
mod takes;
#[path = "http/uploads.rs"]
mod uploads;

use acestep_server::auth::Credentials;
use app::{Setup, TestApp};
use axum::{
    body::Body,
    http::{Method, Request},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_what_a_client_needs() {
    let app = TestApp::new();
    let status = app.get("/api/v1/status").await;
    assert_eq!(status.status, 200);
    assert_eq!(status.header("cache-control"), "no-store");
    let status = status.json();
    assert_eq!(status["state"], "not_initialized");
    assert_eq!(status["tier"], "tier1");
    assert_eq!(status["limits"]["max_duration_secs"], 180);
    let models = app.get("/api/v1/models").await.json();
    assert_eq!(models["models"][0]["name"], "acestep-v15-demo");
    assert!(models["lms"].as_array().is_some_and(|lms| lms.len() >= 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_loads_and_says_why_it_does_not() {
    let app = TestApp::new();
    let path = "/api/v1/service/initialize";
    app.post("/api/v1/jobs", json!({ "caption": "x" }))
        .await
        .is_refusal(503, "not_ready", None);
    for (body, code, field) in [
        ("{", "invalid_json", None),
        ("[]", "invalid_json", None),
        ("{\"device\": \"tpu\"}", "invalid_value", Some("device")),
        ("{\"compile\": 3}", "invalid_value", Some("compile")),
        ("{\"colour\": 3}", "invalid_value", Some("colour")),
    ] {
        app.post(path, body).await.is_refusal(400, code, field);
    }
    let missing = json!({ "config_path": "acestep-v15-nowhere" });
    app.post(&format!("{path}?wait=true"), missing)
        .await
        .is_refusal(400, "checkpoint", Some("config_path"));
    assert_eq!(app.get("/api/v1/status").await.json()["state"], "failed");

    let ready = app
        .post(
            &format!("{path}?wait"),
            json!({ "use_flash_attention": false }),
        )
        .await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["state"], "ready");
    assert_eq!(ready.json()["model"]["name"], "acestep-v15-demo");
    assert_eq!(ready.json()["resolved"]["use_flash_attention"], false);
    app.post(&format!("{path}?wait=perhaps"), "")
        .await
        .is_refusal(400, "invalid_value", Some("wait"));
    // Nothing is being loaded, so there is nothing to take back: what is loaded stays.
    assert_eq!(app.delete(path).await.json()["state"], "ready");
    assert_eq!(app.post(path, "").await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_becomes_songs_and_its_notes_come_along() {
    let app = TestApp::ready().await;
    let asked = json!({
        "caption": "lofi piano", "duration": 2, "seed": "7", "batch_size": 3, "audio_format": "wav"
    });
    let answer = app.post("/api/v1/jobs", &asked).await;
    assert_eq!(answer.status, 202);
    let job = answer.json();
    let id = job["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{id}"));
    assert_eq!(job["notes"][0]["code"], "batch_size_clamped");
    assert_eq!(job["seeds"], json!([7]));

    let log = app.get(&format!("/api/v1/jobs/{id}/events")).await;
    assert_eq!(log.header("content-type"), "text/event-stream");
    let events = events(&log.body);
    let numbers: Vec<u64> = events.iter().map(|(id, ..)| *id).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let (_, name, last) = events.last().unwrap();
    assert_eq!((name.as_str(), &last["state"]), ("state", &json!("done")));
    for (id, name, event) in &events {
        assert_eq!(
            (event["seq"].as_u64(), event["type"].as_str()),
            (Some(*id), Some(name.as_str()))
        );
    }

    let done = app.get(&format!("/api/v1/jobs/{id}")).await.json();
    assert_eq!(done["state"], "done");
    let song = done["song_ids"][0].as_str().unwrap();
    let song = app.get(&format!("/api/v1/songs/{song}")).await.json();
    assert_eq!(
        (song["seed"].as_u64(), song["duration_secs"].as_f64()),
        (Some(7), Some(2.0))
    );
    let jobs = app.get("/api/v1/jobs?limit=1").await.json();
    assert_eq!(jobs["jobs"][0]["id"], id);

    // Cancelled too late: it stays what it is.
    let late = app.delete(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(
        (late.status.as_u16(), &late.json()["state"]),
        (200, &json!("done"))
    );
    app.post(&format!("/api/v1/jobs/{id}/rerun"), "")
        .await
        .is_refusal(409, "conflict", None);
}

/// Number, name and data of each event.
fn events(body: &[u8]) -> Vec<(u64, String, Value)> {
    String::from_utf8_lossy(body)
        .split("\n\n")
        .filter(|block| block.contains("data:"))
        .map(|block| {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                    .unwrap_or_default()
                    .to_owned()
            };
            (
                field("id").parse().unwrap(),
                field("event"),
                serde_json::from_str(&field("data")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_after_the_last_event_seen() {
    let app = TestApp::ready().await;
    let job = app
        .run(json!({ "caption": "x", "duration": 1, "batch_size": 1 }))
        .await;
    let id = job["id"].as_str().unwrap();
    let path = format!("/api/v1/jobs/{id}/events");
    let all = events(&app.get(&path).await.body);
    let (third, last) = (all[2].0, all.last().unwrap().0);
    let resumed = events(&app.get(&format!("{path}?after={third}")).await.body);
    assert_eq!(resumed, all[3..]);
    // A browser sends the header when it comes back, and the address still has the old number.
    let header = app
        .call(
            Method::GET,
            &format!("{path}?after=0"),
            &[("last-event-id", &third.to_string())],
        )
        .await;
    assert_eq!(events(&header.body), all[3..]);
    let over = app
        .call(Method::GET, &path, &[("last-event-id", &last.to_string())])
        .await;
    assert_eq!(over.status, 204);
    app.call(Method::GET, &path, &[("last-event-id", "x")])
        .await
        .is_refusal(400, "invalid_value", Some("Last-Event-ID"));
    app.get(&format!("{path}?after=-1"))
        .await
        .is_refusal(400, "invalid_value", Some("after"));
    app.get("/api/v1/jobs/nothing/events")
        .await
        .is_refusal(404, "not_found", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_can_be_run_again() {
    let app = TestApp::ready().await;
    let long = json!({ "caption": "x", "duration": 180, "inference_steps": 20, "seed": 3 });
    let first = app.post("/api/v1/jobs", &long).await.json();
    let second = app.post("/api/v1/jobs", &long).await.json();
    let id = |job: &Value| job["id"].as_str().unwrap().to_owned();
    let waiting = app.delete(&format!("/api/v1/jobs/{}", id(&second))).await;
    assert_eq!(waiting.json()["state"], "cancelled");
    let running = app.delete(&format!("/api/v1/jobs/{}", id(&first))).await;
    assert_eq!(running.status, 200);
    let path = format!("/api/v1/jobs/{}", id(&first));
    app.get(&format!("{path}/events")).await;
    assert_eq!(app.get(&path).await.json()["state"], "cancelled");
    let twice = app.delete(&path).await;
    assert_eq!(
        (twice.status.as_u16(), &twice.json()["state"]),
        (200, &json!("cancelled"))
    );

    let seen = app
        .json(Method::PATCH, &path, json!({ "dismissed": true }))
        .await;
    assert_eq!(
        (seen.status.as_u16(), &seen.json()["dismissed"]),
        (200, &json!(true))
    );
    for (change, field) in [
        (json!({ "dismissed": false }), "dismissed"),
        (json!({ "queue_position": 0 }), "queue_position"),
        (json!({ "repeat": null }), "repeat"),
        (json!({ "state": "done" }), "state"),
    ] {
        app.json(Method::PATCH, &path, change)
            .await
            .is_refusal(400, "invalid_value", Some(field));
    }
    let nothing = app.json(Method::PATCH, &path, json!({})).await;
    nothing.is_refusal(400, "invalid_value", None);
    let hint = nothing.json()["hint"].as_str().unwrap().to_owned();
    for key in ["repeat", "queue_position", "dismissed"] {
        assert!(hint.contains(key), "{hint}");
    }
    app.json(Method::PATCH, &path, json!({ "queue_position": 1 }))
        .await
        .is_refusal(409, "conflict", None);

    let again = app.post(&format!("{path}/rerun"), "").await;
    assert_eq!(again.status, 202);
    let again = again.json();
    assert_ne!(again["id"], first["id"]);
    assert_eq!(again["seeds"], json!([3]));
    app.delete(&format!("/api/v1/jobs/{}", id(&again))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so() {
    let app = TestApp::with(Setup {
        queue_limit: Some(1),
        ..Setup::default()
    });
    app.load().await;
    let long = json!({ "caption": "x", "duration": 180, "inference_steps": 20 });
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(app.post("/api/v1/jobs", &long).await);
    }
    let full = answers.iter().find(|answer| answer.status == 429).unwrap();
    full.is_refusal(429, "busy", None);
    assert_eq!(full.header("retry-after"), "10");
    for answer in answers.iter().filter(|answer| answer.status == 202) {
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        app.delete(&format!("/api/v1/jobs/{id}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_make_no_sense_are_refused_by_name() {
    let app = TestApp::ready().await;
    for (body, code, field) in [
        ("", "invalid_json", None),
        ("{\"caption\":", "invalid_json", None),
        ("{\"duration\": NaN}", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ("\"x\"", "invalid_json", None),
        ("{\"duration\": \"inf\"}", "invalid_value", Some("duration")),
        ("{\"bpm\": \"fast\"}", "invalid_value", Some("bpm")),
        ("{\"batch_size\": {}}", "invalid_value", Some("batch_size")),
        (
            "{\"audio_format\": \"ogg\"}",
            "invalid_value",
            Some("audio_format"),
        ),
        (
            "{\"task_type\": \"dance\"}",
            "invalid_value",
            Some("task_type"),
        ),
        (
            "{\"task_type\": \"lego\"}",
            "unsupported",
            Some("task_type"),
        ),
        (
            "{\"task_type\": \"cover\"}",
            "invalid_value",
            Some("src_audio"),
        ),
    ] {
        app.post("/api/v1/jobs", body)
            .await
            .is_refusal(400, code, field);
    }
    let form = Request::post("/api/v1/jobs")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("caption=x"))
        .unwrap();
    app.send(form)
        .await
        .is_refusal(415, "unsupported_media_type", None);
    let large = format!("{{\"caption\": \"{}\"}}", "x".repeat(3 << 20));
    app.post("/api/v1/jobs", large)
        .await
        .is_refusal(413, "too_large", None);
    let announced = [("content-length", "3000000")];
    app.call(Method::POST, "/api/page/anything", &announced)
        .await
        .is_refusal(413, "too_large", None);
    let deep = "[".repeat(100_000);
    app.post("/api/v1/jobs", deep)
        .await
        .is_refusal(400, "invalid_json", None);
    // Without a content type a body is taken for what it looks like.
    let untyped = Request::post("/api/v1/jobs")
        .body(Body::from("{\"caption\": \"x\", \"duration\": 1}"))
        .unwrap();
    assert_eq!(app.send(untyped).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_methods_answer_in_json() {
    let app = TestApp::new();
    for path in [
        "/api/v1/nothing",
        "/api/v2/status",
        "/api/v1/jobs/x",
        "/api/v1/songs/x",
        "/api/v1/songs/x/audio",
        "/api/v1/songs/%ff/audio",
        "/api/v1/jobs/%ff",
    ] {
        app.get(path).await.is_refusal(404, "not_found", None);
    }
    let wrong = app.call(Method::PUT, "/api/v1/status", &[]).await;
    wrong.is_refusal(405, "method_not_allowed", None);
    assert!(wrong.header("allow").contains("GET"));
    assert!(
        wrong.json()["message"]
            .as_str()
            .unwrap()
            .contains("/api/v1/status")
    );
    app.get("/api/v1/jobs?limit=many")
        .await
        .is_refusal(400, "invalid_value", Some("limit"));
    app.get("/api/v1/songs?favourite=perhaps").await.is_refusal(
        400,
        "invalid_value",
        Some("favourite"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_gets_any_part_of_a_song() {
    let app = TestApp::ready().await;
    let id = app.song().await;
    let path = format!("/api/v1/songs/{id}/audio");
    let whole = app.get(&path).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type"), "audio/wav");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.body.starts_with(b"RIFF"));
    let size = whole.body.len();
    assert_eq!(whole.header("content-length"), size.to_string());
    let etag = whole.header("etag").to_owned();

    for (range, from, to) in [
        ("bytes=0-3", 0, 4),
        ("bytes=100-", 100, size),
        ("bytes=-10", size - 10, size),
        ("bytes=5-99999999", 5, size),
    ] {
        let part = app.call(Method::GET, &path, &[("range", range)]).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.body, whole.body[from..to], "{range}");
        let place = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(part.header("content-range"), place);
    }
    let outside = [("range", "bytes=99999999-")];
    let outside = app.call(Method::GET, &path, &outside).await;
    outside.is_refusal(416, "range_not_satisfiable", None);
    assert_eq!(outside.header("content-range"), format!("bytes */{size}"));

    let head = app.call(Method::HEAD, &path, &[]).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), size.to_string());
    let known = app
        .call(Method::GET, &path, &[("if-none-match", &etag)])
        .await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    for (validator, status) in [(etag.as_str(), 206), ("\"another\"", 200)] {
        let headers = [("range", "bytes=0-3"), ("if-range", validator)];
        let part = app.call(Method::GET, &path, &headers).await;
        assert_eq!(part.status, status, "{validator}");
    }
    assert!(whole.header("content-disposition").starts_with("inline"));
    let saved = app.get(&format!("{path}?download=1")).await;
    assert!(
        saved
            .header("content-disposition")
            .contains("attachment; filename=\"lofi piano.wav\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn songs_are_listed_renamed_marked_and_deleted() {
    let app = TestApp::ready().await;
    let older = app.song().await;
    let newer = app.song().await;
    let listed = |answer: Value| -> Vec<String> {
        answer["songs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|song| song["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = app.get("/api/v1/songs").await.json();
    assert_eq!(listed(all), [newer.clone(), older.clone()]);
    let page = app.get("/api/v1/songs?limit=1&offset=1").await.json();
    assert_eq!(listed(page), std::slice::from_ref(&older));

    let path = format!("/api/v1/songs/{older}");
    let change = json!({ "title": "  Nuit  d'été ", "favourite": true });
    let changed = app.json(Method::PATCH, &path, change).await;
    assert_eq!(changed.json()["title"], "Nuit d'été");
    let marked = app.get("/api/v1/songs?favourite=true").await.json();
    assert_eq!(listed(marked), std::slice::from_ref(&older));
    let found = app.get("/api/v1/songs?query=nuit").await.json();
    assert_eq!(listed(found), std::slice::from_ref(&older));
    for (body, field) in [
        ("{\"title\": \"\"}", Some("title")),
        ("{\"title\": 5}", Some("title")),
        ("{\"favourite\": \"yes\"}", Some("favourite")),
        ("{\"seed\": 5}", Some("seed")),
    ] {
        app.json(Method::PATCH, &path, body)
            .await
            .is_refusal(400, "invalid_value", field);
    }

    assert_eq!(app.delete(&path).await.json()["deleted"], older.as_str());
    app.delete(&path).await.is_refusal(404, "not_found", None);
    app.get(&format!("{path}/audio"))
        .await
        .is_refusal(404, "not_found", None);
    let left = app.get("/api/v1/songs").await.json();
    assert_eq!(listed(left), [newer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_studio_tells_that_something_changed_and_ends_with_the_program() {
    let app = TestApp::new();
    let request = Request::get("/api/v1/events").body(Body::empty()).unwrap();
    let mut stream = app.open(request).await.into_body();
    let mut seen = String::new();
    // The first revision comes at once, the next with a change.
    while seen.matches("event: revision").count() < 2 {
        let frame = stream.frame().await.unwrap().unwrap();
        seen += &String::from_utf8_lossy(&frame.into_data().unwrap());
        if seen.matches("event: revision").count() == 1 {
            app.get("/api/v1/models").await;
        }
    }
    app.close.send_replace(true);
    while stream.frame().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_sent_small_to_whoever_can_unpack_it() {
    let app = TestApp::new();
    let plain = app.get("/").await;
    assert!(!plain.headers.contains_key("content-encoding"));
    for encoding in ["br", "gzip"] {
        let asked = [("accept-encoding", encoding)];
        let packed = app.call(Method::GET, "/", &asked).await;
        assert_eq!(packed.status, 200);
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(
            packed.body.len() * 4 < plain.body.len(),
            "{} of {}",
            packed.body.len(),
            plain.body.len()
        );
    }
    // A song is no text: its ranges are those of the file.
    let events = app.call(Method::GET, "/api/v1/status", &[("accept-encoding", "br")]);
    assert!(!events.await.headers.contains_key("content-encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_of_the_page_has_the_status_of_its_reason() {
    let app = TestApp::new();
    let page = String::from_utf8(app.get("/").await.body).unwrap();
    let from = page.find("action=\"/api/page/submit").unwrap() + 8;
    let path = page[from..].split('"').next().unwrap();
    let refused = |body: &'static str| {
        let request = Request::post(path)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body));
        app.send(request.unwrap())
    };
    refused("caption=x")
        .await
        .is_refusal(503, "not_ready", None);
    app.load().await;
    refused("caption=x&duration=long")
        .await
        .is_refusal(400, "invalid_value", Some("duration"));
}
