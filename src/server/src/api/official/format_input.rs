//! `POST /format_input`: caption and lyrics written anew by the language model, answered when they are.

use acestep_domain::{job::JobKind, note::Note};
use acestep_studio::Studio;
use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use super::{
    envelope::wrap,
    fields::{Fields, PARAMETERS},
    form::Form,
    items::text,
    order::require_lm,
    task::Task,
};
use crate::api::error::Result;

/// Its name on this route alone.
const TEMPERATURE: (&str, &[&str]) = ("lm_temperature", &["temperature"]);

/// Asks, waits and answers.
pub(super) async fn format(State(studio): State<Studio>, form: Form) -> Result<Json<Value>> {
    require_lm(&studio, "format_input")?;
    let mut notes = Vec::new();
    let job = studio.submit(&request(form, &mut notes))?;
    notes.extend(job.notes.iter().cloned());
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
        "notes": notes,
    })))
}

fn request(form: Form, notes: &mut Vec<Note>) -> Value {
    let mut fields = Fields::new(form.fields, notes);
    let mut request = Map::new();
    for (name, spellings) in std::iter::once(&TEMPERATURE).chain(PARAMETERS) {
        if let Some(value) = fields.take(spellings) {
            request.entry(*name).or_insert(value);
        }
    }
    fields.pass_on(&mut request, notes);
    request.insert("kind".to_owned(), json!(JobKind::Format.as_str()));
    Value::Object(request)
}
