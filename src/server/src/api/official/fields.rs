//! Fields by the names that the official program knows them by, looked up where it looks them up: at the
//! top, then in `param_obj`, then in the first of the objects of metadata that is there.

use acestep_domain::note::Note;
use serde_json::{Map, Value};

/// Objects of metadata; the first that is there counts.
const METAS: [&str; 5] = ["metas", "meta", "metadata", "user_metadata", "userMetadata"];

/// Accepted there and here, and without effect in both.
const SILENT: [&str; 7] = [
    "use_tiled_decode",
    "is_format_caption",
    "allow_lm_batch",
    "allowLmBatch",
    "parallel_thinking",
    "lm_batch_chunk_size",
    "genres",
];

/// Of the studio's own requests what is no parameter of a song: it is decided here.
const NO_PARAMETERS: [&str; 4] = ["kind", "song_id", "then_generate", "repeat"];

/// Parameters by the name that [`acestep_domain::generation::read`] knows them by, each with its spellings.
pub(super) const PARAMETERS: &[(&str, &[&str])] = &[
    ("caption", &["prompt", "caption"]),
    ("lyrics", &["lyrics"]),
    ("thinking", &["thinking", "think"]),
    ("task_type", &["task_type", "taskType"]),
    ("bpm", &["bpm"]),
    ("keyscale", &["key_scale", "keyscale", "keyScale", "key"]),
    (
        "timesignature",
        &["time_signature", "timesignature", "timeSignature"],
    ),
    (
        "duration",
        &[
            "audio_duration",
            "duration",
            "audioDuration",
            "target_duration",
            "targetDuration",
        ],
    ),
    (
        "vocal_language",
        &["vocal_language", "vocalLanguage", "language"],
    ),
    (
        "inference_steps",
        &["inference_steps", "inferenceSteps", "steps"],
    ),
    ("guidance_scale", &["guidance_scale", "guidanceScale"]),
    ("use_random_seed", &["use_random_seed", "useRandomSeed"]),
    ("seed", &["seed", "seeds"]),
    ("batch_size", &["batch_size", "batchSize"]),
    ("repainting_start", &["repainting_start", "repaintingStart"]),
    ("repainting_end", &["repainting_end", "repaintingEnd"]),
    (
        "audio_cover_strength",
        &["audio_cover_strength", "audioCoverStrength"],
    ),
    ("use_adg", &["use_adg", "useAdg"]),
    (
        "cfg_interval_start",
        &["cfg_interval_start", "cfgIntervalStart"],
    ),
    ("cfg_interval_end", &["cfg_interval_end", "cfgIntervalEnd"]),
    ("infer_method", &["infer_method", "inferMethod"]),
    ("shift", &["shift"]),
    ("timesteps", &["timesteps"]),
    ("audio_format", &["audio_format", "audioFormat"]),
    (
        "audio_codes",
        &["audio_code_string", "audioCodeString", "audio_codes"],
    ),
    ("lm_seed", &["lm_seed"]),
    ("lm_temperature", &["lm_temperature", "lmTemperature"]),
    ("lm_cfg_scale", &["lm_cfg_scale", "lmCfgScale"]),
    ("lm_top_k", &["lm_top_k", "lmTopK"]),
    ("lm_top_p", &["lm_top_p", "lmTopP"]),
    (
        "lm_repetition_penalty",
        &["lm_repetition_penalty", "lmRepetitionPenalty"],
    ),
    (
        "lm_negative_prompt",
        &["lm_negative_prompt", "lmNegativePrompt"],
    ),
    (
        "use_cot_caption",
        &["use_cot_caption", "cot_caption", "cot-caption"],
    ),
    (
        "use_cot_language",
        &["use_cot_language", "cot_language", "cot-language"],
    ),
    (
        "use_constrained_decoding",
        &["constrained_decoding", "constrainedDecoding", "constrained"],
    ),
    (
        "constrained_decoding_debug",
        &["constrained_decoding_debug", "constrainedDecodingDebug"],
    ),
];

/// The fields of a request.
#[derive(Debug)]
pub(super) struct Fields {
    top: Map<String, Value>,
    below: Vec<Map<String, Value>>,
}

impl Fields {
    /// Those of `top`, and of the objects in it; what of them is not read gets a note.
    pub(super) fn new(mut top: Map<String, Value>, notes: &mut Vec<Note>) -> Self {
        let mut below = Vec::new();
        let mut first = None;
        for name in std::iter::once("param_obj").chain(METAS) {
            let Some(value) = top.remove(name).filter(says_something) else {
                continue;
            };
            let is_meta = name != "param_obj";
            if let Some(taken) = first.filter(|_| is_meta) {
                let message = format!("{name}: not used, since {taken} is given as well.");
                notes.push(Note::new("field_ignored", name, message));
            } else if let Some(fields) = object(value) {
                below.push(fields);
                first = is_meta.then_some(name);
            } else {
                let message = format!("{name}: this is no JSON object; nothing of it is used.");
                notes.push(Note::new("field_unread", name, message));
            }
        }
        Self { top, below }
    }

    /// Takes the field of these spellings.
    pub(super) fn take(&mut self, spellings: &[&str]) -> Option<Value> {
        let mut found = None;
        for fields in std::iter::once(&mut self.top).chain(&mut self.below) {
            for name in spellings {
                let given = fields.remove(*name).filter(|value| !value.is_null());
                found = found.or(given);
            }
        }
        found
    }

    /// Takes a text; anything else than text and numbers is none.
    pub(super) fn take_text(&mut self, spellings: &[&str]) -> Option<String> {
        let text = match self.take(spellings)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Takes a switch; off where it is absent. What is neither on nor off is off with a note.
    pub(super) fn take_switch(&mut self, spellings: &[&str], notes: &mut Vec<Note>) -> bool {
        let Some(value) = self.take(spellings) else {
            return false;
        };
        match &value {
            Value::Bool(on) => return *on,
            Value::Number(number) => return number.as_f64() != Some(0.0),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "y" | "on" => return true,
                "" | "false" | "0" | "no" | "n" | "off" => return false,
                _ => {}
            },
            _ => {}
        }
        let name = spellings.first().copied().unwrap_or_default();
        let message = format!("{name}: {value} is neither on nor off, so it is off.");
        notes.push(Note::new("field_unread", name, message));
        false
    }

    /// Puts what is left into `request`, where the studio's own parameters are understood as well; of what
    /// is none it says so.
    pub(super) fn pass_on(self, request: &mut Map<String, Value>, notes: &mut Vec<Note>) {
        for (name, value) in std::iter::once(self.top).chain(self.below).flatten() {
            if value.is_null() || SILENT.contains(&name.as_str()) {
                continue;
            }
            if NO_PARAMETERS.contains(&name.as_str()) {
                let message = format!("{name}: this is not a parameter; it is not used.");
                notes.push(Note::new("unknown_field", &name, message));
            } else {
                request.entry(name).or_insert(value);
            }
        }
    }
}

/// Whether a value is more than a field that a form leaves empty.
pub(super) fn says_something(value: &Value) -> bool {
    !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty())
}

/// An object, which a form holds as text.
fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::new(object(value).unwrap(), &mut Vec::new())
    }

    #[test]
    fn the_top_comes_before_param_obj_and_that_before_metadata() {
        let mut fields = fields(json!({
            "keyScale": "Am", "bpm": null,
            "param_obj": "{\"bpm\": 90, \"key\": \"C major\"}",
            "metadata": { "bpm": 80, "duration": 12 },
            "user_metadata": { "time_signature": "3" },
        }));
        assert_eq!(
            fields.take(&["key_scale", "keyScale", "key"]),
            Some(json!("Am"))
        );
        assert_eq!(fields.take(&["bpm"]), Some(json!(90)));
        assert_eq!(
            fields.take(&["audio_duration", "duration"]),
            Some(json!(12))
        );
        assert_eq!(fields.take(&["time_signature"]), None);
        let mut rest = Map::new();
        fields.pass_on(&mut rest, &mut Vec::new());
        assert_eq!(Value::Object(rest), json!({}));
    }

    #[test]
    fn what_is_not_read_is_told() {
        let mut notes = Vec::new();
        let asked = json!({
            "param_obj": "{\"duration\": 30,}", "metas": "", "meta": [1], "metadata": "{\"bpm\": 80}",
            "user_metadata": { "bpm": 90 }, "kind": "score",
        });
        let mut fields = Fields::new(object(asked).unwrap(), &mut notes);
        assert_eq!(fields.take(&["bpm"]), Some(json!(80)));
        fields.pass_on(&mut Map::new(), &mut notes);
        let told: Vec<_> = notes
            .iter()
            .map(|note| {
                (
                    note.code.as_str(),
                    note.field.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("field_unread", "param_obj"),
                ("field_unread", "meta"),
                ("field_ignored", "user_metadata"),
                ("unknown_field", "kind"),
            ]
        );
    }

    #[test]
    fn what_stands_below_is_passed_on_as_what_stands_at_the_top() {
        let mut fields = fields(json!({
            "instrumental": false, "genres": "pop",
            "param_obj": { "instrumental": true, "loras": [], "bpm": 90 },
        }));
        fields.take(&["bpm"]);
        let mut request = Map::new();
        fields.pass_on(&mut request, &mut Vec::new());
        assert_eq!(
            Value::Object(request),
            json!({ "instrumental": false, "loras": [] })
        );
    }

    #[test]
    fn switches_as_forms_and_programs_write_them() {
        let mut notes = Vec::new();
        for (value, on) in [
            (json!(true), true),
            (json!("Yes"), true),
            (json!(1), true),
            (json!("off"), false),
            (json!(""), false),
        ] {
            let mut fields = fields(json!({ "useFormat": value }));
            assert_eq!(
                fields.take_switch(&["use_format", "useFormat"], &mut notes),
                on
            );
        }
        assert_eq!(notes, []);
        let mut fields = fields(json!({ "format": "mp3" }));
        assert!(!fields.take_switch(&["use_format", "format"], &mut notes));
        assert_eq!(notes[0].field.as_deref(), Some("use_format"));
    }
}
