//! Jobs and their states.

use serde::{Deserialize, Serialize};

use crate::{error::UserError, event::Progress, generation::GenerationParams, note::Note};

/// Opaque and global (UUID v7 text); made by studio.
pub type JobId = String;

/// The life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for the device.
    Queued,
    /// On the device.
    Running,
    /// Every song is safe.
    Done,
    /// Stopped by an error.
    Failed,
    /// Stopped by the user.
    Cancelled,
    /// The program ended while it ran; it can be run again with its seeds.
    Interrupted,
}

impl JobState {
    /// True once nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Whether a job may move from here to `next`.
    pub const fn allows(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::Queued,
                Self::Running | Self::Cancelled | Self::Failed | Self::Interrupted
            ) | (
                Self::Running,
                Self::Done | Self::Failed | Self::Cancelled | Self::Interrupted
            )
        )
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Done,
            Self::Failed,
            Self::Cancelled,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }
}

/// A job as listed and answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// When it was submitted, RFC 3339.
    pub created_at: String,
    /// Place in the queue, 1 = next; absent unless queued.
    pub queue_position: Option<usize>,
    /// The parameters after clamping.
    pub params: GenerationParams,
    /// One seed per song, settled at submission.
    pub seeds: Vec<u32>,
    /// What was clamped, lowered or ignored.
    pub notes: Vec<Note>,
    /// The last progress, while running.
    pub progress: Option<Progress>,
    /// Songs finished so far, by place in the batch.
    pub song_ids: Vec<String>,
    /// Why it failed.
    pub error: Option<UserError>,
    /// Sequence number of its last event: where a stream may resume.
    pub last_seq: u64,
}

#[cfg(test)]
mod tests {
    use super::JobState::{Cancelled, Done, Failed, Interrupted, Queued, Running};

    #[test]
    fn a_finished_job_never_moves_again() {
        for from in [Done, Failed, Cancelled, Interrupted] {
            for to in [Queued, Running, Done, Failed, Cancelled, Interrupted] {
                assert!(!from.allows(to), "{from:?} to {to:?}");
            }
        }
        assert!(Queued.allows(Running) && Running.allows(Done) && !Queued.allows(Done));
    }
}
