//! Adapters through the API and the command line, on the bundled model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/adapter.rs"]
mod adapter;
#[path = "support/app.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod app;
#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{fs, path::Path};

use adapter::write_adapter;
use app::TestApp;
use program::run;
use serde_json::{Value, json};

fn params() -> Value {
    json!({ "caption": "lofi piano", "duration": 1, "seed": 7, "batch_size": 1, "audio_format": "wav" })
}

fn with_loras(loras: Value) -> Value {
    let mut params = params();
    params["loras"] = loras;
    params
}

async fn with_adapters() -> TestApp {
    let app = TestApp::ready().await;
    write_adapter(&app.lora_dir(), "tape-choir", 0);
    write_adapter(&app.lora_dir(), "rain", 0);
    write_adapter(&app.lora_dir(), "city-brass", 99);
    app
}

/// A finished song's record and the bytes of its file.
async fn song(app: &TestApp, params: Value) -> (Value, Vec<u8>) {
    let job = app.run(params).await;
    assert_eq!(job["state"], "done", "{job}");
    let id = job["song_ids"][0].as_str().unwrap();
    let record = app.get(&format!("/api/v1/songs/{id}")).await.json();
    let audio = app.get(&format!("/api/v1/songs/{id}/audio")).await.body;
    (record, samples(&audio))
}

/// The samples of a wav without its tags, which hold ids and times.
fn samples(wav: &[u8]) -> Vec<u8> {
    let reader = hound::WavReader::new(wav).unwrap();
    reader
        .into_samples::<i16>()
        .flat_map(|sample| sample.unwrap().to_le_bytes())
        .collect()
}

#[tokio::test]
async fn adapters_are_listed_loaded_scaled_and_given_up() {
    let app = with_adapters().await;
    let list = app.get("/api/v1/loras").await.json();
    let names: Vec<&str> = list["loras"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|lora| lora["name"].as_str())
        .collect();
    assert_eq!(names, ["city-brass", "rain", "tape-choir"]);
    let tape = &list["loras"][2];
    assert_eq!(
        (&tape["kind"], &tape["rank"], &tape["base"], &tape["loaded"]),
        (&json!("peft"), &json!(2), &json!("demo"), &json!(false))
    );
    assert!(tape["size_bytes"].as_u64().unwrap() > 100);
    assert_eq!(tape["problem"], Value::Null);
    let problem = list["loras"][0]["problem"].as_str().unwrap();
    assert!(
        problem.contains("layers.0.self_attn.q_proj") && problem.contains("99]"),
        "{problem}"
    );

    let (_, plain) = song(&app, params()).await;
    let body = json!({ "name": "tape-choir", "scale": 0.5 });
    let answer = app.post("/api/v1/loras/load", body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let tape = answer.json()["loras"][2].clone();
    assert_eq!(
        (&tape["loaded"], &tape["scale"]),
        (&json!(true), &json!(0.5))
    );
    let hash = tape["hash"].as_str().unwrap().to_owned();
    assert_eq!(hash.len(), 64);
    let status = app.get("/api/v1/status").await.json();
    assert_eq!(
        status["loras"],
        json!([{ "name": "tape-choir", "scale": 0.5, "hash": hash }])
    );

    let (record, half) = song(&app, params()).await;
    assert_ne!(half, plain);
    assert_eq!(record["provenance"]["loras"], status["loras"]);
    assert_eq!(record["params"]["loras"], status["loras"]);

    let body = json!({ "name": "tape-choir", "scale": 0 });
    app.post("/api/v1/loras/scale", body).await;
    let (record, off) = song(&app, params()).await;
    assert_eq!(off, plain, "scale 0 is none");
    assert_eq!(record["provenance"].get("loras"), None);

    // A job's own list stands above what is loaded, and its song can be made again by it.
    let own = json!([{ "name": "tape-choir", "scale": 0.5 }, { "name": "rain", "scale": 0.25 }]);
    let (record, both) = song(&app, with_loras(own)).await;
    assert_ne!(both, half);
    assert_eq!(record["provenance"]["loras"][1]["name"], "rain");
    let (_, again) = song(&app, record["params"].clone()).await;
    assert_eq!(again, both);

    let body = json!({ "name": "tape-choir" });
    let list = app.post("/api/v1/loras/unload", body).await.json();
    assert_eq!(list["loras"][2]["loaded"], false);
    assert_eq!(app.get("/api/v1/status").await.json()["loras"], json!([]));
    assert_eq!(song(&app, params()).await.1, plain);
}

#[tokio::test]
async fn each_wrong_input_is_refused_by_name() {
    let app = with_adapters().await;
    fs::write(app.lora_dir().join("half.safetensors"), b"xx").unwrap();
    for (route, body, status, code, field) in [
        (
            "load",
            json!({ "name": "nowhere" }),
            404,
            "not_found",
            Some("name"),
        ),
        (
            "load",
            json!({ "name": "../loras/rain" }),
            404,
            "not_found",
            Some("name"),
        ),
        (
            "load",
            json!({ "name": "city-brass" }),
            400,
            "lora",
            Some("name"),
        ),
        ("load", json!({ "name": "half" }), 400, "lora", Some("name")),
        ("load", json!({}), 400, "invalid_value", Some("name")),
        (
            "load",
            json!({ "name": 5 }),
            400,
            "invalid_value",
            Some("name"),
        ),
        (
            "load",
            json!({ "name": " " }),
            400,
            "invalid_value",
            Some("name"),
        ),
        (
            "load",
            json!({ "name": "rain", "scale": "loud" }),
            400,
            "invalid_value",
            Some("scale"),
        ),
        (
            "load",
            json!({ "name": "rain", "weight": 1 }),
            400,
            "invalid_value",
            Some("weight"),
        ),
        ("load", json!(["rain"]), 400, "invalid_json", None),
        (
            "unload",
            json!({ "name": "rain" }),
            404,
            "not_found",
            Some("name"),
        ),
        (
            "unload",
            json!({ "name": "rain", "scale": 1 }),
            400,
            "invalid_value",
            Some("scale"),
        ),
        (
            "scale",
            json!({ "name": "rain", "scale": 1 }),
            404,
            "not_found",
            Some("name"),
        ),
        (
            "scale",
            json!({ "name": "rain" }),
            400,
            "invalid_value",
            Some("scale"),
        ),
    ] {
        let answer = app.post(&format!("/api/v1/loras/{route}"), &body).await;
        answer.is_refusal(status, code, field);
    }
    assert_eq!(app.get("/api/v1/status").await.json()["loras"], json!([]));
}

#[tokio::test]
async fn adapters_of_a_job_are_refused_by_name_and_a_scale_outside_its_range_is_told() {
    let app = with_adapters().await;
    for (loras, status, code) in [
        (json!(["nowhere"]), 404, "not_found"),
        (json!(["city-brass:0.5"]), 400, "lora"),
        (json!([{ "scale": 1 }]), 400, "invalid_value"),
        (json!(["rain", "rain"]), 400, "invalid_value"),
        (json!(["rain:x"]), 400, "invalid_value"),
    ] {
        let answer = app.post("/api/v1/jobs", with_loras(loras)).await;
        answer.is_refusal(status, code, Some("loras"));
    }

    let body = json!({ "name": "rain", "scale": 3 });
    let answer = app.post("/api/v1/loras/load", body).await.json();
    assert_eq!(answer["notes"][0]["code"], "lora_scale_clamped");
    assert_eq!(answer["loras"][1]["scale"], 1.0);
}

#[tokio::test]
async fn another_main_model_gives_up_what_was_made_for_the_first() {
    let app = with_adapters().await;
    app.post("/api/v1/loras/load", json!({ "name": "rain" }))
        .await;
    let tiny =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/fixtures/pipeline/checkpoint");
    for folder in ["acestep-v15-tiny", "vae", "Qwen3-Embedding-0.6B"] {
        let to = app.checkpoints_dir().join(folder);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(tiny.join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let status = app
        .post(
            "/api/v1/service/initialize?wait=true",
            json!({ "config_path": "acestep-v15-tiny" }),
        )
        .await
        .json();
    assert_eq!(status["model"]["name"], "acestep-v15-tiny", "{status}");
    assert_eq!(status["loras"], json!([]));
    let dropped = status["notes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|note| note["code"] == "lora_dropped")
        .unwrap();
    let message = dropped["message"].as_str().unwrap();
    assert!(
        message.contains("rain") && message.contains("192]"),
        "{message}"
    );
    let list = app.get("/api/v1/loras").await.json();
    let problem = list["loras"][1]["problem"].as_str().unwrap();
    assert!(problem.contains("192]"), "{problem}");
}

#[tokio::test]
async fn without_a_model_adapters_are_listed_and_not_loaded() {
    let app = TestApp::new();
    write_adapter(&app.lora_dir(), "rain", 0);
    let list = app.get("/api/v1/loras").await.json();
    assert_eq!(list["loras"][0]["problem"], Value::Null);
    let answer = app
        .post("/api/v1/loras/load", json!({ "name": "rain" }))
        .await;
    answer.is_refusal(503, "not_ready", None);
}

#[test]
fn generate_takes_adapters_by_name_and_scale() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_adapter(&here.join("loras"), "tape-choir", 0);
    write_adapter(&here.join("elsewhere"), "rain", 0);
    let made = |name: &str, words: &[&str], params: &Value| {
        let mut all = vec!["generate", "--params", "-", "--json", "--output", name];
        all.extend(words);
        let output = run(here, &all, &params.to_string());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        (told, samples(&fs::read(here.join(name)).unwrap()))
    };
    let (told, plain) = made("plain.wav", &[], &params());
    assert_eq!(told["loras"], json!([]));
    let (told, half) = made("half.wav", &["--lora", "tape-choir:0.5"], &params());
    assert_ne!(half, plain);
    assert_eq!(
        (&told["loras"][0]["name"], &told["loras"][0]["scale"]),
        (&json!("tape-choir"), &json!(0.5))
    );
    assert_eq!(told["loras"][0]["hash"].as_str().unwrap().len(), 64);
    let (_, off) = made("off.wav", &["--lora", "tape-choir:0"], &params());
    assert_eq!(off, plain);

    // By the parameters alone, as a saved song holds them.
    let (_, again) = made(
        "again.wav",
        &[],
        &with_loras(told["params"]["loras"].clone()),
    );
    assert_eq!(again, half);

    let words = ["--lora_path", "elsewhere", "--lora", "rain:2"];
    let (told, rain) = made("rain.wav", &words, &with_loras(json!(["tape-choir"])));
    assert_ne!(rain, plain);
    let codes: Vec<&str> = told["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["code"].as_str())
        .collect();
    assert!(
        codes.contains(&"loras_by_flag") && codes.contains(&"lora_scale_clamped"),
        "{codes:?}"
    );
}

#[test]
fn the_command_line_refuses_what_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_adapter(&here.join("loras"), "city-brass", 99);
    write_adapter(&here.join("loras"), "rain", 0);
    for (words, told) in [
        (&["--lora", "nowhere"][..], "city-brass, rain"),
        (&["--lora", "city-brass"], "99]"),
        (&["--lora", "rain:loud"], "not a scale"),
        (&["--lora", ""], "empty"),
        (&["--lora", "rain", "--lora", "rain:0.5"], "twice"),
        (&["--lora_path", "no", "--lora", "rain"], "--lora_path"),
    ] {
        let mut all = vec!["generate", "--params", "-", "--output", "x.wav"];
        all.extend(words);
        let output = run(here, &all, &params().to_string());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(told), "{words:?}: {stderr}");
        assert!(!here.join("x.wav").exists());
    }
}

#[test]
fn inspect_tells_what_an_adapter_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_adapter(&here.join("loras"), "rain", 0);
    for path in ["loras", "loras/rain"] {
        let output = run(here, &["inspect", path, "--json"], "");
        assert!(output.status.success());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rain = &told["loras"][0];
        assert_eq!(
            (&rain["name"], &rain["kind"], &rain["rank"], &rain["base"]),
            (&json!("rain"), &json!("peft"), &json!(2), &json!("demo"))
        );
    }
    fs::write(
        here.join("loras/rain/adapter_config.json"),
        r#"{"use_dora": true}"#,
    )
    .unwrap();
    let output = run(here, &["inspect", "loras/rain"], "");
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("DoRA"), "{stdout}");
}

#[test]
fn a_plan_counts_the_adapters_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    write_adapter(&folder.path().join("mine"), "tape-choir", 0);
    let planned = |words: &[&str]| {
        let words = [&["plan", "--json", "--params", "-"], words].concat();
        let params = with_loras(json!([{ "name": "tape-choir", "scale": 1 }]));
        let output = run(folder.path(), &words, &params.to_string());
        let plan = program::json_of(&output);
        plan["memory"]["expected_peak_bytes"]["host"]
            .as_u64()
            .unwrap()
    };
    // One that is not there is refused when the run is.
    assert!(planned(&["--lora_path", "mine"]) > planned(&[]));
}
