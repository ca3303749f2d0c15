//! Everything the page draws, taken at one moment.

use acestep_domain::{
    generation::GenerationParams, job::Job, library::Song, service::ServiceStatus,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::ApiError;

/// Jobs kept in view.
pub const JOBS: usize = 20;
/// Songs kept in view on the Generation page.
pub const SONGS: usize = 12;

/// What the page draws.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The service.
    pub status: ServiceStatus,
    /// The latest jobs, newest first.
    pub jobs: Vec<Job>,
    /// The latest songs, newest first.
    pub songs: Vec<Song>,
    /// What a fresh form holds.
    pub defaults: GenerationParams,
}

/// The page's data as it is now.
#[server(name = GetSnapshot, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn snapshot() -> Result<Snapshot, ApiError> {
    take()
}

/// The same while the server draws the page.
#[cfg(feature = "ssr")]
pub fn take() -> Result<Snapshot, ApiError> {
    let studio = super::context::studio()?;
    let filter = acestep_studio::SongFilter {
        limit: SONGS,
        ..acestep_studio::SongFilter::default()
    };
    Ok(Snapshot {
        status: studio.status(),
        jobs: studio.jobs(JOBS).map_err(super::context::user)?,
        songs: studio.songs(&filter).map_err(super::context::user)?.songs,
        defaults: studio.defaults(),
    })
}

/// The form as it was left.
#[cfg(feature = "ssr")]
pub fn draft() -> Option<serde_json::Value> {
    super::context::studio().ok()?.draft().ok()?
}

/// The recordings that the form as it was left names; one that is gone is looked up again by the page,
/// which says so.
#[cfg(feature = "ssr")]
pub fn recordings(draft: Option<&serde_json::Value>) -> Vec<super::recordings::Recording> {
    let Some(draft) = draft else {
        return Vec::new();
    };
    crate::state::fields::recording_ids(draft)
        .iter()
        .filter_map(|id| super::recordings::find(id).ok())
        .collect()
}
