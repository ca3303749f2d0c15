//! Recordings over HTTP, and jobs that work on them.

use std::io::Cursor;

use acestep_domain::library::MAX_UPLOAD_BYTES;
use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use super::app::{Answer, TestApp};

const UPLOADS: &str = "/api/v1/uploads";

/// A mono wav of `secs` seconds at 24 kHz.
pub(super) fn wav(secs: f64, scale: f32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for i in 0..(secs * 24_000.0) as usize {
        let sample = scale * (i as f32 * 0.1).sin() * 32_000.0;
        writer.write_sample(sample as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

impl TestApp {
    async fn send_file(
        &self,
        query: &str,
        headers: &[(&str, &str)],
        bytes: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(format!("{UPLOADS}{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(bytes.into()).unwrap()).await
    }

    async fn upload(&self, secs: f64) -> Value {
        let sent = self.send_file("?name=a.wav", &[], wav(secs, 0.5)).await;
        assert_eq!(sent.status, 201, "{:?}", sent.json());
        sent.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_an_id_and_can_be_heard_until_it_is_deleted() {
    let app = TestApp::new();
    let bytes = wav(2.0, 0.5);
    let sent = app
        .send_file("?name=n%C3%A9e%20%E9%9F%B3.wav", &[], bytes.clone())
        .await;
    assert_eq!(sent.status, 201);
    let upload = sent.json();
    let id = upload["id"].as_str().unwrap();
    assert_eq!(sent.header("location"), format!("{UPLOADS}/{id}"));
    assert_eq!(upload["name"], "née 音.wav");
    assert_eq!(
        (
            &upload["duration_secs"],
            &upload["sample_rate_hz"],
            &upload["channels"]
        ),
        (&json!(2.0), &json!(24_000), &json!(1))
    );
    assert_eq!(upload["size_bytes"], bytes.len());
    assert_eq!(upload["peaks"].as_array().unwrap().len(), 256);
    assert!(upload["expires_at"].as_str() > upload["created_at"].as_str());

    let one = format!("{UPLOADS}/{id}");
    assert_eq!(app.get(&one).await.json(), upload);
    assert_eq!(app.get(UPLOADS).await.json()["uploads"], json!([upload]));
    let sound = app.get(&format!("{one}/audio")).await;
    assert_eq!(sound.header("content-type"), "audio/wav");
    assert!(sound.header("content-disposition").starts_with("inline"));
    assert_eq!(sound.body, bytes);
    let part = app
        .call(
            Method::GET,
            &format!("{one}/audio"),
            &[("range", "bytes=4-9")],
        )
        .await;
    assert_eq!(
        (part.status.as_u16(), part.body),
        (206, bytes[4..10].to_vec())
    );

    assert_eq!(app.delete(&one).await.json()["deleted"], id);
    for path in [one.clone(), format!("{one}/audio")] {
        app.get(&path).await.is_refusal(404, "not_found", None);
    }
    app.delete(&one).await.is_refusal(404, "not_found", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_and_a_header_name_the_file_as_well() {
    let app = TestApp::new();
    let form = |head: &str, content: &[u8]| {
        let mut body = format!("--x\r\n{head}\r\n\r\n").into_bytes();
        body.extend(content);
        body.extend(b"\r\n--x--\r\n");
        body
    };
    let multipart = [("content-type", "multipart/form-data; boundary=x")];
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"C:\\\\m\\\\lied.wav\"";
    let sent = app
        .send_file("", &multipart, form(head, &wav(1.0, 0.5)))
        .await;
    assert_eq!(sent.status, 201, "{:?}", sent.json());
    assert_eq!(sent.json()["name"], "lied.wav");
    let named = [
        ("x-filename", "m%C3%BCsic.wav"),
        ("content-type", "audio/wav"),
    ];
    let sent = app.send_file("", &named, wav(1.0, 0.5)).await;
    assert_eq!(sent.json()["name"], "müsic.wav");

    let text = form("Content-Disposition: form-data; name=\"caption\"", b"x");
    app.send_file("", &multipart, text)
        .await
        .is_refusal(400, "invalid_value", Some("file"));
    for broken in [&b"--x"[..], b"", b"no form at all"] {
        app.send_file("", &multipart, broken.to_vec())
            .await
            .is_refusal(400, "invalid_value", Some("file"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_recording_is_refused_with_its_reason() {
    let app = TestApp::new();
    let silent = wav(1.0, 0.0);
    for (bytes, part) in [
        (Vec::new(), "empty"),
        (b"{\"path\": \"/etc/passwd\"}".to_vec(), "no audio file"),
        (silent, "silent"),
        (wav(0.0, 0.5), "no samples"),
        (wav(601.0, 0.5), "10:01"),
    ] {
        let answer = app.send_file("?name=x.wav", &[], bytes).await;
        answer.is_refusal(400, "invalid_audio", Some("file"));
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.starts_with("x.wav: ") && message.contains(part),
            "{message}"
        );
        assert!(!message.contains("/tmp"), "{message}");
    }
    let announced = (MAX_UPLOAD_BYTES + (2 << 20)).to_string();
    app.send_file("", &[("content-length", announced.as_str())], Vec::new())
        .await
        .is_refusal(413, "too_large", Some("file"));
    // The limit of every other body stays what it was.
    app.post("/api/v1/jobs", "x".repeat(3 << 20))
        .await
        .is_refusal(413, "too_large", None);
    assert_eq!(app.get(UPLOADS).await.json()["uploads"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_more_than_two_megabytes_arrives() {
    let app = TestApp::new();
    let upload = app.upload(90.0).await;
    assert!(upload["size_bytes"].as_u64().unwrap() > 4 << 20);
    assert_eq!(upload["duration_secs"], 90.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_of_the_bundled_model_runs_on_uploads_and_songs() {
    let app = TestApp::ready().await;
    let song = app.song().await;
    let upload = app.upload(3.0).await;
    let id = upload["id"].as_str().unwrap();
    let base = json!({ "caption": "techno", "seed": 3, "audio_format": "wav", "batch_size": 1 });
    let with = |more: Value| {
        let mut params = base.clone();
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        params
    };
    for (more, secs) in [
        (
            json!({ "task_type": "cover", "src_audio": song, "audio_cover_strength": 0.6 }),
            2.0,
        ),
        (json!({ "task_type": "cover", "src_audio": id }), 3.0),
        (
            json!({ "task_type": "repaint", "src_audio": song, "repainting_start": 0.5, "repainting_end": 1.5 }),
            2.0,
        ),
        (
            json!({ "task_type": "repaint", "src_audio": song, "repainting_start": -1, "repainting_end": 3 }),
            4.0,
        ),
        (json!({ "duration": 2, "reference_audio": [id, song] }), 2.0),
    ] {
        let job = app.run(with(more.clone())).await;
        assert_eq!(job["state"], "done", "{job}");
        let made = job["song_ids"][0].as_str().unwrap();
        let made = app.get(&format!("/api/v1/songs/{made}")).await.json();
        assert_eq!(made["duration_secs"], secs, "{more}");
        let from = made["made_from"].as_array().unwrap();
        assert!(!from.is_empty());
        for from in from {
            let name = if from["kind"] == "upload" {
                "a.wav"
            } else {
                "lofi piano"
            };
            assert_eq!(from["name"], name, "{from}");
        }
        assert!(made["report"]["rms"].as_f64().unwrap() > 1e-3, "{made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_lacks_something_is_refused_by_its_key() {
    let app = TestApp::ready().await;
    let long = app.upload(200.0).await["id"].clone();
    let id = app.upload(3.0).await["id"].clone();
    for (params, status, code, field) in [
        (
            json!({ "task_type": "cover" }),
            400,
            "invalid_value",
            "src_audio",
        ),
        (
            json!({ "task_type": "cover", "src_audio": "nope" }),
            404,
            "not_found",
            "src_audio",
        ),
        (
            json!({ "task_type": "cover", "src_audio": "/etc/passwd" }),
            404,
            "not_found",
            "src_audio",
        ),
        (
            json!({ "task_type": "cover", "src_audio": 7 }),
            400,
            "invalid_value",
            "src_audio",
        ),
        (
            json!({ "reference_audio": ["nope"] }),
            404,
            "not_found",
            "reference_audio",
        ),
        (
            json!({ "task_type": "lego", "src_audio": id, "track_name": "drums" }),
            400,
            "unsupported",
            "task_type",
        ),
        (
            json!({ "task_type": "extract", "src_audio": id, "track_name": "kazoo" }),
            400,
            "invalid_value",
            "track_name",
        ),
        (
            json!({ "task_type": "repaint", "src_audio": id, "repainting_start": 2, "repainting_end": 2 }),
            400,
            "invalid_value",
            "repainting_end",
        ),
        (
            json!({ "task_type": "repaint", "src_audio": id, "repaint_mode": "wild" }),
            400,
            "invalid_value",
            "repaint_mode",
        ),
        // Tier 1 makes three minutes.
        (
            json!({ "task_type": "cover", "src_audio": long }),
            400,
            "invalid_value",
            "src_audio",
        ),
    ] {
        app.post("/api/v1/jobs", &params)
            .await
            .is_refusal(status, code, Some(field));
    }
}
