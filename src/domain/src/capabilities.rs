//! What this build and this machine can do, with the reason for each no.

use serde::{Deserialize, Serialize};

use crate::{
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

/// Yes, or no with the reason and what would change it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Availability {
    /// Whether it can be used.
    pub available: bool,
    /// What it does on this device, or why it cannot be used.
    pub detail: String,
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
    /// VRAM of the card, read or simulated.
    pub vram: Vram,
    /// Free memory of the card or host in GiB, when known.
    pub free_gib: Option<f64>,
    /// The tier of the guide.
    pub tier: GpuTier,
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
    /// Allowed by the tier; the built-in one is small enough for all, and a machine without a card has
    /// no memory of a card to spare.
    pub within_tier: bool,
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
