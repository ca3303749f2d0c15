//! What is loaded, how many jobs there are, and whether the program is there.

use std::collections::BTreeMap;

use acestep_domain::{job::JobState, library::Song};
use acestep_studio::{SongFilter, Studio};
use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::envelope::{now_ms, wrap};
use crate::api::error::Result;

/// Seconds of a job before one was measured, as in the official program.
const UNMEASURED_SECS: f64 = 5.0;
/// Songs whose jobs are averaged.
const WINDOW: usize = 50;

/// `GET /v1/models`: what can be asked for, which is what is loaded.
pub(super) async fn models(State(studio): State<Studio>) -> Json<Value> {
    let status = studio.status();
    let models = status.model.iter().map(|model| {
        json!({
            "id": format!("acestep/{}", model.name),
            "name": model.name,
            "created": now_ms() / 1000,
            "input_modalities": ["text", "audio"],
            "output_modalities": ["audio", "text"],
            "context_length": 4096,
            "max_output_length": 300,
            "pricing": { "prompt": "0", "completion": "0", "request": "0" },
            "description": format!("ACE-Step music generation with {}", model.name),
        })
    });
    Json(json!({ "object": "list", "data": models.collect::<Vec<_>>() }))
}

/// `GET /v1/stats`.
pub(super) async fn stats(State(studio): State<Studio>) -> Result<Json<Value>> {
    let tally = studio.tally()?;
    let filter = SongFilter {
        limit: WINDOW,
        ..SongFilter::default()
    };
    let songs = studio.songs(&filter)?.songs;
    Ok(wrap(json!({
        "jobs": {
            "total": tally.total(),
            "queued": tally.of(&[JobState::Queued]),
            "running": tally.of(&[JobState::Running]),
            "succeeded": tally.of(&[JobState::Done]),
            "failed": tally.of(&[JobState::Failed, JobState::Interrupted]),
            "cancelled": tally.of(&[JobState::Cancelled]),
        },
        "queue_size": tally.waiting,
        "queue_maxsize": tally.limit,
        "avg_job_seconds": average_secs(&songs),
    })))
}

/// Mean of what the jobs of `songs` took.
fn average_secs(songs: &[Song]) -> f64 {
    let mut jobs: BTreeMap<&str, f64> = BTreeMap::new();
    for song in songs {
        let report = &song.report;
        // The stages before decoding are those of the whole batch.
        let whole = report.language_model_secs + report.prepare_secs + report.diffusion_secs;
        let secs = jobs.entry(&song.job_id).or_insert_with(|| f64::from(whole));
        *secs += f64::from(report.decode_secs);
    }
    if jobs.is_empty() {
        return UNMEASURED_SECS;
    }
    jobs.values().sum::<f64>() / jobs.len() as f64
}

/// `GET /health`, open to all; so it tells nothing but that the program answers.
pub(super) async fn health() -> Json<Value> {
    wrap(json!({ "status": "ok", "service": "ACE-Step API", "version": "1.0" }))
}
