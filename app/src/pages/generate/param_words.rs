//! Names and values of parameters by their key, in words.

use acestep_domain::{
    generation::AudioFormat,
    lora::loras_from_json,
    param::{Kind, spec_of},
};
use serde_json::Value;

use super::words;
use crate::{
    i18n::{Locale, td_string},
    state::loras::in_words,
};

macro_rules! by_key {
    ($locale:expr, $key:expr, [$($name:ident),* $(,)?]) => {
        match $key {
            $(stringify!($name) => Some(td_string!($locale, params.$name.label)),)*
            _ => None,
        }
    };
}

/// The printed name of a parameter; its key where nobody gave it words.
pub fn name(locale: Locale, key: &'static str) -> &'static str {
    known_name(locale, key).unwrap_or(key)
}

/// The printed name of a parameter that has one.
pub fn known_name(locale: Locale, key: &str) -> Option<&'static str> {
    by_key!(
        locale,
        key,
        [
            task_type,
            caption,
            lyrics,
            instrumental,
            vocal_language,
            bpm,
            keyscale,
            timesignature,
            duration,
            batch_size,
            inference_steps,
            seed,
            guidance_scale,
            use_adg,
            cfg_interval_start,
            cfg_interval_end,
            shift,
            infer_method,
            timesteps,
            normalize,
            target_lufs,
            audio_format,
            auto_lrc,
            auto_score,
            score_scale,
            src_audio,
            reference_audio,
            repainting_start,
            repainting_end,
            repaint_mode,
            repaint_strength,
            audio_cover_strength,
            cover_noise_strength,
            track_name,
            complete_track_classes,
            audio_codes,
            thinking,
            lm_seed,
            lm_temperature,
            lm_cfg_scale,
            lm_top_k,
            lm_top_p,
            lm_repetition_penalty,
            lm_negative_prompt,
            use_cot_metas,
            use_cot_caption,
            use_cot_language,
            use_constrained_decoding,
            constrained_decoding_debug,
            loras,
        ]
    )
}

/// A file format.
pub fn format(locale: Locale, format: AudioFormat) -> &'static str {
    match format {
        AudioFormat::Mp3 => td_string!(locale, generate.format.mp3),
        AudioFormat::Flac => td_string!(locale, generate.format.flac),
        AudioFormat::Wav => td_string!(locale, generate.format.wav),
        AudioFormat::Wav24 => td_string!(locale, generate.format.wav24),
        AudioFormat::Wav32 => td_string!(locale, generate.format.wav32),
    }
}

/// A value of the wire; `shown` is the text its control has for it.
pub fn value(locale: Locale, key: &str, value: &Value, shown: &str) -> String {
    let spec = spec_of(key);
    match (key, value) {
        ("audio_format", Value::String(name)) => AudioFormat::from_name(name)
            .map_or_else(|| name.clone(), |own| format(locale, own).to_owned()),
        ("infer_method", Value::String(name)) => name.to_ascii_uppercase(),
        ("loras", value) => loras_from_json(value)
            .ok()
            .flatten()
            .and_then(|uses| in_words(&uses))
            .unwrap_or_else(|| td_string!(locale, loras.none).to_owned()),
        (_, Value::Bool(true)) => td_string!(locale, common.on).to_owned(),
        (_, Value::Bool(false)) => td_string!(locale, common.off).to_owned(),
        (_, Value::Null) => td_string!(locale, common.auto).to_owned(),
        (_, Value::Number(number)) if spec.is_some_and(|spec| spec.kind != Kind::List) => {
            let unit = spec.map_or("", |spec| spec.unit);
            let figure = words::minus(number.as_f64().unwrap_or_default());
            format!("{figure} {unit}").trim_end().to_owned()
        }
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::param::SPECS;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_parameter_has_a_name() {
        for spec in SPECS {
            assert!(known_name(Locale::en, spec.key).is_some(), "{}", spec.key);
        }
        assert_eq!(name(Locale::en, "brand_new"), "brand_new");
    }

    #[test]
    fn values_are_said_as_their_controls_say_them() {
        for (key, own, words) in [
            ("audio_format", json!("flac"), "FLAC, 16 bit"),
            ("infer_method", json!("sde"), "SDE"),
            ("normalize", json!(false), "Off"),
            ("target_lufs", json!(-14.0), "−14 LUFS"),
            ("shift", json!(1.5), "1.5"),
            (
                "loras",
                json!([{ "name": "tape", "scale": 0.5 }]),
                "tape 0.50",
            ),
            ("timesteps", json!([1.0, 0.5]), "1, 0.5"),
        ] {
            assert_eq!(value(Locale::en, key, &own, "1, 0.5"), words, "{key}");
        }
    }
}
