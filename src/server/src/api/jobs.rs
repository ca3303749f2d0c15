//! Jobs: submit, look, cancel, run again.

use acestep_domain::{job::Job, memory::RunPlan};
use acestep_studio::Studio;
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use super::{
    error::Result,
    json::{JsonBody, Query},
};

/// Jobs of one answer when nobody says, and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 500;

/// `POST /api/v1/jobs`: the parameters of a run. Answers with the job, its notes and its place in the
/// queue.
pub async fn submit(State(studio): State<Studio>, body: JsonBody) -> Result<impl IntoResponse> {
    Ok(accepted(studio.submit(&body.required()?)?))
}

/// `POST /api/v1/plan`: what a run with these parameters would need of memory and time; nothing is
/// queued.
pub async fn plan(State(studio): State<Studio>, body: JsonBody) -> Result<Json<RunPlan>> {
    Ok(Json(studio.plan(&body.required()?)?))
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

/// `DELETE /api/v1/jobs/{id}`: cancels it.
pub async fn cancel(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Job>> {
    Ok(Json(studio.cancel(&id)?))
}
