//! Jobs: submit, look, cancel, run again.

use acestep_domain::{UserError, job::Job, memory::RunPlan};
use acestep_studio::Studio;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::Result,
    json::{JsonBody, Path, Query},
};

/// Jobs of one answer when nobody says, and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 500;

/// `POST /api/v1/jobs`: the parameters of a run. Answers with the job, its notes and its place in the
/// queue.
pub async fn submit(State(studio): State<Studio>, body: JsonBody) -> Result<impl IntoResponse> {
    Ok(accepted(studio.submit(&body.required()?)?))
}

/// `POST /api/v1/plan`: what a run with these parameters would need of memory and time, and what would be
/// noted about them; nothing is queued. Before anything is loaded it is of what would be, and a note says so.
pub async fn plan(State(studio): State<Studio>, body: JsonBody) -> Result<Json<RunPlan>> {
    let (mut plan, notes) = studio.plan(&body.required()?)?;
    plan.memory.notes.splice(..0, notes);
    Ok(Json(plan))
}

/// `POST /api/v1/jobs/{id}/rerun`: the same run again, with its seeds, as a new job.
pub async fn rerun(
    State(studio): State<Studio>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    Ok(accepted(studio.rerun(&id)?))
}

fn accepted(job: Job) -> impl IntoResponse {
    let place = format!("/api/v1/jobs/{}", job.id);
    (StatusCode::ACCEPTED, [(LOCATION, place)], Json(job))
}

/// The query of [`list`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    limit: Option<usize>,
}

/// Jobs, newest first.
#[derive(Debug, Serialize)]
pub struct Jobs {
    jobs: Vec<Job>,
}

/// `GET /api/v1/jobs`.
pub async fn list(State(studio): State<Studio>, Query(page): Query<Page>) -> Result<Json<Jobs>> {
    let limit = page.limit.unwrap_or(PAGE).min(LONGEST_PAGE);
    Ok(Json(Jobs {
        jobs: studio.jobs(limit)?,
    }))
}

/// `GET /api/v1/jobs/{id}`.
pub async fn find(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Job>> {
    Ok(Json(studio.job(&id)?))
}

/// `PATCH /api/v1/jobs/{id}`, one of: `{"repeat": …}`, how many runs follow it; 0 stops after it.
/// `{"queue_position": …}`, another place in the queue, 1 = next. `{"dismissed": true}`, how it ended was seen.
pub async fn change(
    State(studio): State<Studio>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Result<Json<Job>> {
    let body = body.required()?;
    let hint = "Send repeat, queue_position or dismissed, for example {\"repeat\": 0} to stop after this run.";
    let Value::Object(change) = &body else {
        let message = "The change is not a JSON object.";
        return Err(UserError::new("invalid_json", message, hint).into());
    };
    let known = ["repeat", "queue_position", "dismissed"];
    if let Some(other) = change.keys().find(|key| !known.contains(&key.as_str())) {
        let message = format!("{other:?} of a job cannot be changed.");
        return Err(UserError::invalid(other, message, hint).into());
    }
    if change.is_empty() {
        let message = "Nothing is to be changed.";
        return Err(UserError::new("invalid_value", message, hint).into());
    }
    if change.len() > 1 {
        let message = "More than one change at a time.";
        return Err(UserError::new("invalid_value", message, "Send one after the other.").into());
    }
    if let Some(seen) = change.get("dismissed") {
        if seen != &Value::Bool(true) {
            let message = "dismissed: what was put away stays so.";
            return Err(UserError::invalid("dismissed", message, "Send true.").into());
        }
        return Ok(Json(studio.dismiss(&id)?));
    }
    if let Some(place) = change.get("queue_position") {
        let place = place.as_u64().filter(|place| *place > 0);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let place = place.ok_or_else(|| {
            let message = "queue_position is not a place in the queue.";
            UserError::invalid("queue_position", message, "Send a whole number from 1.")
        })?;
        return Ok(Json(studio.move_job(&id, place)?));
    }
    let repeat = change
        .get("repeat")
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| {
            let message = "repeat is not a number of runs.";
            UserError::invalid(
                "repeat",
                message,
                "Send a whole number, 0 to stop after this run.",
            )
        })?;
    Ok(Json(studio.set_repeat(&id, repeat)?))
}

/// `DELETE /api/v1/jobs/{id}`: cancels it. One that is over already is answered as it is.
pub async fn cancel(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Job>> {
    Ok(Json(studio.cancel(&id)?))
}
