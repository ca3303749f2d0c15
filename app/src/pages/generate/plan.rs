//! What will happen, before it happens: takes and length as they would run, time by the last run's
//! pace, what the model decides, the place in the queue, and Generate.

use acestep_domain::{
    audio_codes,
    generation::{
        GenerationParams,
        clamp::{is_instrumental, minutes},
    },
    library::Song,
    metadata::Language,
    service::ServiceState,
};
use leptos::prelude::*;

use super::{
    numbers::{KEYS as NUMBERS, notes_for},
    words,
};
use crate::{
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    routes,
    state::{
        StudioStore,
        fields::{SWITCHES, TEXTS},
        form::Form,
        request::{WISH, Wish},
    },
};

/// Seconds a run takes, by stage.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Estimate {
    /// The language model; 0 where it is not asked or was not measured.
    lm: f32,
    diffusion: f32,
    decode: f32,
}

/// Seconds that `params` take at the pace of `last`; `lm_loaded` says whether a language model takes part.
fn estimate(params: &GenerationParams, last: &Song, lm_loaded: bool) -> Option<Estimate> {
    let report = last.report;
    let made = last.duration_secs as f32;
    let old_steps = last.provenance.steps as f32 * last.params.batch_size as f32;
    if made <= 0.0 || old_steps <= 0.0 || report.diffusion_secs <= 0.0 {
        return None;
    }
    let secs = params.duration_secs? as f32 * params.batch_size as f32;
    let steps = params
        .timesteps
        .as_ref()
        .map_or(params.inference_steps, Vec::len) as f32;
    let lm = if lm_loaded && params.lm_writes_codes() && !last.audio_codes.is_empty() {
        let old_secs = made * last.params.batch_size as f32;
        report.language_model_secs / old_secs * secs
    } else if lm_loaded && params.lm_plans() && last.audio_codes.is_empty() {
        report.language_model_secs
    } else {
        0.0
    };
    Some(Estimate {
        lm,
        diffusion: report.diffusion_secs / (made * old_steps) * steps * secs,
        decode: report.decode_secs / made * secs,
    })
}

/// The box with Generate.
#[component]
pub fn PlanBox(
    /// A submission is on its way.
    #[prop(into)]
    pending: Signal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let params = Memo::new(move |_| form.checked.with(|checked| checked.params.clone()));
    let broken = Memo::new(move |_| form.checked.with(|checked| !checked.errors.is_empty()));
    let ready = Memo::new(move |_| store.is_ready());
    let with_lm = Memo::new(move |_| store.has_lm());
    view! {
        <section class="plan" aria-label=move || t_string!(i18n, generate.plan)>
            <dl class="plan__text">
                <PlanRows params />
            </dl>
            <div class="plan__go">
                <div class="composer__custom">
                    <button
                        id="generate"
                        class="button button--primary button--large"
                        type="submit"
                        name=WISH
                        value=Wish::Generate.as_str()
                        aria-describedby="plan-when"
                        disabled=move || !ready.get() || broken.get() || pending.get()
                    >
                        {move || {
                            t_string!(
                                i18n, generate.generate_takes, takes = words::takes(i18n, params.get().batch_size)
                            )
                        }}
                    </button>
                </div>
                <div class="composer__simple">
                    <button
                        id="write-and-generate"
                        class="button button--primary button--large"
                        type="submit"
                        name=WISH
                        value=Wish::WriteAndGenerate.as_str()
                        aria-describedby="plan-when"
                        disabled=move || {
                            !ready.get() || !with_lm.get() || broken.get() || pending.get()
                        }
                    >
                        {t!(i18n, lm.write_and_generate)}
                    </button>
                </div>
                <p class="plan__when" id="plan-when">
                    <When ready broken />
                </p>
            </div>
            <Refusal />
        </section>
    }
    .into_any()
}

#[component]
fn PlanRows(params: Memo<GenerationParams>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let with_lm = Memo::new(move |_| store.has_lm());
    let makes = move || {
        params.with(|params| {
            let takes = words::takes(i18n, params.batch_size);
            let format = params.audio_format.as_str().to_uppercase();
            match params.duration_secs {
                Some(secs) => {
                    let time = minutes(secs);
                    t_string!(
                        i18n,
                        generate.makes,
                        takes = takes,
                        time = time,
                        format = format
                    )
                }
                None => t_string!(i18n, lm.makes_open, takes = takes, format = format),
            }
        })
    };
    // What the language model fills is not open any more.
    let left = move || {
        let filled = with_lm.get() && (form.is_simple() || params.with(GenerationParams::lm_plans));
        if filled {
            return None;
        }
        let open = params.with(|params| words_open(i18n, params));
        let open: Vec<_> = open
            .into_iter()
            .filter(|part| *part != length(i18n))
            .collect();
        Some(if open.is_empty() {
            t_string!(i18n, generate.open.nothing).to_string()
        } else {
            t_string!(i18n, generate.open_model, what = open.join(", "))
        })
    };
    let time = Memo::new(move |_| {
        store.songs.with(|songs| {
            let model = store
                .status
                .with(|status| status.model.as_ref().map(|model| model.name.clone()));
            let last = songs
                .iter()
                .find(|song| Some(&song.provenance.model) == model.as_ref())?;
            params.with(|params| estimate(params, last, with_lm.get()))
        })
    });
    view! {
        <div class="plan__row">
            <dt>{t!(i18n, generate.makes_label)}</dt>
            <dd>
                <strong>{makes}</strong>
            </dd>
        </div>
        <div class="plan__row">
            <dt>{t!(i18n, lm.plan.label)}</dt>
            <dd>{move || lm_text(i18n, store, form, &params.get())}</dd>
        </div>
        {move || {
            left()
                .map(|left| {
                    view! {
                        <div class="plan__row">
                            <dt>{t!(i18n, generate.open_label)}</dt>
                            <dd>{left}</dd>
                        </div>
                    }
                })
        }}
        <div class="plan__row">
            <dt>{t!(i18n, generate.time_label)}</dt>
            <dd>
                {move || match time.get() {
                    Some(time) => {
                        view! {
                            <strong>{words::about(i18n, time.lm + time.diffusion + time.decode)}</strong>
                            " "
                            <span class="readout__auto">{time_parts(i18n, time)}</span>
                        }
                            .into_any()
                    }
                    None => t_string!(i18n, generate.time_unknown).to_string().into_any(),
                }}
            </dd>
        </div>
    }
    .into_any()
}

fn time_parts(i18n: words::Words, time: Estimate) -> String {
    let diffusion = words::short(i18n, time.diffusion);
    let decode = words::short(i18n, time.decode);
    if time.lm > 0.0 {
        let lm = words::short(i18n, time.lm);
        t_string!(
            i18n,
            lm.time_parts,
            lm = lm,
            diffusion = diffusion,
            decode = decode
        )
    } else {
        t_string!(
            i18n,
            generate.time_parts,
            diffusion = diffusion,
            decode = decode
        )
    }
}

fn length(i18n: words::Words) -> &'static str {
    t_string!(i18n, lm.part.length)
}

/// Tempo, key, signature and length as far as the user left them open.
fn words_open(i18n: words::Words, params: &GenerationParams) -> Vec<&'static str> {
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
fn lm_text(
    i18n: words::Words,
    store: StudioStore,
    form: Form,
    params: &GenerationParams,
) -> String {
    let given = audio_codes::parse(&params.audio_codes).map_or(0, |codes| codes.len());
    let codes_given = || t_string!(i18n, lm.plan.codes_given, n = given);
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

/// Where the run will stand, or why it cannot start and what would help.
#[component]
fn When(ready: Memo<bool>, broken: Memo<bool>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let loading = Memo::new(move |_| {
        store
            .status
            .with(|status| status.state == ServiceState::Loading)
    });
    let form = Form::expect();
    let simple = Memo::new(move |_| form.is_simple());
    let with_lm = Memo::new(move |_| store.has_lm());
    // The numbers stand in both modes.
    let seen_broken = Memo::new(move |_| {
        form.checked
            .with(|checked| NUMBERS.iter().any(|key| checked.error_for(key).is_some()))
    });
    let ahead = Memo::new(move |_| store.queue().len() + usize::from(store.running().is_some()));
    move || {
        if !ready.get() && loading.get() {
            return t_string!(i18n, generate.wait_loading)
                .to_string()
                .into_any();
        }
        if !ready.get() {
            return view! {
                <a href=routes::SERVICE>{t!(i18n, generate.start_first)}</a>
            }
            .into_any();
        }
        if simple.get() && !with_lm.get() {
            return t_string!(i18n, lm.need.off).to_string().into_any();
        }
        if broken.get() {
            let text = if simple.get() && !seen_broken.get() {
                t_string!(i18n, lm.fix_custom)
            } else {
                t_string!(i18n, generate.fix_first)
            };
            return text.to_string().into_any();
        }
        match ahead.get() {
            0 => t_string!(i18n, generate.starts_now).to_string().into_any(),
            n => t_string!(i18n, generate.joins_queue, n = n).into_any(),
        }
    }
}

/// A control of the form says what is wrong with `field`.
fn has_control(field: &str) -> bool {
    TEXTS.contains(&field) || SWITCHES.contains(&field)
}

/// What the studio said to the last submission, when no control is to blame.
#[component]
fn Refusal() -> impl IntoView {
    let form = Form::expect();
    let general = notes_for("task_type");
    let refusal = move || {
        form.refusal
            .get()
            .filter(|error| {
                error
                    .field
                    .as_deref()
                    .is_none_or(|field| !has_control(field))
            })
            .map(|error| error.to_string())
            .or_else(|| general.with(|notes| notes.first().map(|note| note.message.clone())))
    };
    view! {
        <div class="plan__refusal" role="alert">
            {move || {
                refusal()
                    .map(|text| {
                        view! {
                            <p class="note note--error">
                                <Icon name="error" />
                                <span>{text}</span>
                            </p>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(secs: f64, steps: usize, batch: usize, diffusion: f32, decode: f32) -> Song {
        serde_json::from_value(serde_json::json!({
            "id": "1", "job_id": "1", "item": 0, "title": "x", "created_at": "", "duration_secs": secs,
            "sample_rate_hz": 48000, "channels": 2, "audio_format": "wav", "size_bytes": 1, "seed": 1,
            "params": { "batch_size": batch },
            "provenance": { "app_version": "", "model": "m", "device": "cpu", "quantization": "none", "steps": steps },
            "report": { "peak": 0.9, "rms": 0.1, "gain": 1.0, "prepare_secs": 0.1, "diffusion_secs": diffusion, "decode_secs": decode },
            "notes": [], "peaks": [], "favourite": false
        }))
        .unwrap()
    }

    #[test]
    fn twice_the_length_and_half_the_steps_take_as_long_in_diffusion() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            batch_size: 1,
            inference_steps: 4,
            ..GenerationParams::default()
        };
        let time = estimate(&params, &song(30.0, 8, 1, 10.0, 3.0), true).unwrap();
        assert!((time.diffusion - 10.0).abs() < 1e-4 && (time.decode - 6.0).abs() < 1e-4);
    }

    #[test]
    fn codes_of_a_song_twice_as_long_take_the_language_model_twice_as_long() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            batch_size: 1,
            ..GenerationParams::default()
        };
        let mut last = song(30.0, 8, 1, 10.0, 3.0);
        last.report.language_model_secs = 4.0;
        last.audio_codes = "<|audio_code_1|>".to_owned();
        let lm = |loaded| estimate(&params, &last, loaded).unwrap().lm;
        assert!((lm(true) - 8.0).abs() < 1e-4 && lm(false) == 0.0);
    }

    #[test]
    fn nothing_is_told_without_a_measured_run() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            ..GenerationParams::default()
        };
        assert_eq!(estimate(&params, &song(30.0, 8, 1, 0.0, 0.0), false), None);
    }
}
