//! `POST /query_result`: how tasks stand.

use acestep_domain::UserError;
use acestep_studio::Studio;
use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{
    envelope::wrap,
    form::Form,
    items::{items, unknown},
    task::{Status, Task},
};
use crate::api::error::{ApiError, Result};

/// Most tasks of one question.
const MOST: usize = 500;

/// Answers an entry for each id, in their order; one that nobody knows is an entry that says so.
pub(super) async fn query(State(studio): State<Studio>, form: Form) -> Result<Json<Value>> {
    let ids = ids_from_value(form.fields.get("task_id_list"))?;
    let entries = ids
        .iter()
        .map(|id| entry(&studio, id))
        .collect::<Result<Vec<Value>>>()?;
    Ok(wrap(Value::Array(entries)))
}

fn entry(studio: &Studio, id: &str) -> Result<Value> {
    let task = match Task::find(studio, id) {
        Ok(task) => task,
        Err(error) if error.status() == axum::http::StatusCode::NOT_FOUND => {
            let shown: String = id.chars().take(80).collect();
            let why = format!("There is no task {shown:?}.");
            return Ok(json!({
                "task_id": id, "status": Status::Failed.number(),
                "result": Value::Array(vec![unknown(&why)]).to_string(),
                "progress_text": why, "error": why,
            }));
        }
        Err(error) => return Err(error),
    };
    let mut entry = json!({
        "task_id": id, "status": task.status().number(),
        // Text that holds JSON: clients parse it a second time.
        "result": Value::Array(items(studio, &task)).to_string(),
        "progress_text": task.told(),
    });
    if let Some(why) = task.why() {
        entry["error"] = json!(why.to_string().trim_end());
    }
    Ok(entry)
}

/// A list, or text that holds one.
fn ids_from_value(value: Option<&Value>) -> Result<Vec<String>, ApiError> {
    let wrong = || {
        UserError::invalid(
            "task_id_list",
            "task_id_list is not a list of ids.",
            "Send {\"task_id_list\": [\"ID\"]}, or the list as text.",
        )
    };
    let parsed;
    let list = match value {
        Some(Value::Array(list)) => list,
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Vec<Value>>(text).map_err(|_| wrong())?;
            &parsed
        }
        _ => return Err(wrong().into()),
    };
    if list.len() > MOST {
        let message = format!("task_id_list has {} ids.", list.len());
        let hint = format!("Ask for at most {MOST} at once.");
        return Err(UserError::invalid("task_id_list", message, hint).into());
    }
    list.iter()
        .map(|id| id.as_str().map(str::to_owned).ok_or_else(|| wrong().into()))
        .collect()
}
