//! Values of the form between text as typed and JSON: what a control shows, what the wire takes.

use std::collections::HashMap;

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    metadata::Language,
    number::decimal,
    task::{TRACKS, TaskType},
};
use serde_json::{Map, Value};

use super::{
    loras,
    request::{KEEP_GOING, REPEAT},
};

/// Fields with text, by parameter key; the first three are the page's own (see [`PAGE_KEYS`]).
pub const TEXTS: [&str; 39] = [
    "description",
    REPEAT,
    "simple_language",
    "caption",
    "lyrics",
    "vocal_language",
    "bpm",
    "keyscale",
    "timesignature",
    "duration",
    "batch_size",
    "seed",
    "inference_steps",
    "guidance_scale",
    "cfg_interval_start",
    "cfg_interval_end",
    "shift",
    "timesteps",
    "audio_format",
    "score_scale",
    "lm_seed",
    "lm_temperature",
    "lm_cfg_scale",
    "lm_top_k",
    "lm_top_p",
    "lm_repetition_penalty",
    "lm_negative_prompt",
    "audio_codes",
    "audio_cover_strength",
    CODES_STRENGTH,
    "src_audio",
    "reference_audio",
    "repainting_start",
    "repainting_end",
    "repaint_strength",
    "cover_noise_strength",
    "complete_track_classes",
    "target_lufs",
    loras::KEY,
];

/// Fields that are on or off.
pub const SWITCHES: [&str; 13] = [
    "simple_instrumental",
    KEEP_GOING,
    "instrumental",
    "use_adg",
    "normalize",
    "auto_lrc",
    "auto_score",
    "thinking",
    "use_cot_metas",
    "use_cot_caption",
    "use_cot_language",
    "use_constrained_decoding",
    "constrained_decoding_debug",
];

/// Switches that cannot be moved without a language model; a browser sends nothing for them then.
pub const LM_SWITCHES: [&str; 6] = [
    "thinking",
    "use_cot_metas",
    "use_cot_caption",
    "use_cot_language",
    "use_constrained_decoding",
    "constrained_decoding_debug",
];

/// Radios: text behind one of several.
pub const RADIOS: [&str; 5] = [
    "infer_method",
    "mode",
    "task_type",
    "repaint_mode",
    "track_name",
];

/// Fields of the page that are no parameters: how much is written, how often it is
/// made, what Simple asks for, and a new song's strength.
pub const PAGE_KEYS: [&str; 7] = [
    "mode",
    KEEP_GOING,
    REPEAT,
    "description",
    "simple_instrumental",
    "simple_language",
    CODES_STRENGTH,
];

/// `audio_cover_strength` of a new song: how long it follows its audio codes. A fader of its own, so that
/// what was set for a cover does not act on the next new song.
pub const CODES_STRENGTH: &str = "codes_strength";

/// The tracks of complete: the form posts a tick for each, see [`tick`].
pub const TRACKS_KEY: &str = "complete_track_classes";

/// Name of the tick of `track` among [`TRACKS_KEY`].
pub fn tick(track: &str) -> String {
    format!("{TRACKS_KEY}-{track}")
}

/// The mode in which a description is enough.
pub const SIMPLE: &str = "simple";
/// The mode in which everything can be set.
pub const CUSTOM: &str = "custom";

/// Name of the hidden field that lists the switches a form shows: a browser sends nothing for "off".
pub const SHOWN_SWITCHES: &str = "switches";

/// What the language model is trained to read as "nothing to avoid"; the field shows it as empty.
const NO_INPUT: &str = "NO USER INPUT";

/// A typed text as the reader of parameters takes it: `4:00` is a length in seconds.
pub(super) fn wire(key: &str, text: String) -> Value {
    if key == "duration"
        && let Some(secs) = seconds(&text)
    {
        return Value::from(secs);
    }
    if matches!(key, "repainting_start" | "repainting_end")
        && let Some(secs) = place(&text)
    {
        return Value::from(secs);
    }
    if key == "reference_audio" {
        return list(&text).collect();
    }
    if key == "lm_negative_prompt" && text.trim().is_empty() {
        return Value::from(NO_INPUT);
    }
    if key == loras::KEY {
        return loras::wire(&text);
    }
    Value::String(text)
}

/// Names in a text with commas.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// The recordings that `fields` name.
pub fn recording_ids(fields: &Value) -> Vec<String> {
    ["src_audio", "reference_audio"]
        .into_iter()
        .flat_map(|key| {
            let text = shown(fields, key);
            list(&text).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Seconds of a place in a source: like [`seconds`], with 0 and, before the source, a minus.
pub fn place(text: &str) -> Option<f64> {
    let text = text.trim().replace('\u{2212}', "-");
    let (before, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.as_str()),
    };
    let zero = matches!(text.trim(), "0" | "0:00" | "0.0").then_some(0.0);
    let secs = zero.or_else(|| seconds(text))?;
    Some(if before && secs > 0.0 { -secs } else { secs })
}

/// A place as it is shown: `1:16.4`, `-0:03`.
pub fn place_text(secs: f64) -> String {
    let text = minutes(secs.abs());
    if secs <= -0.05 {
        format!("-{text}")
    } else {
        text
    }
}

/// Seconds of `4:00`, `1:02.5` or `90`.
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let secs = match text.split_once(':') {
        Some((minutes, rest)) => {
            let minutes: u32 = minutes.trim().parse().ok()?;
            let rest = decimal(rest.trim())?;
            f64::from(minutes) * 60.0 + (0.0..60.0).contains(&rest).then_some(rest)?
        }
        None => decimal(text)?,
    };
    (secs.is_finite() && secs > 0.0).then_some(secs)
}

/// The text a control shows for a value of the wire.
pub(super) fn shown(fields: &Value, key: &str) -> String {
    match (&fields[key], key) {
        (value, loras::KEY) => loras::shown(value),
        (Value::String(text), "vocal_language") => Language::parse(text)
            .map_or_else(|_| text.clone(), |language| language.code().to_owned()),
        (Value::String(text), "lm_negative_prompt") if text == NO_INPUT => String::new(),
        (Value::String(text), _) => text.clone(),
        (Value::Number(number), "duration") => number
            .as_f64()
            .filter(|secs| *secs > 0.0)
            .map(minutes)
            .unwrap_or_default(),
        (Value::Number(number), "repainting_start") => {
            place_text(number.as_f64().unwrap_or_default())
        }
        // -1 on the wire is the end of the source.
        (Value::Number(number), "repainting_end") => number
            .as_f64()
            .filter(|secs| *secs >= 0.0)
            .map(place_text)
            .unwrap_or_default(),
        (Value::Number(number), "seed" | "bpm") if number.as_f64() == Some(-1.0) => String::new(),
        (Value::Number(number), _) => number.as_f64().unwrap_or_default().to_string(),
        (Value::Array(items), _) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(", "),
        _ => String::new(),
    }
}

/// Whether a switch of the wire is on.
pub(super) fn on(fields: &Value, key: &str) -> bool {
    match &fields[key] {
        Value::Bool(on) => *on,
        Value::String(text) => matches!(text.as_str(), "true" | "on" | "1"),
        _ => false,
    }
}

/// The form's fields for `params`; those of the page are not among them.
pub fn fields_from_params(params: &GenerationParams) -> Value {
    let all = serde_json::to_value(params).unwrap_or_default();
    let mut object = Map::new();
    let parameter = |key: &&&str| !PAGE_KEYS.contains(*key);
    for key in TEXTS.iter().chain(&RADIOS).filter(parameter) {
        object.insert((*key).to_owned(), wire(key, shown(&all, key)));
    }
    for key in SWITCHES.iter().filter(parameter) {
        object.insert((*key).to_owned(), Value::Bool(on(&all, key)));
    }
    let usual = Value::String(GenerationParams::default().audio_cover_strength.to_string());
    let (of_source, of_codes) = match object.get("audio_cover_strength").cloned() {
        Some(strength) if params.task_type == TaskType::Text2music => (usual, strength),
        strength => (strength.unwrap_or_else(|| usual.clone()), usual),
    };
    object.insert("audio_cover_strength".to_owned(), of_source);
    object.insert(CODES_STRENGTH.to_owned(), of_codes);
    Value::Object(object)
}

/// A song's settings, and the mode in which all of them can be seen.
pub fn fields_to_restore(params: &GenerationParams) -> Value {
    let mut fields = fields_from_params(params);
    fields["mode"] = Value::from(CUSTOM);
    fields
}

/// `fields` over `draft`: what is not among them keeps.
pub fn laid_over(draft: Option<Value>, fields: Value) -> Value {
    match (draft, fields) {
        (Some(Value::Object(mut draft)), Value::Object(fields)) => {
            draft.extend(fields);
            Value::Object(draft)
        }
        (_, fields) => fields,
    }
}

/// The JSON of a form as a browser posts it: switches it shows and does not send are off.
pub fn params_from_fields(mut form: HashMap<String, String>) -> Value {
    let shown = form.remove(SHOWN_SWITCHES).unwrap_or_default();
    let mut object = Map::new();
    for key in shown.split(',').filter(|key| SWITCHES.contains(key)) {
        let sent = form.remove(key).is_some_and(|value| value != "false");
        object.insert(key.to_owned(), Value::Bool(sent));
    }
    if let Some(named) = form.remove(TRACKS_KEY) {
        let ticked = TRACKS
            .into_iter()
            .filter(|track| form.remove(&tick(track)).is_some());
        let all: Vec<&str> = list(&named).chain(ticked).collect();
        object.insert(TRACKS_KEY.to_owned(), Value::from(all.join(", ")));
    }
    if let Some(ticked) = loras::by_hand(&mut form) {
        form.insert(loras::KEY.to_owned(), ticked);
    }
    form.retain(|key, _| !key.starts_with("lora-"));
    // The encoding of server functions may add a pair without a name.
    for (key, text) in form
        .into_iter()
        .filter(|(key, _)| key.starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        let value = wire(&key, text);
        object.insert(key, value);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use acestep_domain::region::RepaintMode;
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_as_people_write_them() {
        for (text, secs) in [
            ("4:00", Some(240.0)),
            ("1:02.5", Some(62.5)),
            (" 90 ", Some(90.0)),
            ("0:07", Some(7.0)),
            ("", None),
            ("4:75", None),
            ("-3", None),
            ("long", None),
            ("inf", None),
        ] {
            assert_eq!(seconds(text), secs, "{text:?}");
        }
    }

    #[test]
    fn places_as_people_write_them() {
        for (text, secs) in [
            ("1:16.4", Some(76.4)),
            ("0", Some(0.0)),
            ("0:00", Some(0.0)),
            ("-3", Some(-3.0)),
            ("\u{2212}0:03", Some(-3.0)),
            ("-0:00", Some(0.0)),
            ("", None),
            ("--3", None),
            ("later", None),
        ] {
            assert_eq!(place(text), secs, "{text:?}");
        }
        assert_eq!(
            (place_text(-3.0), place_text(76.44)),
            ("-0:03".to_owned(), "1:16.4".to_owned())
        );
    }

    #[test]
    fn ticked_tracks_are_one_list_and_none_is_an_empty_one() {
        let posted = |ticks: &[&str]| {
            let mut form = HashMap::from([(TRACKS_KEY.to_owned(), String::new())]);
            form.extend(ticks.iter().map(|track| (tick(track), "true".to_owned())));
            params_from_fields(form)
        };
        assert_eq!(
            posted(&["vocals", "bass"]),
            json!({ "complete_track_classes": "bass, vocals" })
        );
        assert_eq!(posted(&[]), json!({ "complete_track_classes": "" }));
    }

    #[test]
    fn settings_of_a_song_survive_the_way_through_the_form() {
        let params = GenerationParams {
            caption: "slow piano".into(),
            duration_secs: Some(62.5),
            seeds: vec![7, 8],
            batch_size: 2,
            bpm: Some(acestep_domain::metadata::Bpm(92)),
            keyscale: acestep_domain::metadata::KeyScale::parse("F# minor").ok(),
            timesteps: Some(vec![1.0, 0.5]),
            normalize: false,
            target_lufs: Some(-14.5),
            instrumental: true,
            task_type: TaskType::Repaint,
            src_audio: Some("0190".into()),
            reference_audio: vec!["a".into(), "b".into()],
            repainting_start: -2.5,
            repainting_end: Some(30.0),
            repaint_mode: RepaintMode::Aggressive,
            track_name: Some("drums".into()),
            complete_track_classes: vec!["bass".into(), "fx".into()],
            loras: Some(vec![acestep_domain::lora::LoraUse::new("tape", 0.5)]),
            ..GenerationParams::default()
        };
        let fields = fields_from_params(&params);
        let read = acestep_domain::generation::read::params_from_json(
            &fields,
            GenerationParams::default(),
        )
        .unwrap();
        assert_eq!((read.params, read.errors), (params, vec![]));
    }

    #[test]
    fn a_switch_that_is_shown_and_not_sent_is_off() {
        let form = HashMap::from([
            ("caption".to_owned(), "x".to_owned()),
            ("duration".to_owned(), "0:30".to_owned()),
            ("instrumental".to_owned(), "true".to_owned()),
            ("switches".to_owned(), "instrumental,normalize".to_owned()),
        ]);
        assert_eq!(
            params_from_fields(form),
            json!({ "caption": "x", "duration": 30.0, "instrumental": true, "normalize": false })
        );
    }
}
