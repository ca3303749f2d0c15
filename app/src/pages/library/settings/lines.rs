//! Lines of the table of settings: what was used, and what the language model wrote where nothing was asked.

use acestep_domain::{
    generation::{
        InferMethod,
        clamp::{is_instrumental, minutes},
    },
    library::Song,
    metadata::Language,
};

use crate::{
    i18n::{Locale, td_string},
    state::loras::in_words,
};

/// A line of the table.
pub struct Line {
    /// What it is.
    pub name: &'static str,
    /// As used.
    pub used: String,
    /// Parameter keys whose notes stand here.
    pub keys: &'static [&'static str],
}

/// All lines of a song.
pub fn lines(song: &Song, locale: Locale) -> Vec<Line> {
    let params = &song.params;
    let line = |name, used, keys| Line { name, used, keys };
    let method = match params.infer_method {
        InferMethod::Ode => "ODE",
        InferMethod::Sde => "SDE",
    };
    let vocals = if is_instrumental(params) {
        td_string!(locale, library.instrumental)
    } else {
        td_string!(locale, library.sung)
    };
    let spent = time_spent(song, locale);
    let sampler = format!("{}, {:.1}, {method}", song.provenance.steps, params.shift);
    let provenance = &song.provenance;
    let mut all = music(song, locale);
    all.extend([
        line(
            td_string!(locale, library.row_vocals),
            vocals.to_owned(),
            &["instrumental", "lyrics"],
        ),
        line(
            td_string!(locale, library.row_seed),
            song.seed.to_string(),
            &["seed"],
        ),
        line(
            td_string!(locale, library.row_sampler),
            sampler,
            &["inference_steps", "shift", "infer_method", "timesteps"],
        ),
        line(
            td_string!(locale, library.row_guidance),
            format!("{:.1}", params.guidance_scale),
            &[
                "guidance_scale",
                "use_adg",
                "cfg_interval_start",
                "cfg_interval_end",
            ],
        ),
        line(
            td_string!(locale, library.row_format),
            song.audio_format.to_ascii_uppercase(),
            &["audio_format"],
        ),
        line(
            td_string!(locale, library.row_model),
            format!(
                "{}{}, {}, {}",
                provenance.model,
                provenance
                    .lm
                    .as_ref()
                    .map_or_else(String::new, |lm| format!(" + {lm}")),
                provenance.device,
                provenance.quantization
            ),
            &["config_path"],
        ),
        line(td_string!(locale, library.row_time_spent), spent, &[]),
    ]);
    if let Some(words) = in_words(&provenance.loras) {
        let place = all.len() - 1;
        all.insert(
            place,
            line(td_string!(locale, loras.title), words, &["loras"]),
        );
    }
    all
}

/// Length, tempo, key, signature, language.
fn music(song: &Song, locale: Locale) -> Vec<Line> {
    let params = &song.params;
    let auto = || td_string!(locale, library.auto).to_owned();
    let line = |name, used, keys| Line { name, used, keys };
    let plan = song.plan.clone().unwrap_or_default();
    // What was left open, with what the language model wrote there.
    let beside = |asked: Option<String>, wrote: Option<String>| match (asked, wrote) {
        (Some(asked), _) => asked,
        (None, Some(wrote)) => td_string!(locale, lm.asked_wrote, asked = auto(), wrote = wrote),
        (None, None) => auto(),
    };
    let known =
        |language: Language| (language != Language::UNKNOWN).then(|| language.name().to_owned());
    vec![
        line(
            td_string!(locale, library.row_length),
            if params.duration_secs.is_none() && plan.duration_secs.is_some() {
                beside(None, Some(minutes(song.duration_secs)))
            } else {
                minutes(song.duration_secs)
            },
            &["duration"],
        ),
        line(
            td_string!(locale, library.row_tempo),
            beside(
                params.bpm.map(|bpm| format!("{bpm} BPM")),
                plan.bpm.map(|bpm| format!("{bpm} BPM")),
            ),
            &["bpm"],
        ),
        line(
            td_string!(locale, library.row_key),
            beside(
                params.keyscale.map(|key| key.to_string()),
                plan.keyscale.map(|key| key.to_string()),
            ),
            &["keyscale"],
        ),
        line(
            td_string!(locale, library.row_time),
            beside(
                params.timesignature.map(|own| own.label().to_owned()),
                plan.timesignature.map(|own| own.label().to_owned()),
            ),
            &["timesignature"],
        ),
        line(
            td_string!(locale, library.row_language),
            beside(known(params.vocal_language), plan.language.and_then(known)),
            &["vocal_language"],
        ),
    ]
}

/// Seconds by stage; the language model's only where it took part.
fn time_spent(song: &Song, locale: Locale) -> String {
    let report = song.report;
    let secs = |secs: f32| format!("{secs:.1}");
    let (prepare, diffusion) = (secs(report.prepare_secs), secs(report.diffusion_secs));
    let decode = secs(report.decode_secs);
    if report.language_model_secs > 0.0 {
        td_string!(
            locale,
            lm.time_spent,
            lm = secs(report.language_model_secs),
            prepare = prepare,
            diffusion = diffusion,
            decode = decode
        )
    } else {
        td_string!(
            locale,
            library.time_spent,
            prepare = prepare,
            diffusion = diffusion,
            decode = decode
        )
    }
}
