//! How a server function reaches the studio.

use acestep_domain::{
    GenerationParams, UserError,
    job::Job,
    library::{Song, SongList},
    service::{ServiceConfig, ServiceStatus},
};
use serde_json::Value;

use super::ApiError;

#[derive(Debug, Clone, Default)]
pub(super) struct SongFilter {
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) query: Option<String>,
    pub(super) favourite: Option<bool>,
    pub(super) job_id: Option<String>,
}

pub(super) struct Studio;

type R<T> = Result<T, ApiError>;

#[allow(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "signatures of the studio"
)]
impl Studio {
    pub(super) fn status(&self) -> ServiceStatus {
        ServiceStatus::default()
    }
    pub(super) fn initialize(&self, _: ServiceConfig) -> R<()> {
        absent()
    }
    pub(super) fn cancel_initialize(&self) {}
    pub(super) fn rescan(&self) {}
    pub(super) fn defaults(&self) -> GenerationParams {
        GenerationParams::default()
    }
    pub(super) fn submit(&self, _: &Value) -> R<Job> {
        absent()
    }
    pub(super) fn rerun(&self, _: &str) -> R<Job> {
        absent()
    }
    pub(super) fn job(&self, _: &str) -> R<Job> {
        absent()
    }
    pub(super) fn jobs(&self, _: usize) -> R<Vec<Job>> {
        absent()
    }
    pub(super) fn cancel(&self, _: &str) -> R<Job> {
        absent()
    }
    pub(super) fn songs(&self, _: &SongFilter) -> R<SongList> {
        absent()
    }
    pub(super) fn song(&self, _: &str) -> R<Song> {
        absent()
    }
    pub(super) fn update_song(&self, _: &str, _: Option<String>, _: Option<bool>) -> R<Song> {
        absent()
    }
    pub(super) fn delete_song(&self, _: &str) -> R<()> {
        absent()
    }
    pub(super) fn draft(&self) -> R<Option<Value>> {
        absent()
    }
    pub(super) fn save_draft(&self, _: &Value) -> R<()> {
        absent()
    }
}

fn absent<T>() -> R<T> {
    Err(ApiError(UserError::new(
        "internal",
        "The page was served without its studio.",
        "Start the program again.",
    )))
}

/// The studio of this server.
pub(super) fn studio() -> Result<Studio, ApiError> {
    absent()
}

/// A studio failure in the user's words.
pub(super) fn user(error: ApiError) -> ApiError {
    error
}
