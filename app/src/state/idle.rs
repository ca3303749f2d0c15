//! What was set in Custom and does nothing in Simple: it is kept, and said. Told from the two requests, so
//! that a parameter which comes new to `acestep-domain` is among them without a line here.

use acestep_domain::{
    generation::{GenerationParams, clamp::is_instrumental_tag, read::params_from_json},
    param::SPECS,
};
use serde_json::Value;

use super::{
    request::{Wish, parameters},
    task::is_simple,
    unseen::Unseen,
};

/// What Simple has a control of its own for.
const ASKED_IN_SIMPLE: [&str; 2] = ["vocal_language", "instrumental"];

/// All of them, in the order of [`SPECS`]; none in Custom, where all that is set acts or says why not.
pub fn idle(form: &Value, defaults: &GenerationParams) -> Vec<Unseen> {
    if !is_simple(form) {
        return Vec::new();
    }
    let read = |wish| {
        let params = params_from_json(&parameters(form, wish), defaults.clone())
            .map_or_else(|_| defaults.clone(), |read| read.params);
        serde_json::to_value(params).unwrap_or_default()
    };
    let (set, sent) = (read(Wish::Generate), read(Wish::WriteAndGenerate));
    let usual = serde_json::to_value(defaults).unwrap_or_default();
    SPECS
        .iter()
        .map(|spec| spec.key)
        .filter(|key| !ASKED_IN_SIMPLE.contains(key))
        .filter(|key| set[*key] != usual[*key] && set[*key] != sent[*key])
        // The mark that instrumental stands for is no text of anybody's.
        .filter(|key| *key != "lyrics" || !set["lyrics"].as_str().is_some_and(is_instrumental_tag))
        .map(|key| Unseen {
            key,
            value: set[key].clone(),
            wrong: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use acestep_domain::{defaults::defaults, task::Family, tier::GpuTier};
    use serde_json::json;

    use super::*;
    use crate::state::fields::{SIMPLE, fields_from_params};

    fn form() -> (Value, GenerationParams) {
        let usual = defaults(Family::Turbo, GpuTier::Unlimited);
        let mut form = fields_from_params(&usual);
        form["mode"] = json!(SIMPLE);
        form["description"] = json!("rain on a tin roof");
        form["simple_instrumental"] = json!(false);
        form["simple_language"] = json!("de");
        (form, usual)
    }

    #[test]
    fn what_simple_leaves_out_is_named() {
        let (mut form, usual) = form();
        assert_eq!(idle(&form, &usual), []);
        for (key, value) in [
            ("caption", json!("slow piano")),
            ("lyrics", json!("[Verse]\nSoft notes")),
            ("keyscale", json!("Am")),
            ("timesignature", json!("3")),
            ("reference_audio", json!("0190")),
            ("audio_codes", json!("1 2 3")),
            // These act, or are asked for in Simple itself.
            ("shift", json!("1.5")),
            ("bpm", json!("90")),
            ("vocal_language", json!("ja")),
        ] {
            form[key] = value;
        }
        let named: Vec<&str> = idle(&form, &usual).iter().map(|own| own.key).collect();
        assert_eq!(
            named,
            SPECS
                .iter()
                .map(|spec| spec.key)
                .filter(|key| [
                    "caption",
                    "lyrics",
                    "keyscale",
                    "timesignature",
                    "reference_audio",
                    "audio_codes"
                ]
                .contains(key))
                .collect::<Vec<_>>()
        );
        form["mode"] = json!("custom");
        assert_eq!(idle(&form, &usual), []);
        form["mode"] = json!(SIMPLE);
        form["task_type"] = json!("cover");
        assert_eq!(idle(&form, &usual), []);
    }
}
