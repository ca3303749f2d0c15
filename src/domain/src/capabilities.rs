//! What this build and this machine can do, with the reason for each no.

use serde::{Deserialize, Serialize};

use crate::{
    audio_codes,
    task::Family,
    tier::{GpuTier, LmSize, Vram},
};

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// An Apple GPU.
    Metal,
}

impl DeviceKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }
}

/// Yes, or no with the reason and what would change it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Availability {
    /// Whether it can be used.
    pub available: bool,
    /// What it does on this device, or why it cannot be used.
    pub detail: String,
}

/// An NVIDIA card of the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CardEntry {
    /// Place in the list of `nvidia-smi`; `--device cuda:INDEX` names it.
    pub index: u32,
    /// Product name.
    pub name: String,
    /// All of its memory.
    pub total_gib: f64,
    /// The one that this program uses where it uses a card.
    pub used: bool,
    /// Why it cannot be used; absent where it can.
    pub problem: Option<String>,
}

/// What this build and machine can do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// The best device this build can use.
    pub device: DeviceKind,
    /// Its name, for example `AMD EPYC, 2 threads`.
    pub device_name: String,
    /// Every device this build can use.
    pub devices: Vec<DeviceKind>,
    /// Every NVIDIA card of the machine, whether it is used or not.
    #[serde(default)]
    pub cards: Vec<CardEntry>,
    /// VRAM of the card, read or simulated.
    pub vram: Vram,
    /// Free memory of the card or host in GiB, when known.
    pub free_gib: Option<f64>,
    /// How fast main memory is read by all threads, in GB a second, where the processor does the work
    /// and this was measured.
    #[serde(default)]
    pub memory_gb_per_sec: Option<f64>,
    /// The tier of the guide.
    pub tier: GpuTier,
    /// Networks run in f32 because the card has no bf16.
    #[serde(default)]
    pub full_precision: bool,
    /// Fused attention.
    pub flash_attention: Availability,
    /// Weights waiting in host memory.
    pub offload_to_cpu: Availability,
    /// The same for the DiT.
    pub offload_dit_to_cpu: Availability,
    /// Fused and prepacked weights.
    pub compile: Availability,
    /// Smaller weights.
    pub quantization: Availability,
}

/// A DiT checkpoint that can be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Folder name, the value of `config_path`.
    pub name: String,
    /// Family by its config, else by its name.
    pub family: Family,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Inside the binary.
    pub built_in: bool,
    /// What is wrong with it; absent when it can load.
    pub problem: Option<String>,
}

/// A language model that can be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LmEntry {
    /// Folder name, the value of `lm_model_path`.
    pub name: String,
    /// Its size.
    pub size: LmSize,
    /// Bytes on disk, 0 when not installed.
    pub size_bytes: u64,
    /// In the checkpoints folder, or inside the binary.
    pub installed: bool,
    /// Inside the binary.
    #[serde(default)]
    pub built_in: bool,
    /// About how many seconds this processor takes for the codes of a minute of music; absent where a
    /// card does it, or nothing was measured.
    #[serde(default)]
    pub codes_secs_per_minute: Option<f64>,
    /// Allowed by the tier; the built-in one is small enough for all, and a machine without a card has
    /// no memory of a card to spare.
    pub within_tier: bool,
}

/// A code is one pass over all weights (planner.md 7.1): 300 of them, each bound by memory. A
/// released checkpoint holds 16 bits a weight and is computed in 32; a GGUF file stays as it is.
fn codes_secs_per_minute(name: &str, size: LmSize, size_bytes: u64, gb_per_sec: f64) -> f64 {
    const CODES: f64 = 60.0 * audio_codes::PER_SECOND;
    let on_disk = if size_bytes == 0 {
        size.bytes_per_code()
    } else {
        size_bytes
    };
    let is_gguf = name.to_ascii_lowercase().ends_with(".gguf");
    let widening = if is_gguf { 1.0 } else { 2.0 };
    CODES * on_disk as f64 * widening / (gb_per_sec * 1e9)
}

impl Capabilities {
    /// Whether a language model of `size` may load without the user's consent. The guide's list is
    /// about a card's memory; where there is no card, it is a matter of time.
    pub fn suits_lm(&self, size: LmSize) -> bool {
        self.vram.total_gib == 0.0 || self.tier.row().lm_sizes.contains(&size)
    }
}

impl LmEntry {
    /// One that is there: a folder of the checkpoints, or the one inside the binary.
    pub fn installed(
        name: String,
        size_bytes: u64,
        built_in: bool,
        machine: &Capabilities,
    ) -> Self {
        let size = LmSize::from_name(&name);
        Self {
            codes_secs_per_minute: machine
                .memory_gb_per_sec
                .map(|rate| codes_secs_per_minute(&name, size, size_bytes, rate)),
            name,
            size,
            size_bytes,
            installed: true,
            built_in,
            within_tier: built_in || machine.suits_lm(size),
        }
    }

    /// A released one that is not there.
    pub fn released(size: LmSize, machine: &Capabilities) -> Self {
        Self {
            installed: false,
            ..Self::installed(size.folder(), 0, false, machine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_name() {
        for device in [DeviceKind::Cpu, DeviceKind::Cuda, DeviceKind::Metal] {
            assert_eq!(serde_json::to_value(device).unwrap(), device.as_str());
        }
    }

    #[test]
    fn a_processor_is_told_how_long_codes_take_and_a_card_is_not() {
        let machine = Capabilities {
            memory_gb_per_sec: Some(20.0),
            ..Capabilities::default()
        };
        let entry = |name: &str, bytes| LmEntry::installed(name.to_owned(), bytes, false, &machine);
        let released = entry("acestep-5Hz-lm-0.6B", 1_200_000_000);
        assert_eq!(released.codes_secs_per_minute, Some(36.0));
        let small = entry("acestep-5Hz-lm-0.6B-Q8_0.gguf", 600_000_000);
        assert_eq!(small.codes_secs_per_minute, Some(9.0));
        let absent = LmEntry::released(LmSize::Large, &machine);
        assert!(absent.codes_secs_per_minute.unwrap() > 200.0);
        let card = LmEntry::released(LmSize::Large, &Capabilities::default());
        assert_eq!(card.codes_secs_per_minute, None);
    }
}
