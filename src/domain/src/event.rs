//! What a job tells its listeners, in order. One stream for the page and the API.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{error::UserError, job::JobState, note::Note, song_plan::SongPlan};

/// The stages of a run, in their fixed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Text to embeddings, conditions.
    Prepare,
    /// The 5 Hz language model writes metadata or codes.
    LanguageModel,
    /// The diffusion loop.
    Diffusion,
    /// Latents to sound.
    Decode,
    /// Level, checks, encoding, writing.
    Save,
    /// Reading a checkpoint.
    Load,
    /// Sound to latents.
    Encode,
}

impl Stage {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::LanguageModel => "language_model",
            Self::Diffusion => "diffusion",
            Self::Decode => "decode",
            Self::Save => "save",
            Self::Load => "load",
            Self::Encode => "encode",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Progress inside one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Song of the batch, from 0.
    pub item: usize,
    /// Units finished (steps, tiles).
    pub done: usize,
    /// Units in all.
    pub total: usize,
    /// Share of the whole job, 0 to 1.
    pub fraction: f32,
    /// Seconds left for the whole job, when it can be told.
    pub eta_secs: Option<f32>,
    /// What the language model is writing, while it is its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<Writing>,
}

/// What the language model is writing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Writing {
    /// `bpm`, `caption`, `lyrics`, `codes`, ….
    pub field: String,
    /// All text so far; empty while codes are written.
    pub text: String,
    /// Tokens of each sequence so far.
    pub tokens: usize,
    /// Tokens in a second, of all sequences together.
    pub tokens_per_sec: f32,
}

/// One entry of a job's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Counts up from 1 within the job; a client resumes after the last one it saw.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The job's state changed.
    State {
        /// The new state.
        state: JobState,
    },
    /// A stage advanced.
    Progress(Progress),
    /// Something was clamped, lowered or ignored.
    Note {
        /// The note.
        note: Note,
    },
    /// The language model has written a plan.
    Plan {
        /// Caption, lyrics and metadata, the user's values as given.
        plan: SongPlan,
    },
    /// A song of the batch is safe on disk.
    Song {
        /// Its id in the library.
        song_id: String,
        /// Its place in the batch, from 0.
        item: usize,
    },
    /// The job failed.
    Error {
        /// Why, for the user.
        error: UserError,
    },
}
