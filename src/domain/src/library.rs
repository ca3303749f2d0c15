//! Songs as kept and listed.

use serde::{Deserialize, Serialize};

use crate::{generation::GenerationParams, memory::HostDevice, note::Note, song_plan::SongPlan};

/// A song that is safe on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Song {
    /// Opaque, sortable by age.
    pub id: String,
    /// The job that made it.
    pub job_id: String,
    /// Place in the job's batch, from 0.
    pub item: usize,
    /// Shown name: the first words of the caption until renamed.
    pub title: String,
    /// When it was saved, RFC 3339.
    pub created_at: String,
    /// Length of the file.
    pub duration_secs: f64,
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels of the file.
    pub channels: u16,
    /// Format key (`wav`, `wav24`, `wav32`, `flac`, `mp3`).
    pub audio_format: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// The seed of this song.
    pub seed: u32,
    /// Parameters as used, with this song's seed.
    pub params: GenerationParams,
    /// What the language model wrote for it, beside what was asked in `params`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<SongPlan>,
    /// The audio codes the language model wrote for it, as text; empty without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audio_codes: String,
    /// Model and program that made it.
    pub provenance: Provenance,
    /// What is heard, in figures.
    pub report: Report,
    /// What was clamped, lowered or ignored.
    pub notes: Vec<Note>,
    /// Memory of the run, planned and measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryReport>,
    /// 256 peaks over the song, 0 to 1, for the drawn wave.
    pub peaks: Vec<f32>,
    /// Marked by the user.
    pub favourite: bool,
}

/// What made a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub app_version: String,
    /// DiT folder name.
    pub model: String,
    /// Language model that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<String>,
    /// Device, for example `cpu`.
    pub device: String,
    /// Number format of the weights in use.
    pub quantization: String,
    /// Steps that were really run.
    pub steps: usize,
}

/// Figures of a finished song.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Report {
    /// Largest absolute sample of the file, 0 to 1.
    pub peak: f32,
    /// Root mean square of the file.
    pub rms: f32,
    /// Gain applied to the network's output.
    pub gain: f32,
    /// Seconds the language model wrote (the whole batch).
    #[serde(default)]
    pub language_model_secs: f32,
    /// Seconds spent on text and conditions.
    pub prepare_secs: f32,
    /// Seconds spent in the diffusion loop (the whole batch).
    pub diffusion_secs: f32,
    /// Seconds spent decoding this song.
    pub decode_secs: f32,
}

/// Memory of the run that made a song, up to this song.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// The peak that was planned.
    pub planned_bytes: HostDevice,
    /// The most main memory that the program held, mapped files included; absent where the system
    /// does not say.
    pub measured_host_bytes: Option<u64>,
}

/// A list of songs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SongList {
    /// The songs.
    pub songs: Vec<Song>,
}
