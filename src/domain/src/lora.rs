//! Adapters of the main model (LoRA and LoKr): what is there, and what a song uses of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{metadata::is_auto, note::Note, number::decimal};

/// Range of a scale: 0 is off, 1 is as it was trained (ui.md 2.4).
pub const SCALE_RANGE: (f64, f64) = (0.0, 1.0);

/// How an adapter's file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoraKind {
    /// `adapter_config.json` beside the weights, or the key names of PEFT.
    Peft,
    /// One file with the names of the released checkpoint.
    Comfyui,
    /// One file with the names of diffusers.
    Diffusers,
    /// One file whose module names have no dots.
    Kohya,
    /// Kronecker factors (LyCORIS or PEFT).
    Lokr,
}

impl LoraKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peft => "peft",
            Self::Comfyui => "comfyui",
            Self::Diffusers => "diffusers",
            Self::Kohya => "kohya",
            Self::Lokr => "lokr",
        }
    }
}

/// An adapter in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraUse {
    /// Its name in the folder of adapters.
    pub name: String,
    /// How much of it, see [`SCALE_RANGE`].
    #[serde(default = "whole")]
    pub scale: f64,
    /// SHA-256 of its files, hexadecimal; absent until they were read. What made a song can be
    /// told from a file that has the same name today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// The scale of an adapter when nobody says.
pub const DEFAULT_SCALE: f64 = 1.0;

const fn whole() -> f64 {
    DEFAULT_SCALE
}

/// An adapter of the folder, as listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraEntry {
    /// What it is called by.
    pub name: String,
    /// Its layout; absent when it cannot be read.
    pub kind: Option<LoraKind>,
    /// The rank that most of its layers have, the larger one where two have as many; absent where no
    /// factor is thin.
    pub rank: Option<usize>,
    /// What it was made for, by its own word or by its width.
    pub base: Option<String>,
    /// Layers that it changes.
    pub layers: usize,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// In use for the next song.
    pub loaded: bool,
    /// How much of it; absent unless loaded.
    pub scale: Option<f64>,
    /// SHA-256 of its files; absent unless loaded.
    pub hash: Option<String>,
    /// Why it cannot be used with the loaded model, or at all; one sentence.
    pub problem: Option<String>,
}

/// The adapters of the folder, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoraList {
    /// Each of them.
    pub loras: Vec<LoraEntry>,
    /// What was clamped or left out by the change that this list answers.
    #[serde(default)]
    pub notes: Vec<Note>,
}

impl LoraUse {
    /// An adapter at a scale.
    pub fn new(name: impl Into<String>, scale: f64) -> Self {
        Self {
            name: name.into(),
            scale,
            hash: None,
        }
    }

    /// Reads `NAME` or `NAME:SCALE`.
    ///
    /// # Errors
    /// An empty name, or a scale that is no number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, scale) = match text.rsplit_once(':') {
            None => (text, DEFAULT_SCALE),
            Some((name, scale)) => (
                name,
                decimal(scale.trim())
                    .filter(|scale| scale.is_finite())
                    .ok_or_else(|| {
                        format!(
                            "{scale:?} is not a scale; give NAME:SCALE with a scale from 0 to 1"
                        )
                    })?,
            ),
        };
        if name.trim().is_empty() {
            return Err("the name is empty; give NAME or NAME:SCALE".to_owned());
        }
        Ok(Self::new(name.trim(), scale))
    }

    /// Brings the scale into its range, with a note about `field`.
    pub fn clamp(&mut self, field: &str, notes: &mut Vec<Note>) {
        let (low, high) = SCALE_RANGE;
        let used = self.scale.clamp(low, high);
        if used != self.scale {
            notes.push(Note::new(
                "lora_scale_clamped",
                field,
                format!(
                    "LoRA {}: asked scale {}, using {used}; scales are from {low} to {high}.",
                    self.name, self.scale
                ),
            ));
            self.scale = used;
        }
    }
}

/// Adapters as a list of `{name, scale}` or of `NAME:SCALE`, or one such text; `null` and `auto`
/// mean those that are loaded, an empty list none.
///
/// # Errors
/// The reason when one of them is not an adapter with a scale, or stands there twice.
pub fn loras_from_json(value: &Value) -> Result<Option<Vec<LoraUse>>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => LoraUse::parse(text),
        Value::Object(object) => {
            if let Some(key) = object
                .keys()
                .find(|key| !matches!(key.as_str(), "name" | "scale" | "hash"))
            {
                return Err(format!("{key:?} is no key of an adapter"));
            }
            let mut lora = serde_json::from_value::<LoraUse>(value.clone())
                .map_err(|error| format!("{value} is not an adapter ({error})"))?;
            lora.name = lora.name.trim().to_owned();
            if lora.name.is_empty() {
                return Err("the name of an adapter is empty".to_owned());
            }
            Ok(lora)
        }
        other => Err(format!("{other} is not an adapter")),
    };
    let loras = match value {
        Value::Null => return Ok(None),
        Value::String(text) if is_auto(text) => return Ok(None),
        Value::Array(items) => items.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        single => vec![one(single)?],
    };
    for (index, lora) in loras.iter().enumerate() {
        if loras[..index].iter().any(|other| other.name == lora.name) {
            return Err(format!("the adapter {} is named twice", lora.name));
        }
    }
    Ok(Some(loras))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_may_carry_its_scale() {
        let read = |text| LoraUse::parse(text).map(|lora| (lora.name, lora.scale));
        assert_eq!(read("tape"), Ok(("tape".to_owned(), 1.0)));
        assert_eq!(read(" tape : 0.25"), Ok(("tape".to_owned(), 0.25)));
        assert_eq!(read("tape:0"), Ok(("tape".to_owned(), 0.0)));
        for wrong in ["", ":0.5", "tape:", "tape:half", "tape:NaN", "tape:inf"] {
            assert!(LoraUse::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_are_read_in_every_spelling_and_refused_by_name() {
        let read = |value: Value| {
            loras_from_json(&value).map(|loras| {
                loras.map(|loras| {
                    loras
                        .into_iter()
                        .map(|lora| (lora.name, lora.scale))
                        .collect::<Vec<_>>()
                })
            })
        };
        let tape = |scale| Ok(Some(vec![("tape".to_owned(), scale)]));
        assert_eq!(read(Value::Null), Ok(None));
        assert_eq!(read(json!("auto")), Ok(None));
        assert_eq!(read(json!([])), Ok(Some(vec![])));
        assert_eq!(read(json!("tape:0.5")), tape(0.5));
        assert_eq!(read(json!({ "name": "tape" })), tape(1.0));
        assert_eq!(read(json!([{ "name": "tape", "scale": 0.5 }])), tape(0.5));
        for wrong in [
            json!(5),
            json!(["tape", "tape:0.5"]),
            json!([{ "scale": 1 }]),
            json!([{ "name": " " }]),
            json!([{ "name": "tape", "scale": "loud" }]),
            json!([{ "name": "tape", "weight": 1 }]),
        ] {
            assert!(loras_from_json(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scale_outside_its_range_is_told() {
        for (asked, used) in [(1.5, 1.0), (-0.5, 0.0), (0.5, 0.5)] {
            let mut lora = LoraUse::new("tape", asked);
            let mut notes = Vec::new();
            lora.clamp("loras", &mut notes);
            assert_eq!((lora.scale, notes.is_empty()), (used, asked == used));
        }
    }
}
