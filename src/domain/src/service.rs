//! What the user asks of the service, and what it resolves to on this machine.

mod device;
mod loaded;
mod model;
mod named;

pub use device::{DeviceName, means_card};
pub use loaded::{LoadedLm, LoadedModel};
pub use named::check_names;
use serde::{Deserialize, Serialize};

use self::model::resolve_model;
use crate::{
    capabilities::{Capabilities, DeviceKind, LmEntry, ModelEntry},
    error::UserError,
    event::Progress,
    lora::LoraUse,
    note::Note,
    release::{Download, Downloadable},
    tier::{GpuTier, Limits, LmSize, Vram},
};

/// Which device to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The best this build can use.
    #[default]
    Auto,
    /// An NVIDIA card.
    Cuda,
    /// An Apple GPU; `mps` is the original's spelling.
    #[serde(alias = "metal")]
    Mps,
    /// The processor.
    Cpu,
}

/// Number format of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// As the checkpoint holds them.
    #[default]
    None,
    /// 8 bit (`Q8_0`).
    #[serde(alias = "q8_0", alias = "int8_weight_only")]
    Int8,
    /// 4 bit (`Q4_K`).
    #[serde(alias = "q4_k")]
    Int4,
}

/// What was asked for; `None` = the tier or the machine decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceConfig {
    /// DiT folder name.
    pub config_path: Option<String>,
    /// Device.
    pub device: DeviceChoice,
    /// Language model folder name.
    pub lm_model_path: Option<String>,
    /// Load a language model.
    pub init_llm: Option<bool>,
    /// Fused attention.
    pub use_flash_attention: Option<bool>,
    /// Weights wait in host memory.
    pub offload_to_cpu: Option<bool>,
    /// The DiT's too.
    pub offload_dit_to_cpu: Option<bool>,
    /// Fused and prepacked weights.
    pub compile: Option<bool>,
    /// Smaller weights.
    pub quantization: Option<Quantization>,
    /// An LM above the tier's list was confirmed by the user.
    pub lm_over_tier_confirmed: bool,
}

/// What the service will run with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resolved {
    /// DiT folder name.
    pub config_path: String,
    /// Device.
    pub device: DeviceKind,
    /// Language model folder name, when one is wanted.
    pub lm_model_path: Option<String>,
    /// A language model is wanted.
    pub init_llm: bool,
    /// Fused attention.
    pub use_flash_attention: bool,
    /// In f32 where half precision is usual: the card has no bf16.
    #[serde(default)]
    pub full_precision: bool,
    /// Weights wait in host memory.
    pub offload_to_cpu: bool,
    /// The DiT's too.
    pub offload_dit_to_cpu: bool,
    /// Fused and prepacked weights.
    pub compile: bool,
    /// Smaller weights.
    pub quantization: Quantization,
}

impl Resolved {
    /// The language model that is to be loaded.
    pub fn lm(&self) -> Option<&str> {
        self.lm_model_path.as_deref().filter(|_| self.init_llm)
    }

    /// The same in f32, where a card computes in half precision: for values that leave its range.
    pub fn in_full_precision(&self) -> Option<Self> {
        let half = self.device != DeviceKind::Cpu && !self.full_precision;
        half.then(|| Self {
            full_precision: true,
            ..self.clone()
        })
    }
}

/// The life of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Nothing loaded.
    #[default]
    NotInitialized,
    /// Loading; progress tells how far.
    Loading,
    /// Can generate.
    Ready,
    /// The last attempt failed; an older model may still be loaded.
    Failed,
}

/// Everything a client needs to draw the service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Version of this program.
    pub version: String,
    /// Where it is in its life.
    pub state: ServiceState,
    /// Loaded at start by `--init_service true`: the panel stays off the page. False once that has failed, since the
    /// user then has to choose.
    pub pre_initialized: bool,
    /// Opened to others by `--service_mode true`: what is loaded is the operator's choice alone.
    #[serde(default)]
    pub service_mode: bool,
    /// The tier.
    pub tier: GpuTier,
    /// VRAM.
    pub vram: Vram,
    /// Limits in force now (they follow the LM).
    pub limits: Option<Limits>,
    /// A language model is loaded.
    pub lm_loaded: bool,
    /// The loaded language model.
    #[serde(default)]
    pub lm: Option<LoadedLm>,
    /// Adapters in use for the next song.
    #[serde(default)]
    pub loras: Vec<LoraUse>,
    /// What this machine can do.
    pub capabilities: Capabilities,
    /// DiT checkpoints that can be chosen.
    pub models: Vec<ModelEntry>,
    /// Language models that can be chosen.
    pub lms: Vec<LmEntry>,
    /// What was asked.
    pub requested: ServiceConfig,
    /// What is in force, once resolved.
    pub resolved: Option<Resolved>,
    /// Clamps and fallbacks of the service.
    pub notes: Vec<Note>,
    /// The loaded model.
    pub model: Option<LoadedModel>,
    /// Progress of loading.
    pub progress: Option<Progress>,
    /// Why the last attempt failed.
    pub error: Option<UserError>,
    /// Jobs waiting.
    pub queue_length: usize,
    /// Released checkpoints that can be downloaded; none where the operator decides what there is.
    #[serde(default)]
    pub downloadable: Vec<Downloadable>,
    /// Downloads of this run and those that an earlier one left.
    #[serde(default)]
    pub downloads: Vec<Download>,
    /// Bytes that the disk of the checkpoints folder still takes.
    #[serde(default)]
    pub checkpoints_free_bytes: Option<u64>,
}

impl ServiceStatus {
    /// The Service Configuration panel belongs on the Generation page.
    pub fn shows_panel(&self) -> bool {
        !self.service_mode && !self.pre_initialized
    }
}

/// Names a machine has for the things to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    /// DiT checkpoints.
    pub models: &'a [ModelEntry],
    /// Language models.
    pub lms: &'a [LmEntry],
}

/// The released checkpoint preferred when none is named.
pub const DEFAULT_MODEL: &str = "acestep-v15-turbo";

/// The model inside the binary.
pub const DEMO_MODEL: &str = "acestep-v15-demo";

/// Weights above this many bytes are quantised when nobody says otherwise.
pub const QUANTIZE_ABOVE_BYTES: u64 = 1 << 30;

/// Defaults of the four switches: by the guide all on where there is a card; without one, offload and
/// quantisation have nothing to relieve and stay off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchDefaults {
    /// Fused attention.
    pub flash_attention: bool,
    /// Weights wait in host memory.
    pub offload_to_cpu: bool,
    /// The DiT's too.
    pub offload_dit_to_cpu: bool,
    /// Fused and prepacked weights.
    pub compile: bool,
    /// Smaller weights.
    pub quantization: Quantization,
}

/// The defaults for a machine with (`vram` above 0) or without a card.
pub fn switch_defaults(vram: Vram) -> SwitchDefaults {
    let card = vram.total_gib > 0.0;
    SwitchDefaults {
        flash_attention: true,
        offload_to_cpu: card,
        offload_dit_to_cpu: card,
        compile: true,
        quantization: if card {
            Quantization::Int8
        } else {
            Quantization::None
        },
    }
}

impl Quantization {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "int8" | "q8_0" | "int8_weight_only" => Some(Self::Int8),
            "int4" | "q4_k" => Some(Self::Int4),
            _ => None,
        }
    }
}

/// Settles `requested` for this machine. Pure: the caller says what is installed and possible.
pub fn resolve(
    requested: &ServiceConfig,
    machine: &Capabilities,
    installed: Installed<'_>,
) -> (Resolved, Vec<Note>) {
    let mut notes = Vec::new();
    let config_path = resolve_model(requested, installed, &mut notes);
    let (device, other) = device(requested.device, machine);
    notes.extend(other);
    let with_demo = installed
        .models
        .iter()
        .any(|model| model.built_in && model.name == config_path);
    let (init_llm, lm_model_path) =
        resolve_lm(requested, machine, with_demo, installed, &mut notes);
    let defaults = switch_defaults(machine.vram);
    let mut switch = |field: &str,
                      name: &str,
                      asked: Option<bool>,
                      default: bool,
                      can: &crate::capabilities::Availability| {
        let wanted = asked.unwrap_or(default);
        if wanted && !can.available {
            // A default that cannot act is no surprise; an explicit wish is.
            if asked.is_some() {
                notes.push(Note::new(
                    &format!("{field}_unavailable"),
                    field,
                    format!("{name}: asked on, using off. {}", can.detail),
                ));
            }
            return false;
        }
        wanted
    };
    // On a processor it costs time and is for whoever asks; a card's default lets the plan act.
    let on_card = device != DeviceKind::Cpu;
    let use_flash_attention = switch(
        "use_flash_attention",
        "Flash attention",
        requested.use_flash_attention,
        defaults.flash_attention,
        &machine.flash_attention,
    );
    let offload_to_cpu = switch(
        "offload_to_cpu",
        "Offload to CPU",
        requested.offload_to_cpu,
        defaults.offload_to_cpu && on_card,
        &machine.offload_to_cpu,
    );
    let offload_dit_to_cpu = switch(
        "offload_dit_to_cpu",
        "Offload DiT to CPU",
        requested.offload_dit_to_cpu,
        defaults.offload_dit_to_cpu && on_card,
        &machine.offload_dit_to_cpu,
    );
    let compile = switch(
        "compile",
        "Compile",
        requested.compile,
        defaults.compile,
        &machine.compile,
    );
    if requested.offload_dit_to_cpu == Some(true) && offload_dit_to_cpu && !offload_to_cpu {
        notes.push(Note::new(
            "offload_dit_alone",
            "offload_dit_to_cpu",
            "Offload DiT to CPU: only acts while Offload to CPU is on, so the DiT stays loaded.",
        ));
    }
    let bytes = installed
        .models
        .iter()
        .find(|model| model.name == config_path)
        // One that is not there yet is a released one, and those are large.
        .map_or(u64::MAX, |model| model.size_bytes);
    let quantization = resolve_quantization(
        requested.quantization,
        defaults.quantization,
        bytes,
        machine,
        &mut notes,
    );
    let resolved = Resolved {
        config_path,
        device,
        lm_model_path,
        init_llm,
        use_flash_attention,
        full_precision: machine.full_precision && on_card,
        offload_to_cpu,
        offload_dit_to_cpu,
        compile,
        quantization,
    };
    (resolved, notes)
}

fn resolve_quantization(
    asked: Option<Quantization>,
    default: Quantization,
    checkpoint_bytes: u64,
    machine: &Capabilities,
    notes: &mut Vec<Note>,
) -> Quantization {
    let wanted = asked.unwrap_or(if checkpoint_bytes > QUANTIZE_ABOVE_BYTES {
        default
    } else {
        Quantization::None
    });
    if wanted == Quantization::None || machine.quantization.available {
        return wanted;
    }
    notes.push(Note::new(
        "quantization_unavailable",
        "quantization",
        format!(
            "Quantisation: {} {}, using none. {}",
            if asked.is_some() {
                "asked"
            } else {
                "default is"
            },
            wanted.as_str(),
            machine.quantization.detail
        ),
    ));
    Quantization::None
}

/// The device that a choice comes to on `machine`, with a note where it is another.
pub fn device(asked: DeviceChoice, machine: &Capabilities) -> (DeviceKind, Option<Note>) {
    let wanted = match asked {
        DeviceChoice::Auto => return (machine.device, None),
        DeviceChoice::Cuda => DeviceKind::Cuda,
        DeviceChoice::Mps => DeviceKind::Metal,
        DeviceChoice::Cpu => DeviceKind::Cpu,
    };
    if machine.devices.contains(&wanted) {
        return (wanted, None);
    }
    let note = Note::new(
        "device_unavailable",
        "device",
        format!(
            "Device: asked {}, using {}: this build or machine has no such device.",
            serde_json::to_string(&asked)
                .unwrap_or_default()
                .trim_matches('"'),
            serde_json::to_string(&machine.device)
                .unwrap_or_default()
                .trim_matches('"'),
        ),
    );
    (machine.device, Some(note))
}

/// Whether a language model is wanted, and which: the one that is named; with the built-in DiT the
/// built-in one, which speaks its language; else the largest of the tier's sizes that is installed.
fn resolve_lm(
    requested: &ServiceConfig,
    machine: &Capabilities,
    with_demo: bool,
    installed: Installed<'_>,
    notes: &mut Vec<Note>,
) -> (bool, Option<String>) {
    let tier = machine.tier;
    let row = tier.row();
    let named = requested
        .lm_model_path
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let wanted = requested
        .init_llm
        .unwrap_or(row.lm_default || named.is_some());
    if !wanted {
        if named.is_some() {
            notes.push(Note::new(
                "lm_off",
                "lm_model_path",
                "Language model: a name is given, but it is switched off.",
            ));
        }
        return (false, None);
    }
    let name = if let Some(name) = named {
        name.to_owned()
    } else {
        let released = || {
            installed
                .lms
                .iter()
                .filter(|lm| lm.installed && !lm.built_in)
        };
        let built_in = || installed.lms.iter().find(|lm| lm.built_in);
        let best = || {
            released()
                .filter(|lm| row.lm_sizes.contains(&lm.size))
                .max_by_key(|lm| lm.size)
        };
        let asked = requested.init_llm == Some(true);
        let found = if with_demo {
            built_in().or_else(best)
        } else {
            best()
        };
        let found = found
            .or_else(|| released().filter(|_| asked).min_by_key(|lm| lm.size))
            .or_else(|| built_in().filter(|_| asked));
        let Some(lm) = found else {
            if asked {
                notes.push(Note::new(
                    "lm_missing",
                    "init_llm",
                    "Language model: none is in the checkpoints folder, so none is loaded.",
                ));
            }
            return (false, None);
        };
        if lm.built_in && !with_demo {
            notes.push(Note::new(
                "lm_is_small",
                "lm_model_path",
                format!("Language model: no released one is in the checkpoints folder, so {} is used; it knows only the music of the built-in model.", lm.name),
            ));
        }
        lm.name.clone()
    };
    // A GGUF file may be named without its ending.
    let is_it = |lm: &LmEntry| lm.name == name || lm.name.strip_suffix(".gguf") == Some(&name);
    if !installed.lms.iter().any(|lm| lm.installed && is_it(lm)) {
        notes.push(Note::new(
            "lm_not_there",
            "lm_model_path",
            format!("Language model: {name} is not in the checkpoints folder."),
        ));
    }
    let size = LmSize::from_name(&name);
    let built_in = installed
        .lms
        .iter()
        .any(|lm| lm.built_in && lm.name == name);
    if !built_in && !machine.suits_lm(size) {
        let allowed: Vec<&str> = row.lm_sizes.iter().map(|size| size.as_str()).collect();
        let allowed = if allowed.is_empty() {
            "none".to_owned()
        } else {
            allowed.join(", ")
        };
        notes.push(Note::new(
            "lm_over_tier",
            "lm_model_path",
            format!(
                "Language model: {name} needs about {} GB, more than {} is meant for (allowed: {allowed}).",
                size.memory_gb(),
                tier.as_str()
            ),
        ));
    }
    (true, Some(name))
}

#[cfg(test)]
mod tests;
