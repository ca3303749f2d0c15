//! What is loaded.

use serde::{Deserialize, Serialize};

use crate::task::{Family, TaskType};

/// The loaded model, as the page and the API need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedModel {
    /// DiT folder name.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// Tasks it can do in this build.
    pub tasks: Vec<TaskType>,
    /// Built into the binary.
    pub built_in: bool,
    /// Samples per second of its songs.
    pub sample_rate_hz: u32,
    /// Channels of its songs.
    pub channels: usize,
    /// Parameters of all networks.
    pub parameters: u64,
    /// Bytes of its weights in memory.
    pub weights_bytes: u64,
    /// Number format in use, for example `f32`.
    pub dtype: String,
    /// Attention in use, for example `streaming (CPU)`.
    pub attention: String,
    /// It can follow audio codes and hear them in a song.
    #[serde(default)]
    pub audio_codes: bool,
    /// It is known where it looks for the words, so lyrics can be timed.
    #[serde(default)]
    pub times_lyrics: bool,
}

/// The loaded language model, as the page and the API need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedLm {
    /// Folder name.
    pub name: String,
    /// Built into the binary.
    pub built_in: bool,
    /// Parameters of the network.
    pub parameters: u64,
    /// Bytes of its weights in memory.
    pub weights_bytes: u64,
    /// Number format in use, for example `f32`.
    pub dtype: String,
    /// Tokens that a prompt and its answer may have together.
    pub context_tokens: usize,
    /// It can write audio codes and the loaded DiT can use them; else metadata and text only.
    pub has_codes: bool,
}
