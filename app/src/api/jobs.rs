//! Runs: submit, look, cancel, run again.

use std::collections::HashMap;

use acestep_domain::job::{Job, JobKind};
use leptos::prelude::*;

use super::ApiError;

/// Queues what the pressed button asks for, from the fields of the form. Also remembers the form as the
/// draft, so a browser without scripts gets it back with the page.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn submit(#[server(flatten)] form: HashMap<String, String>) -> Result<Job, ApiError> {
    let studio = super::context::studio()?;
    let (form, request) = crate::state::request::draft_and_request(form);
    super::context::lay_over_draft(&studio, form)?;
    studio.submit(&request).map_err(super::context::user)
}

/// Queues a job that listens to a song of the library: `understand` or `encode`.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn listen(kind: String, song_id: String) -> Result<Job, ApiError> {
    let request = serde_json::json!({ "kind": kind, "song_id": song_id });
    super::context::studio()?
        .submit(&request)
        .map_err(super::context::user)
}

/// How long finding out about a song takes, in seconds for each kind of which a past run told.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn how_long(song_id: String) -> Result<Vec<(JobKind, f64)>, ApiError> {
    let studio = super::context::studio()?;
    Ok(JobKind::ALL
        .into_iter()
        .filter(|kind| kind.is_kept_with_song())
        .filter_map(|kind| {
            let request = serde_json::json!({ "kind": kind.as_str(), "song_id": song_id });
            // What cannot be planned cannot be asked either, and its line says why.
            let time = studio.plan(&request).ok()?.0.time?;
            time.measured.then_some((kind, time.total))
        })
        .collect())
}

/// Queues a run that makes a song's sound once more.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn recreate(song_id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .recreate(&song_id)
        .map_err(super::context::user)
}

/// Puts what a job of the language model wrote into the form.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn use_written(job_id: String) -> Result<Job, ApiError> {
    let studio = super::context::studio()?;
    let job = studio.job(&job_id).map_err(super::context::user)?;
    if let Some((_, fields)) = crate::state::fill::fields_from_job(&job) {
        super::context::lay_over_draft(&studio, fields)?;
    }
    Ok(job)
}

/// One job.
#[server(name = GetJob, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn job(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .job(&id)
        .map_err(super::context::user)
}

/// Jobs, newest first.
#[server(name = GetJobs, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn jobs(limit: usize) -> Result<Vec<Job>, ApiError> {
    super::context::studio()?
        .jobs(limit)
        .map_err(super::context::user)
}

/// Stops a job: a waiting one at once, a running one within a step or a tile.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn cancel(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .cancel(&id)
        .map_err(super::context::user)
}

/// Changes how many runs follow a job that waits or runs; 0 stops after it.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn set_repeat(id: String, repeat: u32) -> Result<Job, ApiError> {
    super::context::studio()?
        .set_repeat(&id, repeat)
        .map_err(super::context::user)
}

/// Gives a waiting job another place in the queue, 1 = next.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn move_job(id: String, position: usize) -> Result<Job, ApiError> {
    super::context::studio()?
        .move_job(&id, position)
        .map_err(super::context::user)
}

/// Cancels every job that waits.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn clear_queue() -> Result<(), ApiError> {
    let studio = super::context::studio()?;
    // More than can wait.
    let jobs = studio.jobs(10_000).map_err(super::context::user)?;
    let waiting = jobs
        .into_iter()
        .filter(|job| job.state == acestep_domain::job::JobState::Queued);
    for job in waiting {
        studio.cancel(&job.id).map_err(super::context::user)?;
    }
    Ok(())
}

/// Puts away how a job ended.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn dismiss(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .dismiss(&id)
        .map_err(super::context::user)
}

/// Queues a failed, cancelled or interrupted job again with its seeds.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn rerun(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .rerun(&id)
        .map_err(super::context::user)
}
