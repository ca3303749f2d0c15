//! Songs as kept and listed.

use serde::{Deserialize, Serialize};

use crate::{generation::GenerationParams, note::Note, song_plan::SongPlan};

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
    /// Recordings it was made from, as they were when it was made; they may be gone since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_from: Vec<MadeFrom>,
    /// Model and program that made it.
    pub provenance: Provenance,
    /// What is heard, in figures.
    pub report: Report,
    /// What was clamped, lowered or ignored.
    pub notes: Vec<Note>,
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

/// Largest file that may be sent in: ten minutes of stereo floats at 96 kHz.
pub const MAX_UPLOAD_BYTES: u64 = 512 << 20;

/// Days after which an upload is removed; one that a waiting or running job needs stays until that is
/// over.
pub const UPLOAD_KEPT_DAYS: u32 = 7;

/// A recording that was sent in. Its id is what `src_audio` and `reference_audio` name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Opaque and global; no song has the same.
    pub id: String,
    /// The file's name as it was sent, without folders.
    pub name: String,
    /// When it was sent, RFC 3339.
    pub created_at: String,
    /// When it is removed, RFC 3339; see [`UPLOAD_KEPT_DAYS`].
    pub expires_at: String,
    /// Length of what could be read.
    pub duration_secs: f64,
    /// The file's own samples per second.
    pub sample_rate_hz: u32,
    /// The file's own channels; of more than two the first two are used.
    pub channels: u16,
    /// Size of the file.
    pub size_bytes: u64,
    /// Media type by the file's first bytes, for example `audio/flac`.
    pub media_type: String,
    /// 256 peaks, 0 to 1, for the drawn wave.
    pub peaks: Vec<f32>,
    /// What was left out or is missing, for example `audio_cut_off`.
    pub notes: Vec<Note>,
}

/// A list of uploads, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadList {
    /// The uploads.
    pub uploads: Vec<Upload>,
}

/// What a recording is to the studio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingKind {
    /// Sent in.
    Upload,
    /// A song of the library.
    Song,
}

/// A recording that a song was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The parameter that named it: `src_audio` or `reference_audio`.
    pub field: String,
    /// Its id.
    pub id: String,
    /// Upload or song.
    pub kind: RecordingKind,
    /// The upload's name or the song's title.
    pub name: String,
    /// Its length.
    pub duration_secs: f64,
}

/// A list of songs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SongList {
    /// The songs.
    pub songs: Vec<Song>,
}
