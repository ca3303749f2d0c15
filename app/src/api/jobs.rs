//! Runs: submit, look, cancel, run again.

use std::collections::HashMap;

use acestep_domain::job::Job;
use leptos::prelude::*;

use super::ApiError;

/// Queues a run from the fields of the form, by parameter key. Also remembers the form as the draft,
/// so a browser without scripts gets it back with the page.
#[server(prefix = "/api/page")]
pub async fn submit(#[server(flatten)] form: HashMap<String, String>) -> Result<Job, ApiError> {
    let studio = super::context::studio()?;
    let params = crate::state::form::params_from_fields(form);
    studio.save_draft(&params).map_err(super::context::user)?;
    studio.submit(&params).map_err(super::context::user)
}

/// One job.
#[server(name = GetJob, prefix = "/api/page")]
pub async fn job(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .job(&id)
        .map_err(super::context::user)
}

/// Jobs, newest first.
#[server(name = GetJobs, prefix = "/api/page")]
pub async fn jobs(limit: usize) -> Result<Vec<Job>, ApiError> {
    super::context::studio()?
        .jobs(limit)
        .map_err(super::context::user)
}

/// Stops a job: a waiting one at once, a running one within a step or a tile.
#[server(prefix = "/api/page")]
pub async fn cancel(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .cancel(&id)
        .map_err(super::context::user)
}

/// Queues a failed, cancelled or interrupted job again with its seeds.
#[server(prefix = "/api/page")]
pub async fn rerun(id: String) -> Result<Job, ApiError> {
    super::context::studio()?
        .rerun(&id)
        .map_err(super::context::user)
}
