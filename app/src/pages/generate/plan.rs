//! What will happen, before it happens: takes and length as they would run, time by the last run's
//! pace, what the model decides, the place in the queue, and Generate.

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    library::Song,
    service::ServiceState,
};
use leptos::prelude::*;

use super::{numbers::notes_for, words};
use crate::{
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    routes,
    state::{StudioStore, form::Form},
};

/// Seconds of diffusion and decoding that `params` take at the pace of `last`.
fn estimate(params: &GenerationParams, last: &Song) -> Option<(f32, f32)> {
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
    let diffusion = report.diffusion_secs / (made * old_steps) * steps * secs;
    Some((diffusion, report.decode_secs / made * secs))
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
    view! {
        <section class="plan" aria-label=move || t_string!(i18n, generate.plan)>
            <dl class="plan__text">
                <PlanRows params />
            </dl>
            <div class="plan__go">
                <button
                    id="generate"
                    class="button button--primary button--large"
                    type="submit"
                    aria-describedby="plan-when"
                    disabled=move || !ready.get() || broken.get() || pending.get()
                >
                    {move || {
                        t_string!(
                            i18n, generate.generate_takes, takes = words::takes(i18n, params.get().batch_size)
                        )
                    }}
                </button>
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
    let makes = move || {
        params.with(|params| {
            t_string!(
                i18n,
                generate.makes,
                takes = words::takes(i18n, params.batch_size),
                time = minutes(params.duration_secs.unwrap_or_default()),
                format = params.audio_format.as_str().to_uppercase()
            )
        })
    };
    let left = move || {
        params.with(|params| {
            let mut open = Vec::new();
            if params.bpm.is_none() {
                open.push(t_string!(i18n, generate.open.tempo));
            }
            if params.keyscale.is_none() {
                open.push(t_string!(i18n, generate.open.key));
            }
            if params.timesignature.is_none() {
                open.push(t_string!(i18n, generate.open.signature));
            }
            if open.is_empty() {
                t_string!(i18n, generate.open.nothing).to_string()
            } else {
                t_string!(i18n, generate.open_model, what = open.join(", "))
            }
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
            params.with(|params| estimate(params, last))
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
            <dt>{t!(i18n, generate.open_label)}</dt>
            <dd>{left}</dd>
        </div>
        <div class="plan__row">
            <dt>{t!(i18n, generate.time_label)}</dt>
            <dd>
                {move || match time.get() {
                    Some((diffusion, decode)) => {
                        view! {
                            <strong>{words::about(i18n, diffusion + decode)}</strong>
                            " "
                            <span class="readout__auto">
                                {t_string!(
                                    i18n, generate.time_parts, diffusion = words::short(i18n, diffusion), decode = words::short(i18n, decode)
                                )}
                            </span>
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
        if broken.get() {
            return t_string!(i18n, generate.fix_first).to_string().into_any();
        }
        match ahead.get() {
            0 => t_string!(i18n, generate.starts_now).to_string().into_any(),
            n => t_string!(i18n, generate.joins_queue, n = n).into_any(),
        }
    }
}

/// What the studio said to the last submission, when no field is to blame.
#[component]
fn Refusal() -> impl IntoView {
    let form = Form::expect();
    let general = notes_for("task_type");
    let refusal = move || {
        form.refusal
            .get()
            .filter(|error| error.field.is_none())
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
        let (diffusion, decode) = estimate(&params, &song(30.0, 8, 1, 10.0, 3.0)).unwrap();
        assert!((diffusion - 10.0).abs() < 1e-4 && (decode - 6.0).abs() < 1e-4);
    }

    #[test]
    fn nothing_is_told_without_a_measured_run() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            ..GenerationParams::default()
        };
        assert_eq!(estimate(&params, &song(30.0, 8, 1, 0.0, 0.0)), None);
    }
}
