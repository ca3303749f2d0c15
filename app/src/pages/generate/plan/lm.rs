//! What the language model does with the request as it stands.

use acestep_domain::{
    audio_codes,
    generation::{GenerationParams, clamp::is_instrumental},
    metadata::Language,
};

use crate::{
    i18n::t_string,
    pages::generate::words,
    state::{StudioStore, form::Form},
};

/// The word for the length.
pub(super) fn length(i18n: words::Words) -> &'static str {
    t_string!(i18n, lm.part.length)
}

/// Tempo, key, signature and length as far as the user left them open.
pub(super) fn words_open(i18n: words::Words, params: &GenerationParams) -> Vec<&'static str> {
    [
        (params.bpm.is_none(), t_string!(i18n, generate.open.tempo)),
        (
            params.keyscale.is_none(),
            t_string!(i18n, generate.open.key),
        ),
        (
            params.timesignature.is_none(),
            t_string!(i18n, generate.open.signature),
        ),
        (params.duration_secs.is_none(), length(i18n)),
    ]
    .into_iter()
    .filter_map(|(open, name)| open.then_some(name))
    .collect()
}

/// What the language model does with the request as it stands.
pub(super) fn lm_text(
    i18n: words::Words,
    store: StudioStore,
    form: Form,
    params: &GenerationParams,
) -> String {
    let given = audio_codes::parse(&params.audio_codes).map_or(0, |codes| codes.len());
    let codes_given = || t_string!(i18n, lm.plan.codes_given, n = given);
    if !params.task_uses_lm() {
        return if given > 0 && params.follows_codes() {
            codes_given()
        } else {
            t_string!(i18n, tasks.lm_nothing).to_owned()
        };
    }
    let Some(lm) = store.loaded_lm() else {
        return if given > 0 {
            codes_given()
        } else {
            t_string!(i18n, lm.plan.none).to_string()
        };
    };
    let mut does = Vec::new();
    let simple = form.is_simple();
    let mut parts = Vec::new();
    if simple {
        parts.push(t_string!(i18n, lm.part.caption));
        if !params.instrumental {
            parts.push(t_string!(i18n, lm.part.lyrics));
        }
    } else if params.lm_plans() && params.use_cot_caption {
        parts.push(t_string!(i18n, lm.part.caption));
    }
    if simple || params.lm_plans() {
        parts.extend(words_open(i18n, params));
        let sung = !is_instrumental(params);
        if !simple && sung && params.use_cot_language && params.vocal_language == Language::UNKNOWN
        {
            parts.push(t_string!(i18n, lm.part.language));
        }
        let what = parts.join(", ");
        does.push(if simple {
            t_string!(i18n, lm.plan.writes, what = what)
        } else {
            t_string!(i18n, lm.plan.fills, what = what)
        });
    }
    if params.lm_writes_codes() && lm.has_codes {
        does.push(match params.duration_secs {
            Some(secs) => {
                let each = (secs * audio_codes::PER_SECOND).round();
                t_string!(i18n, lm.plan.codes, n = each * params.batch_size as f64)
            }
            None => t_string!(i18n, lm.plan.codes_open).to_string(),
        });
    } else if given > 0 {
        does.push(codes_given());
    }
    if does.is_empty() {
        t_string!(i18n, lm.plan.off).to_string()
    } else {
        does.join("; ")
    }
}
