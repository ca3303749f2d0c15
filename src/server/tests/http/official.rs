//! The official program's routes as its clients call them: release, poll, hear.

use std::{io::Cursor, time::Duration};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{
    app::{Answer, Setup, TestApp},
    uploads::wav,
};

impl TestApp {
    /// Queues a task; answers what the envelope holds.
    pub(super) async fn release(&self, body: Value) -> Value {
        let answer = self.post("/release_task", body).await;
        data(&answer)
    }

    /// Polls until the task is over; answers its entry with the result read a second time.
    pub(super) async fn poll(&self, task_id: &str) -> Value {
        // The patience of an answer, twice.
        for _ in 0..4800 {
            let body = json!({ "task_id_list": [task_id] });
            let mut entry = data(&self.post("/query_result", body).await)[0].take();
            let items: Value = serde_json::from_str(entry["result"].as_str().unwrap()).unwrap();
            assert_eq!(items[0]["status"], entry["status"], "{entry}");
            if entry["status"] != 0 {
                entry["result"] = items;
                return entry;
            }
            let progress = items[0]["progress"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&progress), "{entry}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{task_id} is not over");
    }

    /// Releases, waits and answers the items of one that succeeded.
    pub(super) async fn outcome(&self, body: Value) -> Value {
        let task = self.release(body).await;
        let entry = self.poll(task["task_id"].as_str().unwrap()).await;
        assert_eq!(entry["status"], 1, "{entry}");
        entry["result"].clone()
    }
}

/// What the envelope holds.
#[track_caller]
pub(super) fn data(answer: &Answer) -> Value {
    let mut body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    assert_eq!((&body["code"], &body["error"]), (&json!(200), &Value::Null));
    assert!(
        body["timestamp"].as_u64().unwrap() > 1_600_000_000_000,
        "{body}"
    );
    assert!(body.as_object().unwrap().contains_key("extra"), "{body}");
    body["data"].take()
}

/// A raised error: the status, and a sentence under `detail` with `part` in it.
#[track_caller]
pub(super) fn raised(answer: &Answer, status: u16, part: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains(part), "{detail:?} without {part:?}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
}

/// A form with files.
pub(super) fn multipart(path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Request<Body> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend(head.into_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    Request::post(path)
        .header("content-type", "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap()
}

fn seconds(wav: &[u8]) -> f64 {
    let reader = hound::WavReader::new(Cursor::new(wav)).unwrap();
    f64::from(reader.duration()) / f64::from(reader.spec().sample_rate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_released_polled_and_heard_and_its_seed_counts() {
    let app = TestApp::ready().await;
    let asked = json!({
        "prompt": "lofi piano", "lyrics": "[inst]", "audioDuration": "2", "seed": 7,
        "audio_format": "wav", "param_obj": { "bpm": 90, "key": "Am" }, "use_tiled_decode": true
    });
    let task = app.release(asked.clone()).await;
    assert_eq!(task["status"], "queued");
    assert_eq!(task["queue_position"], 1);
    let id = task["task_id"].as_str().unwrap();
    let entry = app.poll(id).await;
    assert_eq!(entry["status"], 1, "{entry}");
    assert_eq!(entry["progress_text"], "1 song is done.");
    let item = &entry["result"][0];
    for (key, value) in [
        ("wave", json!("")),
        ("env", json!("development")),
        ("prompt", json!("lofi piano")),
        ("lyrics", json!("[inst]")),
        ("seed_value", json!("7")),
        ("dit_model", json!("acestep-v15-demo")),
        ("lm_model", json!("")),
        ("progress", json!(1.0)),
        ("stage", json!("succeeded")),
    ] {
        assert_eq!(item[key], value, "{key} of {item}");
    }
    let metas = &item["metas"];
    assert_eq!(
        (&metas["bpm"], &metas["keyscale"]),
        (&json!(90), &json!("A minor"))
    );
    assert!(item["create_time"].as_i64().unwrap() > 1_600_000_000);
    assert!(
        item["generation_info"]
            .as_str()
            .unwrap()
            .contains("8 steps")
    );

    let file = item["file"].as_str().unwrap();
    assert!(
        file.starts_with("/v1/audio?path=") && file.contains(".wav"),
        "{file}"
    );
    let sound = app.get(file).await;
    assert_eq!(
        (sound.status.as_u16(), sound.header("content-type")),
        (200, "audio/wav")
    );
    assert!((seconds(&sound.body) - 2.0).abs() < 0.04);

    let again = app.outcome(asked).await;
    let again = app.get(again[0]["file"].as_str().unwrap()).await;
    let samples = |bytes: &[u8]| -> Vec<i32> {
        let reader = hound::WavReader::new(Cursor::new(bytes)).unwrap();
        reader.into_samples().map(Result::unwrap).collect()
    };
    assert!(
        samples(&again.body) == samples(&sound.body),
        "the same seed, the same song"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_as_clients_expect_and_every_spelling_is_read() {
    let app = TestApp::with(Setup {
        unlimited: true,
        ..Setup::default()
    });
    app.load().await;
    let params = async |body: Value| {
        let task = app.release(body).await;
        let path = format!("/api/v1/jobs/{}", task["task_id"].as_str().unwrap());
        let job = app.delete(&path).await.json();
        (job["params"].clone(), task["notes"].clone())
    };
    let (plain, notes) = params(json!({ "prompt": "x", "audio_duration": 120 })).await;
    assert_eq!(notes, json!([]), "nothing is said of what nobody asked");
    for (key, value) in [
        ("task_type", json!("text2music")),
        ("thinking", json!(false)),
        ("vocal_language", json!("en")),
        ("inference_steps", json!(8)),
        ("batch_size", json!(2)),
        ("audio_format", json!("mp3")),
        ("lm_cfg_scale", json!(2.5)),
        ("lm_temperature", json!(0.85)),
        ("lm_top_p", json!(0.9)),
        ("shift", json!(3.0)),
        ("infer_method", json!("ode")),
        ("repainting_end", json!(-1.0)),
        ("audio_cover_strength", json!(1.0)),
        ("use_cot_caption", json!(true)),
    ] {
        assert_eq!(plain[key], value, "{key}");
    }
    let spelt = json!({
        "caption": "y", "keyScale": "C major", "timeSignature": "3/4", "targetDuration": 120,
        "language": "ja", "inferenceSteps": 4, "inferMethod": "sde", "batchSize": 1,
        "cot-caption": false, "timesteps": "1,0.5,0", "useRandomSeed": false, "seed": "5",
        "metas": "{\"bpm\": \"101 BPM\"}", "lm_top_k": null,
    });
    let (read, notes) = params(spelt).await;
    // Steps were asked for beside timesteps, which decide.
    assert_eq!(notes[0]["code"], "inference_steps_ignored");
    assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
    for (key, value) in [
        ("caption", json!("y")),
        ("keyscale", json!("C major")),
        ("timesignature", json!("3")),
        ("duration", json!(120.0)),
        ("vocal_language", json!("ja")),
        ("inference_steps", json!(4)),
        ("infer_method", json!("sde")),
        ("use_cot_caption", json!(false)),
        ("timesteps", json!([1.0, 0.5])),
        ("seed", json!(5)),
        ("bpm", json!(101)),
    ] {
        assert_eq!(read[key], value, "{key}");
    }
    // A number that cannot be read falls to its default, and it is said.
    let odd = json!({
        "prompt": "x", "duration": 120, "inference_steps": "many", "bpm": "fast", "colour": 3,
        "model": "acestep/acestep-v15-xl", "instruction": "Fill it", "seed": 3, "use_random_seed": true,
    });
    let (read, notes) = params(odd).await;
    assert_eq!(
        (&read["inference_steps"], &read["bpm"]),
        (&json!(8), &Value::Null)
    );
    let fields: Vec<_> = notes
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["field"].as_str().unwrap())
        .collect();
    for field in [
        "inference_steps",
        "bpm",
        "colour",
        "model",
        "instruction",
        "seed",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_is_told_wherever_it_stands() {
    let app = TestApp::ready().await;
    let released = async |body: Value| {
        let task = app.release(body).await;
        let path = format!("/api/v1/jobs/{}", task["task_id"].as_str().unwrap());
        let job = app.delete(&path).await.json();
        let fields: Vec<String> = task["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note["field"].as_str().unwrap_or_default().to_owned())
            .collect();
        (job["params"].clone(), fields)
    };
    let broken =
        json!({ "prompt": "x", "batch_size": 1, "duration": 20, "param_obj": "{\"bpm\": 90,}" });
    let (params, told) = released(broken).await;
    assert_eq!(
        (told, &params["bpm"]),
        (vec!["param_obj".to_owned()], &Value::Null)
    );

    let below = json!({
        "prompt": "x", "batch_size": 1, "duration": 20,
        "param_obj": { "instrumental": true, "loras": [], "colour": "red" },
        "metas": { "bpm": 90 }, "user_metadata": { "bpm": 80 },
    });
    let (params, told) = released(below).await;
    assert_eq!(
        (&params["instrumental"], &params["loras"], &params["bpm"]),
        (&json!(true), &json!([]), &json!(90))
    );
    assert_eq!(told, ["user_metadata", "colour"]);

    // The studio's own spellings are as good as the official ones.
    let (params, told) =
        released(json!({ "prompt": "x", "batch_size": 1, "duration": 20, "steps": 5 })).await;
    assert_eq!((&params["inference_steps"], told), (&json!(5), vec![]));
    let thinking = json!({ "prompt": "x", "think": true });
    raised(&app.post("/release_task", thinking).await, 503, "thinking");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_with_and_without_files_are_read() {
    let app = TestApp::ready().await;
    let pairs =
        "prompt=slow+waltz&duration=1&batch_size=1&audio_format=flac&metas=%7B%22bpm%22%3A70%7D";
    for kind in [Some("application/x-www-form-urlencoded"), None] {
        let mut request = Request::post("/release_task");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = app.send(request.body(Body::from(pairs)).unwrap()).await;
        let entry = app.poll(data(&answer)["task_id"].as_str().unwrap()).await;
        let item = &entry["result"][0];
        assert_eq!(
            (&item["prompt"], &item["metas"]["bpm"]),
            (&json!("slow waltz"), &json!(70))
        );
        let sound = app.get(item["file"].as_str().unwrap()).await;
        assert!(sound.body.starts_with(b"fLaC"));
    }
    let source = wav(2.0, 0.5);
    let cover = multipart(
        "/release_task",
        &[
            ("task_type", None, b"cover"),
            ("prompt", None, b"techno"),
            ("audio_format", None, b"wav"),
            ("ctx_audio", Some("old.wav"), &source),
            ("src_audio_path", None, b"/etc/passwd"),
            ("ref_audio", Some("voice.wav"), &source),
            ("ref_audio", Some("drums.wav"), &source),
            ("other", Some(""), b""),
        ],
    );
    let answer = app.send(cover).await;
    let task = data(&answer);
    let notes = task["notes"].to_string();
    assert!(notes.contains("what is named is not used"), "{notes}");
    let id = task["task_id"].as_str().unwrap();
    let entry = app.poll(id).await;
    assert_eq!(entry["status"], 1, "{entry}");
    let job = app.get(&format!("/api/v1/jobs/{id}")).await.json();
    let references = job["params"]["reference_audio"].as_array();
    assert_eq!(references.map(Vec::len), Some(2), "{job}");
    let file = entry["result"][0]["file"].as_str().unwrap().to_owned();
    assert!((seconds(&app.get(&file).await.body) - 2.0).abs() < 0.1);

    // The file of a result is a source too; its address is enough.
    let repaint = json!({
        "task_type": "repaint", "prompt": "techno", "srcAudioPath": file, "audio_format": "wav",
        "repainting_start": 0.5, "repainting_end": 1
    });
    app.outcome(repaint).await;

    // What comes to nothing leaves nothing.
    let kept = app.get("/api/v1/uploads").await.json()["uploads"]
        .as_array()
        .unwrap()
        .len();
    for (parts, part) in [
        (&[("drums", Some("a.wav"), source.as_slice())][..], "drums"),
        (
            &[
                ("src_audio", Some("a.wav"), source.as_slice()),
                ("seed", None, b"x"),
            ],
            "seed",
        ),
        (&[("src_audio", Some("a.txt"), b"no sound")], "a.txt"),
        (
            &[
                ("task_type", None, b"cover"),
                ("src_audio", Some("a.wav"), source.as_slice()),
                ("src_audio", Some("b.wav"), source.as_slice()),
            ],
            "more than one",
        ),
    ] {
        raised(
            &app.send(multipart("/release_task", parts)).await,
            400,
            part,
        );
    }
    let left = app.get("/api/v1/uploads").await.json()["uploads"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(left, kept);
    let elsewhere = multipart("/query_result", &[("src_audio", Some("a.wav"), &source)]);
    raised(&app.send(elsewhere).await, 400, "/release_task");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_with_its_reason() {
    let app = TestApp::ready().await;
    let long = json!({ "prompt": "x", "duration": 180 });
    let task = app.release(long).await;
    let id = task["task_id"].as_str().unwrap();
    let list = json!([id, "nothing"]).to_string();
    let both = data(
        &app.post("/query_result", json!({ "task_id_list": list }))
            .await,
    );
    assert_eq!(
        (&both[0]["task_id"], &both[0]["status"]),
        (&json!(id), &json!(0))
    );
    assert_eq!(
        (&both[1]["task_id"], &both[1]["status"]),
        (&json!("nothing"), &json!(2))
    );
    assert!(both[1]["error"].as_str().unwrap().contains("nothing"));
    assert!(both[1]["result"].as_str().unwrap().contains("not_found"));
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    let over = app.poll(id).await;
    assert_eq!(
        (&over["status"], &over["result"][0]["stage"]),
        (&json!(2), &json!("cancelled"))
    );
    assert_eq!(
        over["error"],
        "The job was cancelled. Send it again to have it made."
    );
    let form = json!({ "task_id_list": "x" });
    raised(&app.post("/query_result", form).await, 400, "task_id_list");
    raised(
        &app.post("/query_result", json!({})).await,
        400,
        "task_id_list",
    );
    raised(&app.post("/query_result", "[]").await, 400, "object");

    for (body, status, part) in [
        (json!({ "task_type": "cover" }), 400, "source"),
        (json!({ "task_type": "dance" }), 400, "task_type"),
        (
            json!({ "task_type": "lego", "instruction": "Generate the DRUMS track" }),
            400,
            "lego",
        ),
        (json!({ "audio_format": "ogg" }), 400, "audio_format"),
        (json!({ "seed": "x" }), 400, "seed"),
        (json!({ "timesteps": "1,2" }), 400, "timesteps"),
        (
            json!({ "src_audio_path": "/etc/passwd" }),
            400,
            "paths of the server are not read",
        ),
        (
            json!({ "ref_audio_path": "../songs/library.db" }),
            400,
            "reference_audio",
        ),
        (json!({ "thinking": true }), 503, "thinking"),
        (json!({ "sample_mode": true }), 503, "language model"),
        (json!({ "use_format": true }), 503, "language model"),
        (json!({ "full_analysis_only": true }), 400, "src_audio"),
    ] {
        raised(&app.post("/release_task", &body).await, status, part);
    }
    raised(
        &app.post("/format_input", json!({ "prompt": "x" })).await,
        503,
        "language model",
    );
}
