//! The one store of the Generation form: what is typed, key by key, exactly as typed.
//!
//! Values are text (switches: on or off), so a half-written or wrong value survives reload. Reading them
//! is `acestep-domain`'s work, in [`super::check`].

use std::collections::HashMap;

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    metadata::Language,
};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::{StudioStore, check::Checked};

/// Fields with text, by parameter key.
pub const TEXTS: [&str; 16] = [
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
];

/// Fields that are on or off or one of two (`infer_method` is text behind radios).
pub const SWITCHES: [&str; 3] = ["instrumental", "use_adg", "normalize"];

/// Radios.
pub const RADIOS: [&str; 1] = ["infer_method"];

/// Name of the hidden field that lists the switches a form shows: a browser sends nothing for "off".
pub const SHOWN_SWITCHES: &str = "switches";

/// The form's signals. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    texts: [RwSignal<String>; 16],
    switches: [RwSignal<bool>; 3],
    radios: [RwSignal<String>; 1],
    /// What the domain says about the values as they stand.
    pub checked: Memo<Checked>,
    /// A refusal of the studio, until the next change or submission.
    pub refusal: RwSignal<Option<acestep_domain::UserError>>,
}

impl Form {
    /// A form with the kept draft over the defaults of the loaded model.
    pub fn new(store: StudioStore, draft: Option<&Value>) -> Self {
        let mut fields = store.defaults.with_untracked(fields_from_params);
        if let (Some(fields), Some(Value::Object(draft))) = (fields.as_object_mut(), draft) {
            for (key, value) in draft {
                fields.insert(key.clone(), value.clone());
            }
        }
        let text = |key: &str| RwSignal::new(shown(&fields, key));
        let texts = TEXTS.map(text);
        let radios = RADIOS.map(text);
        let switches = SWITCHES.map(|key| RwSignal::new(on(&fields, key)));
        let checked = Memo::new(move |_| {
            Checked::new(
                &json(&texts, &switches, &radios),
                store.defaults.get(),
                store.bounds(),
            )
        });
        Self {
            texts,
            switches,
            radios,
            checked,
            refusal: RwSignal::new(None),
        }
    }

    /// The form of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// The text of `key`, one of [`TEXTS`] or [`RADIOS`].
    pub fn text(self, key: &str) -> RwSignal<String> {
        TEXTS
            .iter()
            .position(|name| *name == key)
            .map(|index| self.texts[index])
            .or_else(|| {
                RADIOS
                    .iter()
                    .position(|name| *name == key)
                    .map(|index| self.radios[index])
            })
            .expect("a control is made for a key of TEXTS or RADIOS")
    }

    /// The state of switch `key`, one of [`SWITCHES`].
    pub fn switch(self, key: &str) -> RwSignal<bool> {
        SWITCHES
            .iter()
            .position(|name| *name == key)
            .map(|index| self.switches[index])
            .expect("a switch is made for a key of SWITCHES")
    }

    /// All values as a JSON object by parameter key; tracks every field.
    pub fn json(self) -> Value {
        json(&self.texts, &self.switches, &self.radios)
    }

    /// Takes over `fields`; keys that are absent keep.
    pub fn apply(self, fields: &Value) {
        let Value::Object(object) = fields else {
            return;
        };
        for (key, signal) in TEXTS.iter().zip(self.texts) {
            if object.contains_key(*key) {
                set(signal, shown(fields, key));
            }
        }
        for (key, signal) in RADIOS.iter().zip(self.radios) {
            if object.contains_key(*key) {
                set(signal, shown(fields, key));
            }
        }
        for (key, signal) in SWITCHES.iter().zip(self.switches) {
            if object.contains_key(*key) {
                set(signal, on(fields, key));
            }
        }
    }

    /// Moves fields that hold a default of `before` to the default of `now`.
    pub fn follow(self, before: &GenerationParams, now: &GenerationParams) {
        let (before, now) = (fields_from_params(before), fields_from_params(now));
        let texts = TEXTS.iter().zip(self.texts);
        for (key, signal) in texts.chain(RADIOS.iter().zip(self.radios)) {
            if signal.with_untracked(|text| *text == shown(&before, key)) {
                set(signal, shown(&now, key));
            }
        }
        for (key, signal) in SWITCHES.iter().zip(self.switches) {
            if signal.get_untracked() == on(&before, key) {
                set(signal, on(&now, key));
            }
        }
    }

    /// Keeps the draft on the server and follows the loaded model's defaults; acts in the browser only.
    pub fn keep(self) {
        #[cfg(feature = "hydrate")]
        super::draft::keep(self);
    }
}

fn set<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|now| *now != value) {
        signal.set(value);
    }
}

fn json(
    texts: &[RwSignal<String>],
    switches: &[RwSignal<bool>],
    radios: &[RwSignal<String>],
) -> Value {
    let mut object = Map::new();
    for (key, signal) in TEXTS.iter().zip(texts).chain(RADIOS.iter().zip(radios)) {
        object.insert((*key).to_owned(), wire(key, signal.get()));
    }
    for (key, signal) in SWITCHES.iter().zip(switches) {
        object.insert((*key).to_owned(), Value::Bool(signal.get()));
    }
    Value::Object(object)
}

/// A typed text as the reader of parameters takes it: `4:00` is a length in seconds.
fn wire(key: &str, text: String) -> Value {
    if key == "duration"
        && let Some(secs) = seconds(&text)
    {
        return Value::from(secs);
    }
    Value::String(text)
}

/// Seconds of `4:00`, `1:02.5` or `90`.
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let secs = match text.split_once(':') {
        Some((minutes, rest)) => {
            let minutes: u32 = minutes.trim().parse().ok()?;
            let rest: f64 = rest.trim().parse().ok()?;
            f64::from(minutes) * 60.0 + (0.0..60.0).contains(&rest).then_some(rest)?
        }
        None => text.parse().ok()?,
    };
    (secs.is_finite() && secs > 0.0).then_some(secs)
}

/// The text a control shows for a value of the wire.
fn shown(fields: &Value, key: &str) -> String {
    match (&fields[key], key) {
        (Value::String(text), "vocal_language") => Language::parse(text)
            .map_or_else(|_| text.clone(), |language| language.code().to_owned()),
        (Value::String(text), _) => text.clone(),
        (Value::Number(number), "duration") => number
            .as_f64()
            .filter(|secs| *secs > 0.0)
            .map(minutes)
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

fn on(fields: &Value, key: &str) -> bool {
    match &fields[key] {
        Value::Bool(on) => *on,
        Value::String(text) => matches!(text.as_str(), "true" | "on" | "1"),
        _ => false,
    }
}

/// The form's fields for `params`.
pub fn fields_from_params(params: &GenerationParams) -> Value {
    let all = serde_json::to_value(params).unwrap_or_default();
    let mut object = Map::new();
    for key in TEXTS.iter().chain(&RADIOS) {
        object.insert((*key).to_owned(), wire(key, shown(&all, key)));
    }
    for key in SWITCHES {
        object.insert(key.to_owned(), Value::Bool(on(&all, key)));
    }
    Value::Object(object)
}

/// The JSON of a form as a browser posts it: switches it shows and does not send are off.
pub fn params_from_fields(mut form: HashMap<String, String>) -> Value {
    let shown = form.remove(SHOWN_SWITCHES).unwrap_or_default();
    let mut object = Map::new();
    for key in shown.split(',').filter(|key| SWITCHES.contains(key)) {
        let sent = form.remove(key).is_some_and(|value| value != "false");
        object.insert(key.to_owned(), Value::Bool(sent));
    }
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
            instrumental: true,
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
