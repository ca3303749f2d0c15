//! What a run needs of memory and time, told before it starts.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{event::Stage, generation::clamp::minutes, note::Note, tier::size_text};

/// A network, or the networks of audio codes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The 5 Hz language model.
    LanguageModel,
    /// The text encoder.
    TextEncoder,
    /// The condition encoder.
    ConditionEncoder,
    /// The diffusion model.
    Dit,
    /// Codes to latents and back.
    AudioCodes,
    /// The autoencoder.
    Vae,
}

impl Network {
    /// Its name for a user.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LanguageModel => "language model",
            Self::TextEncoder => "text encoder",
            Self::ConditionEncoder => "condition encoder",
            Self::Dit => "DiT",
            Self::AudioCodes => "audio codes",
            Self::Vae => "VAE",
        }
    }
}

/// Bytes of host memory and of a card's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostDevice {
    /// Main memory.
    pub host: u64,
    /// The card's; 0 where the processor does the work.
    pub device: u64,
}

impl HostDevice {
    /// Bytes of the memory that the networks run in.
    pub const fn at_work(self) -> u64 {
        if self.device > 0 {
            self.device
        } else {
            self.host
        }
    }
}

/// A stage of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageMemory {
    /// Which.
    pub stage: Stage,
    /// The most that is in use during it, in the memory that the networks run in.
    pub peak_bytes: u64,
    /// How long it takes on this machine, see [`TimePlan`]; absent where that is not known.
    pub secs: Option<f64>,
}

/// What to change for a smaller need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Smaller {
    /// Settings and parameters to change, in the order they are shown.
    pub changes: Vec<Change>,
    /// The need then.
    pub expected_peak_bytes: HostDevice,
    /// The changes in words, without a full stop, for example `offload_to_cpu true and quantization int8`.
    pub message: String,
}

/// One setting or parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its key.
    pub field: String,
    /// Its new value.
    pub value: Value,
}

impl Change {
    /// Says that it was made by the user's consent to a run that did not fit; `name` is what he calls the field.
    pub fn lowered_to_fit(&self, name: &str, asked: &dyn Display, used: &dyn Display) -> Note {
        Note::new(
            "lowered_to_fit",
            &self.field,
            format!("{name}: asked {asked}, using {used}, so that it fits into the memory."),
        )
        .with("asked", asked)
        .with("used", used)
        .with("why", "memory")
    }
}

/// Says that a language model plans no song of more than `longest_secs` where the length is left open, since no
/// more fits into the memory, though the limit is `limit_secs`.
pub fn planned_to_fit(longest_secs: u32, limit_secs: u32) -> Note {
    let [longest, limit] = [longest_secs, limit_secs].map(|secs| minutes(f64::from(secs)));
    Note::new(
        "planned_to_fit",
        "duration",
        format!(
            "Length: left open, and no more than {longest} fit into the memory, so the language model plans no longer song; the limit is {limit}."
        ),
    )
    .with("used", longest)
    .with("limit", limit)
}

/// A program beside this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherProgram {
    /// Its name, as the system lists it.
    pub name: String,
    /// Memory that all of its processes hold.
    pub bytes: u64,
}

/// What other programs use, the largest by name: `3.2 GiB (chrome 1.9 GiB, python3 820 MiB)`.
pub fn in_use_by_others(bytes: u64, largest: &[OtherProgram]) -> String {
    let names: Vec<_> = largest
        .iter()
        .map(|program| format!("{} {}", program.name, size_text(program.bytes)))
        .collect();
    if names.is_empty() {
        size_text(bytes)
    } else {
        format!("{} ({})", size_text(bytes), names.join(", "))
    }
}

/// The memory plan of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The most that will be in use.
    pub expected_peak_bytes: HostDevice,
    /// What can be had in the memory that the networks run in: what nobody uses, and what this
    /// program holds of it already.
    pub free_bytes: u64,
    /// What other programs use of it.
    #[serde(default)]
    pub others_bytes: u64,
    /// Where it does not fit: those of them that use the most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_programs: Vec<OtherProgram>,
    /// The run fits.
    pub fits: bool,
    /// Stages in their order.
    pub stages: Vec<StageMemory>,
    /// Networks that stay loaded.
    pub resident: Vec<Network>,
    /// Networks that are read for their stage and dropped after it.
    pub moved: Vec<Network>,
    /// Latent frames that are decoded at once.
    pub vae_tile_frames: usize,
    /// Of the language model's peak: what it keeps of the tokens.
    pub lm_cache_bytes: u64,
    /// Where it fits, the next smaller plan; where it does not, the smallest change that would.
    pub next_smaller: Option<Smaller>,
    /// Where it does not fit: the least change to number and length of the songs that would, as the models
    /// are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowered: Option<Smaller>,
    /// What was decided, and who else uses the memory.
    pub notes: Vec<Note>,
}

/// How long a run takes on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimePlan {
    /// Seconds of each stage that takes part.
    #[serde(flatten)]
    pub stages: BTreeMap<Stage, f64>,
    /// Seconds of all of them.
    pub total: f64,
    /// By what runs took on this machine; else estimated from what the machine can do.
    pub measured: bool,
}

impl TimePlan {
    /// The sum of `stages`, without those that take none.
    pub fn of(stages: impl IntoIterator<Item = (Stage, f64)>, measured: bool) -> Self {
        let stages: BTreeMap<Stage, f64> =
            stages.into_iter().filter(|(_, secs)| *secs > 0.0).collect();
        Self {
            total: stages.values().sum(),
            stages,
            measured,
        }
    }
}

/// What a run needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Of memory.
    #[serde(flatten)]
    pub memory: MemoryPlan,
    /// Of time; absent where no run was measured and nothing can be estimated (a card).
    pub time: Option<TimePlan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_travels_as_stages_and_their_sum() {
        let stages = [
            (Stage::Diffusion, 12.5),
            (Stage::Decode, 2.5),
            (Stage::LanguageModel, 0.0),
        ];
        let time = TimePlan::of(stages, true);
        let json = serde_json::to_value(&time).unwrap();
        let told = serde_json::json!({
            "diffusion": 12.5, "decode": 2.5, "total": 15.0, "measured": true
        });
        assert_eq!(json, told);
        assert_eq!(serde_json::from_value::<TimePlan>(json).unwrap(), time);
    }
}
