//! Jobs and their states.

use serde::{Deserialize, Serialize};

use crate::{
    error::UserError, event::Progress, generation::GenerationParams, note::Note,
    song_plan::SongPlan,
};

/// Opaque and global (UUID v7 text); made by studio.
pub type JobId = String;

/// Most runs that may follow one with its settings: a forgotten studio stops by itself.
pub const MAX_REPEATS: u32 = 99;

/// What a job makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Songs.
    #[default]
    Generate,
    /// By the language model alone: caption and lyrics written anew, metadata filled in.
    Format,
    /// By the language model alone: a whole song on paper for a description, which is the caption.
    Sample,
    /// By the language model: metadata and lyrics of audio codes or of a song.
    Understand,
    /// Audio codes of a song.
    Encode,
    /// When the words of a song are sung.
    LyricsTiming,
    /// How well a song does what was asked.
    Score,
}

impl JobKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Generate,
        Self::Format,
        Self::Sample,
        Self::Understand,
        Self::Encode,
        Self::LyricsTiming,
        Self::Score,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Format => "format",
            Self::Sample => "sample",
            Self::Understand => "understand",
            Self::Encode => "encode",
            Self::LyricsTiming => "lyrics_timing",
            Self::Score => "score",
        }
    }

    /// Nothing can be made of this kind without a language model.
    pub const fn needs_lm(self) -> bool {
        matches!(self, Self::Format | Self::Sample | Self::Understand)
    }

    /// What is written may go on to the songs of it ([`Job::then_generate`]).
    pub const fn may_go_on(self) -> bool {
        matches!(self, Self::Format | Self::Sample)
    }

    /// A recording is listened to, for its codes or in words.
    pub const fn listens(self) -> bool {
        matches!(self, Self::Encode | Self::Understand)
    }

    /// What it finds out is kept with a song of the library.
    pub const fn is_kept_with_song(self) -> bool {
        matches!(self, Self::LyricsTiming | Self::Score)
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

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
    /// What it makes.
    #[serde(default)]
    pub kind: JobKind,
    /// Its state.
    pub state: JobState,
    /// When it was submitted, RFC 3339.
    pub created_at: String,
    /// Place in the queue, 1 = next; absent unless queued.
    pub queue_position: Option<usize>,
    /// Seconds it takes once its turn has come, where that is known; absent unless queued.
    #[serde(default)]
    pub expected_secs: Option<f64>,
    /// It runs and was asked to stop, which it does at its next step or tile.
    #[serde(default)]
    pub cancelling: bool,
    /// Its turn came: of one that was cancelled or interrupted before, nothing is lost but its place.
    #[serde(default)]
    pub begun: bool,
    /// How it ended was seen and put away.
    #[serde(default)]
    pub dismissed: bool,
    /// The parameters after clamping.
    pub params: GenerationParams,
    /// One seed per song, settled at submission.
    pub seeds: Vec<u32>,
    /// What was clamped, lowered or ignored.
    pub notes: Vec<Note>,
    /// The last progress, while running.
    pub progress: Option<Progress>,
    /// What the language model wrote; absent until it has.
    #[serde(default)]
    pub plan: Option<SongPlan>,
    /// The song or upload that is listened to, of the kinds that listen; the song that is made once more,
    /// of one that makes songs.
    #[serde(default)]
    pub source_song_id: Option<String>,
    /// Codes that were heard in it, as text; empty without.
    #[serde(default)]
    pub audio_codes: String,
    /// Of a sample or of formatted texts: songs are made of them at once.
    #[serde(default)]
    pub then_generate: bool,
    /// The job that makes them, or that follows with the same settings, once it is queued.
    #[serde(default)]
    pub next_job_id: Option<JobId>,
    /// Runs that follow this one, each with its settings and new seeds. The next is queued when this
    /// one is done, behind all that waits then; a run that fails or is cancelled has none.
    #[serde(default)]
    pub repeat: u32,
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
