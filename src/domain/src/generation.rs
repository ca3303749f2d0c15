//! The parameters of one run, as asked and as used.
//!
//! The wire keeps the original's key names and spellings (`duration: -1`, `keyscale: ""`), so files
//! travel both ways; inside, "the model decides" is `None`. Reading lenient JSON is in [`read`].

pub mod acting;
pub mod clamp;
pub mod inputs;
pub mod lm_room;
pub mod read;
mod wire;

use serde::{Deserialize, Serialize};

use crate::{
    lora::LoraUse,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
    region::RepaintMode,
    task::TaskType,
};

/// How velocity is turned into steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InferMethod {
    /// Euler steps along the flow; no fresh noise.
    #[default]
    Ode,
    /// Each step goes to the clean estimate and adds fresh noise.
    Sde,
}

/// File formats of a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioFormat {
    /// MPEG layer 3.
    #[default]
    Mp3,
    /// Lossless, 16 bit.
    Flac,
    /// 16 bit PCM.
    Wav,
    /// 24 bit PCM.
    Wav24,
    /// 32 bit float.
    Wav32,
}

/// Everything that decides how a run sounds. `Default` is the turbo family's set without a tier;
/// a form starts from [`crate::defaults::defaults`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationParams {
    /// What is made from what.
    pub task_type: TaskType,
    /// Style, mood, instruments.
    pub caption: String,
    /// Words to sing with `[Section]` lines.
    pub lyrics: String,
    /// No vocals, whatever the lyrics say.
    pub instrumental: bool,
    /// Language of the vocals.
    pub vocal_language: Language,
    /// Tempo; `None` = the model decides.
    pub bpm: Option<Bpm>,
    /// Key; `None` = the model decides.
    #[serde(with = "wire::keyscale")]
    pub keyscale: Option<KeyScale>,
    /// Beats of a bar; `None` = the model decides.
    #[serde(with = "wire::timesignature")]
    pub timesignature: Option<TimeSignature>,
    /// Length in seconds; `None` = the model decides.
    #[serde(rename = "duration", with = "wire::duration")]
    pub duration_secs: Option<f64>,
    /// Songs of one run.
    pub batch_size: usize,
    /// Diffusion steps.
    pub inference_steps: usize,
    /// One seed per song; songs without one get a random seed at submission.
    #[serde(rename = "seed", with = "wire::seeds")]
    pub seeds: Vec<u32>,
    /// Guidance of base models; 1 = off.
    pub guidance_scale: f64,
    /// Angle-based guidance in place of APG.
    pub use_adg: bool,
    /// Guidance acts where `start <= t <= end` (t = 1 is pure noise).
    pub cfg_interval_start: f64,
    /// See `cfg_interval_start`.
    pub cfg_interval_end: f64,
    /// Moves the steps towards the noisy end.
    pub shift: f64,
    /// ODE or SDE.
    pub infer_method: InferMethod,
    /// Own timesteps from 1 down; they replace steps and shift.
    pub timesteps: Option<Vec<f64>>,
    /// Raises the finished song to -1 dBFS; off only prevents clipping.
    pub normalize: bool,
    /// Loudness in LUFS (EBU R 128) that the finished song is brought to, in place of `normalize`, as
    /// far as its true peak stays at or below -1 dBTP; `None` = by its peak alone.
    pub target_lufs: Option<f64>,
    /// File format.
    pub audio_format: AudioFormat,
    /// Each finished song's lyrics are timed.
    pub auto_lrc: bool,
    /// Each finished song is scored.
    pub auto_score: bool,
    /// What a score's differences are divided by: lower is more sensitive.
    pub score_scale: f64,
    /// What the task works on; see [`inputs`]. At the API the id of an upload or of a song of the
    /// library, on the command line a file.
    pub src_audio: Option<String>,
    /// Recordings whose sound the song takes on, named like `src_audio`.
    #[serde(with = "wire::one_or_many")]
    pub reference_audio: Vec<String>,
    /// Start of the region in seconds; below 0 it begins before the source.
    pub repainting_start: f64,
    /// End of the region in seconds; `None` = end of the source. Behind it the song is lengthened.
    #[serde(with = "wire::region_end")]
    pub repainting_end: Option<f64>,
    /// How firmly a repaint holds the rest.
    pub repaint_mode: RepaintMode,
    /// Freedom of the balanced mode: 0 holds like conservative, 1 like aggressive.
    pub repaint_strength: f64,
    /// Share of the steps that follow the source.
    pub audio_cover_strength: f64,
    /// How much of the source's own sound a cover starts from: 0 = from noise alone.
    pub cover_noise_strength: f64,
    /// Track of lego and extract.
    pub track_name: Option<String>,
    /// Tracks of complete.
    pub complete_track_classes: Vec<String>,
    /// 5 Hz codes as text.
    pub audio_codes: String,
    /// The LM writes codes.
    pub thinking: bool,
    /// Seed of what the LM plans for all songs of a run; `None` = the first song's. The codes of a song
    /// are written by the song's own seed.
    pub lm_seed: Option<u32>,
    /// LM sampling temperature.
    pub lm_temperature: f64,
    /// LM guidance.
    pub lm_cfg_scale: f64,
    /// LM top-k, 0 = off.
    pub lm_top_k: usize,
    /// LM top-p, 1 = off.
    pub lm_top_p: f64,
    /// LM repetition penalty, 1 = off.
    pub lm_repetition_penalty: f64,
    /// What the LM is steered away from.
    pub lm_negative_prompt: String,
    /// The LM fills empty metadata.
    pub use_cot_metas: bool,
    /// The LM rewrites the caption.
    pub use_cot_caption: bool,
    /// The LM detects the language.
    pub use_cot_language: bool,
    /// The LM's plan follows its grammar; off, it writes freely and what it wrote is read leniently.
    pub use_constrained_decoding: bool,
    /// The decoder writes to the program's log, at the level debug, how each token of the LM came about.
    pub constrained_decoding_debug: bool,
    /// Adapters and their scales; `None` = those that are loaded.
    pub loras: Option<Vec<LoraUse>>,
}

impl Default for GenerationParams {
    fn default() -> Self {
        crate::defaults::defaults(crate::task::Family::Turbo, crate::tier::GpuTier::Unlimited)
    }
}

impl GenerationParams {
    /// Whether the task leaves anything to a language model: a cover or repaint takes caption and
    /// words as they are.
    pub const fn task_uses_lm(&self) -> bool {
        !matches!(
            self.task_type,
            TaskType::Cover | TaskType::Repaint | TaskType::Extract
        )
    }

    /// The language of what is sung: with instrumental on nobody sings, so none is told to a model.
    pub const fn sung_language(&self) -> Language {
        if self.instrumental {
            Language::UNKNOWN
        } else {
            self.vocal_language
        }
    }

    /// A loaded language model plans metadata first (planner.md 3.3): some of tempo, length, key and
    /// signature are open, and it is asked to fill them.
    pub fn lm_plans(&self) -> bool {
        let open = self.bpm.is_none()
            || self.duration_secs.is_none()
            || self.keyscale.is_none()
            || self.timesignature.is_none();
        self.task_uses_lm() && self.use_cot_metas && open
    }

    /// The seed of what a language model plans for songs with `seeds`.
    pub fn plan_seed(&self, seeds: &[u32]) -> u32 {
        self.lm_seed.or(seeds.first().copied()).unwrap_or_default()
    }

    /// What makes the song with `seed` of a run with `seeds` again: `planned` says that a language model
    /// planned, which it would do by another seed for that song alone.
    #[must_use]
    pub fn of_song(&self, seed: u32, seeds: &[u32], planned: bool) -> Self {
        let plan_seed = self.plan_seed(seeds);
        Self {
            seeds: vec![seed],
            lm_seed: self
                .lm_seed
                .or_else(|| (planned && plan_seed != seed).then_some(plan_seed)),
            ..self.clone()
        }
    }

    /// A loaded language model writes the audio codes; given ones are used as they are. Only a new
    /// song has use for them: in other tasks they would stand in place of the source.
    pub fn lm_writes_codes(&self) -> bool {
        self.task_type == TaskType::Text2music
            && self.thinking
            && self.audio_codes.trim().is_empty()
    }
}

impl AudioFormat {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Mp3, Self::Flac, Self::Wav, Self::Wav24, Self::Wav32];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Wav24 => "wav24",
            Self::Wav32 => "wav32",
        }
    }

    /// The file extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Wav | Self::Wav24 | Self::Wav32 => "wav",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::Wav | Self::Wav24 | Self::Wav32 => "audio/wav",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}
