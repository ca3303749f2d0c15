//! `POST /format_input`: caption and lyrics written anew by the language model, answered when they are.

use acestep_domain::job::JobKind;
use acestep_studio::Studio;
use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use super::{
    envelope::wrap, fields::Fields, form::Form, items::text, order::require_lm, task::Task,
};
use crate::api::error::Result;

/// Asks, waits and answers.
pub(super) async fn format(State(studio): State<Studio>, form: Form) -> Result<Json<Value>> {
    require_lm(&studio, "format_input")?;
    let job = studio.submit(&request(form))?;
    let task = Task::ended(&studio, &job.id).await?;
    if let Some(why) = task.why() {
        return Err(why.into());
    }
    let plan = task.now().plan.clone().unwrap_or_default();
    let asked = &task.asked.params;
    let or_asked = |written: String, asked: &str| {
        if written.is_empty() {
            asked.to_owned()
        } else {
            written
        }
    };
    Ok(wrap(json!({
        "caption": or_asked(plan.caption, &asked.caption),
        "lyrics": or_asked(plan.lyrics, &asked.lyrics),
        "bpm": plan.bpm,
        "key_scale": text(plan.keyscale.as_ref()),
        "time_signature": text(plan.timesignature.as_ref()),
        "duration": plan.duration_secs,
        "vocal_language": text(plan.language.as_ref()),
    })))
}

fn request(form: Form) -> Value {
    let mut fields = Fields::new(form.fields);
    let mut request = Map::new();
    for (name, spellings) in [
        ("caption", &["prompt", "caption"][..]),
        ("lyrics", &["lyrics"]),
        ("lm_temperature", &["temperature", "lm_temperature"]),
        ("duration", &["duration", "audio_duration"]),
        ("bpm", &["bpm"]),
        ("keyscale", &["key_scale", "keyscale", "key"]),
        ("timesignature", &["time_signature", "timesignature"]),
        ("vocal_language", &["language", "vocal_language"]),
    ] {
        if let Some(value) = fields.take(spellings) {
            request.insert(name.to_owned(), value);
        }
    }
    request.insert("kind".to_owned(), json!(JobKind::Format.as_str()));
    Value::Object(request)
}
