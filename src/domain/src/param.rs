//! The one definition of every parameter: key, kind, range, step, unit, group.
//! Page, command line, API schema and reference docs are drawn from [`SPECS`]; words live in locale files.

use crate::{generation::AudioFormat, metadata::Bpm, region::RepaintMode};

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Free text.
    Text,
    /// On or off.
    Switch,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of a fixed set.
    Choice(&'static [&'static str]),
    /// Several values.
    List,
}

/// Where a control stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Task, source and region.
    Task,
    /// Caption, lyrics, language.
    Text,
    /// Tempo, key, signature, length, takes.
    Music,
    /// Steps, shift, guidance, seed.
    Sampler,
    /// The language model.
    LanguageModel,
    /// File and level.
    Output,
}

/// Which families a parameter acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// All.
    Always,
    /// Base and sft only; turbo models are trained without it.
    BaseOnly,
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Name in JSON, flags and ids.
    pub key: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// Smallest and largest value of numbers.
    pub range: Option<(f64, f64)>,
    /// Step of numbers.
    pub step: Option<f64>,
    /// Unit, empty when there is none.
    pub unit: &'static str,
    /// Where its control stands.
    pub group: Group,
    /// Which families it acts on.
    pub acts: Acts,
    /// Whether "the model decides" is a value.
    pub auto: bool,
}

const fn spec(key: &'static str, kind: Kind, group: Group) -> ParamSpec {
    ParamSpec {
        key,
        kind,
        range: None,
        step: None,
        unit: "",
        group,
        acts: Acts::Always,
        auto: false,
    }
}

const fn number(
    key: &'static str,
    kind: Kind,
    group: Group,
    range: (f64, f64),
    step: f64,
) -> ParamSpec {
    ParamSpec {
        range: Some(range),
        step: Some(step),
        ..spec(key, kind, group)
    }
}

impl ParamSpec {
    const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    const fn auto(self) -> Self {
        Self { auto: true, ..self }
    }

    const fn base_only(self) -> Self {
        Self {
            acts: Acts::BaseOnly,
            ..self
        }
    }
}

/// Steps a turbo model is offered; base models go on to the range of `inference_steps`.
pub const TURBO_MAX_STEPS: usize = 20;

/// Every parameter of a run (ranges: ui.md 3 and 7, engine.md 6).
pub const SPECS: &[ParamSpec] = &[
    spec(
        "task_type",
        Kind::Choice(&[
            "text2music",
            "cover",
            "repaint",
            "lego",
            "extract",
            "complete",
        ]),
        Group::Task,
    ),
    spec("caption", Kind::Text, Group::Text),
    spec("lyrics", Kind::Text, Group::Text),
    spec("instrumental", Kind::Switch, Group::Text),
    spec("vocal_language", Kind::Text, Group::Text).auto(),
    number(
        "bpm",
        Kind::Integer,
        Group::Music,
        (Bpm::MIN as f64, Bpm::MAX as f64),
        1.0,
    )
    .unit("BPM")
    .auto(),
    spec("keyscale", Kind::Text, Group::Music).auto(),
    spec(
        "timesignature",
        Kind::Choice(&["2", "3", "4", "6"]),
        Group::Music,
    )
    .auto(),
    number("duration", Kind::Number, Group::Music, (0.1, 600.0), 0.1)
        .unit("s")
        .auto(),
    number("batch_size", Kind::Integer, Group::Music, (1.0, 8.0), 1.0),
    number(
        "inference_steps",
        Kind::Integer,
        Group::Sampler,
        (1.0, 200.0),
        1.0,
    ),
    number(
        "seed",
        Kind::List,
        Group::Sampler,
        (0.0, u32::MAX as f64),
        1.0,
    )
    .auto(),
    number(
        "guidance_scale",
        Kind::Number,
        Group::Sampler,
        (1.0, 15.0),
        0.1,
    )
    .base_only(),
    spec("use_adg", Kind::Switch, Group::Sampler).base_only(),
    number(
        "cfg_interval_start",
        Kind::Number,
        Group::Sampler,
        (0.0, 1.0),
        0.01,
    )
    .base_only(),
    number(
        "cfg_interval_end",
        Kind::Number,
        Group::Sampler,
        (0.0, 1.0),
        0.01,
    )
    .base_only(),
    number("shift", Kind::Number, Group::Sampler, (1.0, 5.0), 0.1),
    spec(
        "infer_method",
        Kind::Choice(&["ode", "sde"]),
        Group::Sampler,
    ),
    number("timesteps", Kind::List, Group::Sampler, (0.0, 1.0), 0.0).auto(),
    spec("normalize", Kind::Switch, Group::Output),
    number(
        "target_lufs",
        Kind::Number,
        Group::Output,
        (-40.0, -5.0),
        0.1,
    )
    .unit("LUFS")
    .auto(),
    spec(
        "audio_format",
        Kind::Choice(&[
            AudioFormat::Mp3.as_str(),
            AudioFormat::Flac.as_str(),
            AudioFormat::Wav.as_str(),
            AudioFormat::Wav24.as_str(),
            AudioFormat::Wav32.as_str(),
        ]),
        Group::Output,
    ),
    spec("auto_lrc", Kind::Switch, Group::Output),
    spec("auto_score", Kind::Switch, Group::Output),
    number(
        "score_scale",
        Kind::Number,
        Group::Output,
        (0.01, 1.0),
        0.01,
    ),
    spec("src_audio", Kind::Text, Group::Task).auto(),
    spec("reference_audio", Kind::List, Group::Task).auto(),
    number(
        "repainting_start",
        Kind::Number,
        Group::Task,
        (-600.0, 600.0),
        0.1,
    )
    .unit("s"),
    number(
        "repainting_end",
        Kind::Number,
        Group::Task,
        (0.0, 1200.0),
        0.1,
    )
    .unit("s")
    .auto(),
    spec(
        "repaint_mode",
        Kind::Choice(&[
            RepaintMode::Conservative.as_str(),
            RepaintMode::Balanced.as_str(),
            RepaintMode::Aggressive.as_str(),
        ]),
        Group::Task,
    ),
    number(
        "repaint_strength",
        Kind::Number,
        Group::Task,
        (0.0, 1.0),
        0.01,
    ),
    number(
        "audio_cover_strength",
        Kind::Number,
        Group::Task,
        (0.0, 1.0),
        0.01,
    ),
    number(
        "cover_noise_strength",
        Kind::Number,
        Group::Task,
        (0.0, 1.0),
        0.01,
    ),
    spec(
        "track_name",
        Kind::Choice(&crate::task::TRACKS),
        Group::Task,
    )
    .auto(),
    spec("complete_track_classes", Kind::List, Group::Task).auto(),
    spec("audio_codes", Kind::Text, Group::LanguageModel),
    spec("thinking", Kind::Switch, Group::LanguageModel),
    number(
        "lm_seed",
        Kind::Integer,
        Group::LanguageModel,
        (0.0, u32::MAX as f64),
        1.0,
    )
    .auto(),
    number(
        "lm_temperature",
        Kind::Number,
        Group::LanguageModel,
        (0.0, 2.0),
        0.05,
    ),
    number(
        "lm_cfg_scale",
        Kind::Number,
        Group::LanguageModel,
        (1.0, 3.0),
        0.1,
    ),
    number(
        "lm_top_k",
        Kind::Integer,
        Group::LanguageModel,
        (0.0, 100.0),
        1.0,
    ),
    number(
        "lm_top_p",
        Kind::Number,
        Group::LanguageModel,
        (0.0, 1.0),
        0.01,
    ),
    number(
        "lm_repetition_penalty",
        Kind::Number,
        Group::LanguageModel,
        (1.0, 2.0),
        0.01,
    ),
    spec("lm_negative_prompt", Kind::Text, Group::LanguageModel),
    spec("use_cot_metas", Kind::Switch, Group::LanguageModel),
    spec("use_cot_caption", Kind::Switch, Group::LanguageModel),
    spec("use_cot_language", Kind::Switch, Group::LanguageModel),
    spec(
        "use_constrained_decoding",
        Kind::Switch,
        Group::LanguageModel,
    ),
    spec(
        "constrained_decoding_debug",
        Kind::Switch,
        Group::LanguageModel,
    ),
    spec("loras", Kind::List, Group::Sampler).auto(),
];

/// The definition of `key`.
pub fn spec_of(key: &str) -> Option<&'static ParamSpec> {
    SPECS.iter().find(|spec| spec.key == key)
}

/// The range of a numeric `key`; the whole line for others.
pub fn range_of(key: &str) -> (f64, f64) {
    spec_of(key)
        .and_then(|spec| spec.range)
        .unwrap_or((f64::NEG_INFINITY, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GenerationParams;

    #[test]
    fn every_key_of_the_parameters_has_one_spec_and_no_other() {
        let json = serde_json::to_value(GenerationParams::default()).unwrap();
        let mut keys: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut specs: Vec<&str> = SPECS.iter().map(|spec| spec.key).collect();
        keys.sort_unstable();
        specs.sort_unstable();
        assert_eq!(keys, specs);
    }

    #[test]
    fn defaults_lie_inside_their_ranges() {
        for family in [crate::task::Family::Turbo, crate::task::Family::Base] {
            for tier in crate::tier::GpuTier::ALL {
                let json = serde_json::to_value(crate::defaults::defaults(family, tier)).unwrap();
                for spec in SPECS.iter().filter(|spec| !spec.auto) {
                    if let (Some((low, high)), Some(value)) = (spec.range, json[spec.key].as_f64())
                    {
                        assert!((low..=high).contains(&value), "{} = {value}", spec.key);
                    }
                }
            }
        }
    }
}
