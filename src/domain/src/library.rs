//! Songs as kept and listed.

use serde::{Deserialize, Serialize};

use crate::{
    generation::GenerationParams,
    lora::LoraUse,
    memory::HostDevice,
    note::Note,
    song_plan::SongPlan,
    timed_lyrics::{LyricLine, Scores},
};

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
    /// Its lyrics with their times; empty until they are timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lyric_lines: Vec<LyricLine>,
    /// How it was scored, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
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

impl Song {
    /// The request that makes the same sound once more: what the language model wrote for this song is
    /// given, so that nothing is left for it to write, and the only seed is this song's.
    pub fn recipe(&self) -> GenerationParams {
        let mut params = self.params.clone();
        params.seeds = vec![self.seed];
        // Those that acted, by their files; what is in use today is another matter.
        params.loras = Some(self.provenance.loras.clone());
        recipe(params, self.plan.as_ref(), &self.audio_codes)
    }
}

/// `params` with what a language model wrote for a song of theirs, so that nothing is left for it to
/// write. The seed is the song's already.
pub fn recipe(
    mut params: GenerationParams,
    plan: Option<&SongPlan>,
    audio_codes: &str,
) -> GenerationParams {
    if let Some(plan) = plan {
        plan.fill_numbers(&mut params);
        if params.use_cot_caption {
            plan.fill_caption(&mut params);
        }
        if params.use_cot_language {
            plan.fill_language(&mut params);
        }
    }
    if !audio_codes.is_empty() {
        audio_codes.clone_into(&mut params.audio_codes);
    }
    params.thinking = false;
    params.use_cot_metas = false;
    params.batch_size = 1;
    params
}

/// What made a song.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub app_version: String,
    /// DiT folder name.
    pub model: String,
    /// Language model that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<String>,
    /// Adapters that took part, each with the hash of its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraUse>,
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
    /// Largest level between samples too (ITU-R BS.1770, annex 2); above 1 some players clip.
    #[serde(default)]
    pub true_peak: f32,
    /// Integrated loudness in LUFS (EBU R 128); none below 400 ms and in silence.
    #[serde(default)]
    pub loudness_lufs: Option<f32>,
    /// The mean of the channel furthest from zero, -1 to 1.
    #[serde(default)]
    pub dc_offset: f32,
    /// Samples in runs of three and more at full scale: a wave that was cut.
    #[serde(default)]
    pub clipped_samples: u64,
    /// The longest stretch below -60 dBFS.
    #[serde(default)]
    pub longest_silence_secs: f32,
    /// Gain applied to the network's output; without it the song is raw.
    pub gain: f32,
    /// Integrated loudness before the gain, in LUFS; none where there is none of the file.
    #[serde(default)]
    pub raw_loudness_lufs: Option<f32>,
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
    /// The most that the program held of the card; absent without one and where its driver does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_device_bytes: Option<u64>,
}

/// Settings that a file holds: a song of ours, or parameters as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundSettings {
    /// The song's title, where the file says one.
    #[serde(default)]
    pub title: Option<String>,
    /// The parameters; what the file does not say has its default.
    pub params: GenerationParams,
    /// What was ignored or not understood.
    pub notes: Vec<Note>,
}

/// Largest sum of all files that were sent in and are kept.
pub const MAX_UPLOADS_BYTES: u64 = 8 << 30;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Bpm;

    #[test]
    fn a_recipe_leaves_nothing_to_the_language_model() {
        let song: Song = serde_json::from_value(serde_json::json!({
            "id": "1", "job_id": "1", "item": 1, "title": "x", "created_at": "", "duration_secs": 10.0,
            "sample_rate_hz": 48000, "channels": 2, "audio_format": "wav", "size_bytes": 1, "seed": 8,
            "params": { "batch_size": 2, "seed": 8, "caption": "waltz", "thinking": true },
            "plan": { "bpm": 92, "caption": "a slow waltz", "duration_secs": 10 },
            "audio_codes": "<|audio_code_1|>",
            "provenance": { "app_version": "", "model": "m", "device": "cpu", "quantization": "none", "steps": 8 },
            "report": { "peak": 0.9, "rms": 0.1, "gain": 1.0, "prepare_secs": 0.1, "diffusion_secs": 1.0, "decode_secs": 1.0 },
            "notes": [], "peaks": [], "favourite": false
        }))
        .unwrap();
        let recipe = song.recipe();
        assert!(!recipe.lm_plans() && !recipe.lm_writes_codes());
        assert_eq!((recipe.batch_size, recipe.seeds.as_slice()), (1, &[8][..]));
        assert_eq!(recipe.caption, "a slow waltz");
        assert_eq!(recipe.bpm, Some(Bpm(92)));
        assert_eq!(recipe.duration_secs, Some(10.0));
        assert_eq!(recipe.audio_codes, "<|audio_code_1|>");
        assert_eq!(
            recipe.loras,
            Some(Vec::new()),
            "none, whatever is loaded now"
        );
        let mut tape = crate::lora::LoraUse::new("tape", 0.5);
        tape.hash = Some("ab".to_owned());
        let mut with = song;
        with.provenance.loras = vec![tape.clone()];
        assert_eq!(with.recipe().loras, Some(vec![tape]));
    }
}
