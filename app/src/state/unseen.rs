//! Settings that act on the next run although their controls are not on the page: in Simple, all that
//! was set in Custom and is sent along. Told from the request itself, parameter by parameter, so that
//! one which comes new to `acestep-domain` is among them without a line here.

use acestep_domain::{
    generation::{
        GenerationParams,
        acting::{Run, acts},
    },
    job::JobKind,
    lora::LoraUse,
    param::SPECS,
};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::{
    StudioStore,
    check::Checked,
    fields::{CODES_STRENGTH, LM_SWITCHES, fields_from_params, shown},
    fill::FilledBy,
    form::Form,
    task::is_simple,
};

/// Parameters that Simple has a control for: the task, what the description's section stands for, and
/// the numbers. A parameter that is not named here counts as unseen.
pub const SEEN_IN_SIMPLE: [&str; 8] = [
    "task_type",
    "caption",
    "instrumental",
    "vocal_language",
    "duration",
    "batch_size",
    "bpm",
    "seed",
];

/// A setting that acts unseen.
#[derive(Debug, Clone, PartialEq)]
pub struct Unseen {
    /// Parameter key.
    pub key: &'static str,
    /// What the run would take; what stands in the form where that cannot be read.
    pub value: Value,
    /// It cannot be read, and stands in the way of the run.
    pub wrong: bool,
}

/// What a run would be made with beside the form.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// What a fresh form holds.
    pub defaults: GenerationParams,
    /// Adapters that are loaded.
    pub loras: Vec<LoraUse>,
    /// Audio codes can be written and followed.
    pub codes: bool,
    /// Switches that cannot be moved with what is loaded, and are not sent.
    pub off: Vec<&'static str>,
}

/// All of them, in the order of [`SPECS`]; none in Custom, where everything can be seen.
pub fn unseen(form: &Value, checked: &Checked, beside: &Beside) -> Vec<Unseen> {
    if !is_simple(form) {
        return Vec::new();
    }
    let run = Run {
        kind: JobKind::Sample,
        codes: beside.codes,
    };
    let (used, usual) = (
        json(&checked.params, &beside.loras),
        json(&beside.defaults, &beside.loras),
    );
    SPECS
        .iter()
        .map(|spec| spec.key)
        .filter(|key| !SEEN_IN_SIMPLE.contains(key) && !beside.off.contains(key))
        .filter_map(|key| {
            let wrong = checked.error_for(key).is_some();
            let acts = used[key] != usual[key] && acts(key, &checked.params, run);
            let value = if wrong {
                &form[field_of(key)]
            } else {
                &used[key]
            };
            (wrong || acts).then(|| Unseen {
                key,
                value: value.clone(),
                wrong,
            })
        })
        .collect()
}

/// The form's field that sets `key` in a new song, the only task of Simple.
pub fn field_of(key: &'static str) -> &'static str {
    match key {
        "audio_cover_strength" => CODES_STRENGTH,
        key => key,
    }
}

/// By key, with the adapters that would be used.
fn json(params: &GenerationParams, loaded: &[LoraUse]) -> Value {
    let mut params = params.clone();
    params.loras.get_or_insert_with(|| loaded.to_vec());
    serde_json::to_value(params).unwrap_or_default()
}

impl Form {
    /// What acts on the next run and cannot be seen; `off` are switches that cannot be moved. Tracks.
    pub fn unseen(self, store: StudioStore, off: Vec<&'static str>) -> Vec<Unseen> {
        let without_lm = LM_SWITCHES.into_iter().filter(|_| !store.has_lm());
        let beside = Beside {
            defaults: store.defaults.get(),
            loras: store.status.with(|status| status.loras.clone()),
            codes: store.takes_codes() && store.loaded_lm().is_some_and(|lm| lm.has_codes),
            off: off.into_iter().chain(without_lm).collect(),
        };
        self.checked
            .with(|checked| unseen(&self.json(), checked, &beside))
    }

    /// Brings `keys` back to what a fresh form holds; Undo takes it back.
    pub fn reset(self, store: StudioStore, keys: &[&'static str]) {
        let usual = store.defaults.with_untracked(fields_from_params);
        let mut fields = Map::new();
        for key in keys {
            let field = field_of(key);
            fields.insert(field.to_owned(), usual[field].clone());
        }
        self.fill(FilledBy::Reset, &Value::Object(fields));
    }
}

/// The value as its control would show it.
pub fn value_text(unseen: &Unseen) -> String {
    let mut fields = Map::new();
    fields.insert(unseen.key.to_owned(), unseen.value.clone());
    shown(&Value::Object(fields), unseen.key)
}

#[cfg(test)]
mod tests {
    use acestep_domain::{
        defaults::defaults,
        generation::clamp::Bounds,
        param::{Kind, ParamSpec},
        task::{Family, TaskType},
        tier::GpuTier,
    };
    use serde_json::json;

    use super::*;
    use crate::{
        pages::generate::numbers,
        state::{
            fields::{SIMPLE, SWITCHES, TEXTS},
            request::{Wish, parameters},
        },
    };

    fn bounds() -> Bounds {
        Bounds {
            tier: GpuTier::Unlimited,
            lm_loaded: true,
            family: Family::Base,
            unlimited: false,
        }
    }

    fn beside() -> Beside {
        Beside {
            defaults: defaults(Family::Base, GpuTier::Unlimited),
            loras: Vec::new(),
            codes: true,
            off: Vec::new(),
        }
    }

    fn checked(form: &Value) -> Checked {
        let asked = parameters(form, Wish::of_mode(form));
        Checked::new(&asked, beside().defaults, bounds(), None)
    }

    fn of(form: &Value) -> Vec<Unseen> {
        unseen(form, &checked(form), &beside())
    }

    /// A form in Simple that says nothing but what it must.
    fn fresh() -> Value {
        let mut form = fields_from_params(&beside().defaults);
        form["mode"] = json!(SIMPLE);
        form["description"] = json!("rain on a tin roof");
        form["simple_language"] = json!("unknown");
        form["simple_instrumental"] = json!(false);
        form
    }

    /// A value of `spec` that no default has.
    fn another(spec: &ParamSpec, usual: &Value) -> Value {
        match (spec.key, spec.kind) {
            ("keyscale", _) => json!("F# minor"),
            ("vocal_language", _) => json!("ja"),
            ("audio_codes", _) => json!("<|audio_code_5|>"),
            ("loras", _) => json!([{ "name": "tape", "scale": 0.5 }]),
            ("timesteps", _) => json!("1, 0.5"),
            ("seed", _) => json!("7"),
            ("complete_track_classes", _) => json!("bass"),
            (_, Kind::Switch) => json!(!usual.as_bool().unwrap_or_default()),
            (_, Kind::Integer | Kind::Number) => {
                let (low, high) = spec.range.unwrap();
                let third = low + (high - low) * 0.3;
                json!(if spec.kind == Kind::Integer {
                    third.round()
                } else {
                    third
                })
            }
            (_, Kind::Choice(all)) => {
                let usual = usual.as_str().unwrap_or_default();
                json!(all.iter().find(|own| **own != usual).unwrap())
            }
            (_, Kind::Text | Kind::List) => json!("something"),
        }
    }

    /// The one that holds for parameters nobody has thought of yet: whatever the page sends in Simple
    /// that changes the run is either on the page or named.
    #[test]
    fn nothing_that_is_sent_in_simple_acts_without_being_seen_or_named() {
        // With all that other settings hang on.
        let mut rich = fresh();
        rich["auto_score"] = json!(true);
        let usual = serde_json::to_value(checked(&rich).params).unwrap();
        let before: Vec<&str> = of(&rich).iter().map(|own| own.key).collect();
        assert_eq!(before, ["auto_score"]);
        let mut named = Vec::new();
        for spec in SPECS.iter().filter(|spec| spec.key != "task_type") {
            let mut form = rich.clone();
            form[field_of(spec.key)] = another(spec, &usual[spec.key]);
            let now = checked(&form);
            assert_eq!(now.errors, [], "{}", spec.key);
            let told: Vec<&str> = of(&form).iter().map(|own| own.key).collect();
            let used = serde_json::to_value(&now.params).unwrap();
            let seen = SEEN_IN_SIMPLE.contains(&spec.key);
            let by_hand_of_sample = spec.key.starts_with("use_cot_");
            let is_told = told.contains(&spec.key) || spec.key == "auto_score";
            if used[spec.key] != usual[spec.key] && !by_hand_of_sample {
                assert!(seen || is_told, "{} acts unseen", spec.key);
            } else {
                assert!(
                    !is_told || spec.key == "auto_score",
                    "{} does nothing",
                    spec.key
                );
            }
            if is_told {
                named.push(spec.key);
            }
        }
        // Not by luck: most of Custom can be reached.
        for key in [
            "shift",
            "audio_format",
            "lm_top_k",
            "loras",
            "thinking",
            "auto_lrc",
        ] {
            assert!(named.contains(&key), "{key} is not among {named:?}");
        }
        assert!(named.len() > 20, "{named:?}");
    }

    #[test]
    fn custom_and_other_tasks_show_all_they_send() {
        let mut form = fresh();
        form["shift"] = json!("1.5");
        assert_eq!(of(&form).len(), 1);
        form["task_type"] = json!("cover");
        assert_eq!(of(&form), []);
        form["task_type"] = json!("text2music");
        form["mode"] = json!("custom");
        assert_eq!(of(&form), []);
    }

    #[test]
    fn numbers_are_seen_and_every_other_key_of_the_form_can_be_reset() {
        for key in numbers::KEYS {
            assert!(SEEN_IN_SIMPLE.contains(&key), "{key}");
        }
        let usual = fields_from_params(&beside().defaults);
        for spec in SPECS {
            let has_control = TEXTS.contains(&spec.key)
                || SWITCHES.contains(&spec.key)
                || crate::state::fields::RADIOS.contains(&spec.key);
            let can_be_reset = usual.get(field_of(spec.key)).is_some();
            assert!(has_control && can_be_reset, "{}", spec.key);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_as_it_stands() {
        let mut form = fresh();
        form["target_lufs"] = json!("loud");
        let told = of(&form);
        assert_eq!(told.len(), 1);
        assert!(told[0].wrong);
        assert_eq!(value_text(&told[0]), "loud");
    }

    #[test]
    fn adapters_count_only_where_they_are_not_those_that_are_loaded() {
        let loaded = vec![LoraUse::new("tape", 0.5)];
        let beside = Beside {
            loras: loaded.clone(),
            ..beside()
        };
        let mut form = fresh();
        assert_eq!(unseen(&form, &checked(&form), &beside), []);
        form["loras"] = serde_json::to_value(&loaded).unwrap();
        assert_eq!(unseen(&form, &checked(&form), &beside), []);
        form["loras"] = json!([]);
        assert_eq!(unseen(&form, &checked(&form), &beside)[0].key, "loras");
    }

    /// What a form sends for a task is what the task has a use for, whatever stands in the rest.
    #[test]
    fn no_task_is_sent_what_another_was_set_to() {
        let usual = serde_json::to_value(beside().defaults).unwrap();
        let mut full = fresh();
        full["mode"] = json!("custom");
        for spec in SPECS.iter().filter(|spec| spec.key != "audio_codes") {
            full[spec.key] = another(spec, &usual[spec.key]);
        }
        full["repaint_mode"] = json!("balanced");
        (full["repainting_start"], full["repainting_end"]) = (json!(1.0), json!(2.0));
        for task in TaskType::ALL {
            full["task_type"] = json!(task.as_str());
            let request = parameters(&full, Wish::Generate);
            let now = Checked::new(&request, beside().defaults, bounds(), None);
            let idle: Vec<&str> = now
                .notes
                .iter()
                .map(|note| note.code.as_str())
                .filter(|code| code.ends_with("_ignored"))
                .collect();
            assert_eq!(idle, [""; 0], "{task:?}");
            let run = Run {
                kind: JobKind::Generate,
                codes: true,
            };
            for key in ["thinking", "lm_temperature", "use_cot_metas"] {
                let has_use = acts(key, &now.params, run) && now.params.task_uses_lm();
                assert!(
                    request.get(key).is_none() || has_use,
                    "{task:?} is sent {key}"
                );
            }
        }
    }
}
