//! The official program's routes that the language model has a part in, on the built-in one.

use serde_json::{Value, json};

use super::{
    app::TestApp,
    official::{data, raised},
};

async fn with_lm() -> TestApp {
    let app = TestApp::new();
    let body = json!({ "init_llm": true });
    let answer = app.post("/api/v1/service/initialize?wait=true", body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_and_formatted_texts_go_on_to_their_songs_under_one_task() {
    let app = with_lm().await;
    let sample = json!({
        "sampleQuery": "a slow Japanese ballad", "duration": 10, "seed": 4, "audio_format": "wav"
    });
    let task = app.release(sample).await;
    let entry = app.poll(task["task_id"].as_str().unwrap()).await;
    assert_eq!(entry["status"], 1, "{entry}");
    let item = &entry["result"][0];
    assert_eq!(item["seed_value"], "4");
    assert_eq!(
        item["metas"]["prompt"], "a slow Japanese ballad",
        "what was asked"
    );
    assert_ne!(item["prompt"], item["metas"]["prompt"], "what was written");
    assert_eq!(app.get(item["file"].as_str().unwrap()).await.status, 200);
    let job = app
        .get(&format!(
            "/api/v1/jobs/{}",
            task["task_id"].as_str().unwrap()
        ))
        .await
        .json();
    assert_eq!(
        (&job["kind"], &job["params"]["vocal_language"]),
        (&json!("sample"), &json!("ja"))
    );

    let format = json!({
        "prompt": "lofi piano", "lyrics": "[Verse]\nla la la", "use_format": "true", "bpm": 71,
        "duration": 10, "seed": 4
    });
    let items = app.outcome(format).await;
    assert_eq!(items[0]["metas"]["bpm"], 71, "the user's value stands");
    assert_eq!(items[0]["metas"]["prompt"], "lofi piano");
    assert_ne!(items[0]["prompt"], "lofi piano");
    assert!(items[0]["file"].as_str().unwrap().contains(".mp3"));

    // A run that could not follow is refused before anything is written for it.
    let cover = json!({ "prompt": "x", "use_format": true, "task_type": "cover" });
    raised(&app.post("/release_task", cover).await, 400, "source");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_without_songs_are_answered_as_words() {
    let app = with_lm().await;
    let items = app
        .outcome(json!({ "prompt": "lofi piano", "bpm": 71, "analysisOnly": true }))
        .await;
    let item = &items[0];
    assert_eq!(
        (&item["bpm"], &item["audio_paths"], &item["file"]),
        (&json!(71), &json!([]), &json!(""))
    );
    for key in [
        "keyscale",
        "timesignature",
        "duration",
        "genre",
        "prompt",
        "lyrics",
        "language",
        "metas",
    ] {
        assert!(item.get(key).is_some(), "{key} in {item}");
    }
    let asked = json!({
        "prompt": "lofi piano", "lyrics": "la la", "temperature": 0.5, "lm_top_p": 0.2, "colour": 3,
        "param_obj": { "bpm": 71, "key": "Am", "language": "en" }
    });
    let formatted = data(&app.post("/format_input", asked).await);
    let notes = formatted["notes"].as_array().unwrap();
    let told: Vec<_> = notes.iter().map(|note| note["field"].as_str()).collect();
    assert_eq!(told, [Some("colour")], "{notes:?}");
    let job = app.get("/api/v1/jobs?limit=1").await.json()["jobs"][0]["params"].clone();
    assert_eq!(
        (&job["lm_top_p"], &job["lm_temperature"]),
        (&json!(0.2), &json!(0.5))
    );
    assert_eq!(
        (&formatted["bpm"], &formatted["key_scale"]),
        (&json!(71), &json!("A minor"))
    );
    for key in [
        "caption",
        "lyrics",
        "time_signature",
        "duration",
        "vocal_language",
    ] {
        assert!(formatted.get(key).is_some(), "{key} in {formatted}");
    }
    assert!(
        formatted["caption"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );

    // The built-in models know no audio codes, and it is said rather than tried.
    let song = app.song().await;
    let listen = json!({ "full_analysis_only": true, "src_audio_path": song });
    raised(&app.post("/release_task", listen).await, 400, "codes");
    let thinking = json!({ "prompt": "x", "thinking": true, "duration": 1, "inference_steps": 1 });
    let task: Value = app.release(thinking).await;
    assert_eq!(
        app.poll(task["task_id"].as_str().unwrap()).await["status"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_has_a_described_song_written_and_made() {
    let app = with_lm().await;
    let asked = json!({
        "model": "acestep-v15-demo",
        "messages": [{ "role": "user", "content": "a slow French waltz" }],
        "audio_config": { "duration": 10, "format": "wav" }, "seed": 4,
    });
    let answer = app.post("/v1/chat/completions", asked).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    let message = &body["choices"][0]["message"];
    assert_eq!(message["audio"].as_array().unwrap().len(), 1);
    let content = message["content"].as_str().unwrap();
    assert!(content.contains("**Language:** fr"), "{content}");
    assert!(!content.contains("No language model"), "{content}");
    let jobs = app.get("/api/v1/jobs").await.json();
    let kinds: Vec<&str> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["generate", "sample"]);

    // Lyrics beside a description are not sung, and that is said.
    let asked = json!({
        "model": "acestep-v15-demo", "sample_mode": true,
        "messages": [{ "role": "user", "content": "a slow waltz <lyrics>la la</lyrics>" }],
        "audio_config": { "duration": 10, "format": "wav" }, "seed": 4,
    });
    let answer = app.post("/v1/chat/completions", asked).await.json();
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.contains("lyrics: not used"), "{content}");
    let sample = app.get("/api/v1/jobs?limit=2").await.json()["jobs"][1].clone();
    assert_eq!(sample["params"]["caption"], "a slow waltz");
}
