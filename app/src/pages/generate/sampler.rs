//! The fold Sampler: steps, shift, method, own timesteps, guidance where the model has it.

use acestep_domain::{
    number::decimal,
    param::{TURBO_MAX_STEPS, range_of, spec_of},
    task::Family,
};
use leptos::prelude::*;

use super::numbers::{error_for, notes_for};
use crate::{
    components::{
        field::{Field, OffField, TextInput},
        note::Notes,
        segmented::Segmented,
        slider::{Beyond, Range, Slider},
        switch::Switch,
    },
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{StudioStore, form::Form},
    word,
};

/// The fold's fields.
#[component]
pub fn Sampler() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let store = StudioStore::expect();
    let turbo = Memo::new(move |_| store.bounds().family == Family::Turbo);
    let methods = Signal::derive(move || {
        [("ode", "ODE"), ("sde", "SDE")]
            .map(|(own, name)| (own.to_owned(), name.to_owned()))
            .to_vec()
    });
    view! {
        <Steps turbo />
        <Number key="shift" label=word!(i18n, params.shift.label) help=word!(i18n, params.shift.help) />
        <div class="field">
            <Segmented
                id="infer_method"
                value=form.text("infer_method")
                choices=methods
                legend=word!(i18n, params.infer_method.label)
                with_legend=true
            />
            <p class="field__help">{t!(i18n, params.infer_method.help)}</p>
        </div>
        <Field
            id="timesteps"
            label=word!(i18n, params.timesteps.label)
            help=word!(i18n, params.timesteps.help)
            notes=notes_for("timesteps")
            error=error_for("timesteps")
        >
            <TextInput
                id="timesteps"
                value=form.text("timesteps")
                placeholder=word!(i18n, generate.timesteps_none)
                error=error_for("timesteps")
            />
        </Field>
        <Show
            when=move || !turbo.get()
            fallback=move || {
                view! {
                    <OffField
                        label=word!(i18n, generate.guidance_all)
                        reason=word!(i18n, generate.guidance_turbo)
                    />
                }
            }
        >
            <Guidance />
        </Show>
    }
    .into_any()
}

/// What only base and sft models have.
#[component]
fn Guidance() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    view! {
        <Number
            key="guidance_scale"
            label=word!(i18n, params.guidance_scale.label)
            help=word!(i18n, params.guidance_scale.help)
        />
        <div class="field">
            <Switch
                id="use_adg"
                value=form.switch("use_adg")
                label=word!(i18n, params.use_adg.label)
                with_state=true
            />
            <Notes notes=notes_for("use_adg") />
            <p class="field__help">{t!(i18n, params.use_adg.help)}</p>
        </div>
        <Number
            key="cfg_interval_start"
            label=word!(i18n, params.cfg_interval_start.label)
            help=word!(i18n, params.cfg_interval_start.help)
        />
        <Number
            key="cfg_interval_end"
            label=word!(i18n, params.cfg_interval_end.label)
            help=word!(i18n, params.cfg_interval_end.help)
        />
    }
    .into_any()
}

/// A parameter with a plain range, as a fader.
#[component]
pub fn Number(
    /// Parameter key.
    key: &'static str,
    /// Printed label.
    #[prop(into)]
    label: Signal<String>,
    /// What it does.
    #[prop(into)]
    help: Signal<String>,
    /// The value at which it does nothing; shown as a word.
    #[prop(optional)]
    off_at: Option<f64>,
    /// The form's field, where it is not called as the parameter.
    #[prop(optional)]
    field: Option<&'static str>,
) -> impl IntoView {
    let i18n = use_i18n();
    let id = field.unwrap_or(key);
    let text = Form::expect().text(id);
    let (min, max) = range_of(key);
    let step = spec_of(key).and_then(|spec| spec.step).unwrap_or(1.0);
    let digits = if step < 0.1 {
        2
    } else {
        usize::from(step < 1.0)
    };
    let value = Memo::new(move |_| text.with(|text| decimal(text.trim()).unwrap_or(min)));
    let shown = move || match off_at {
        Some(off) if value.get() == off => t_string!(i18n, lm.off_at).to_owned(),
        _ => format!("{:.digits$}", value.get()),
    };
    view! {
        <Field
            id
            label
            aside=Signal::derive(shown)
            help=help
            notes=notes_for(key)
            error=error_for(key)
        >
            <Slider
                id
                name=id
                spoken=Signal::derive(shown)
                range=Range { min, max, step }
                value
                on_move=move |moved: f64| text.set(format!("{moved:.digits$}"))
            />
        </Field>
    }
    .into_any()
}

#[component]
fn Steps(turbo: Memo<bool>) -> impl IntoView {
    let i18n = use_i18n();
    let text = Form::expect().text("inference_steps");
    let whole = range_of("inference_steps").1;
    let range = Memo::new(move |_| Range {
        min: 1.0,
        max: if turbo.get() {
            TURBO_MAX_STEPS as f64
        } else {
            whole
        },
        step: 1.0,
    });
    let value = Memo::new(move |_| text.with(|text| decimal(text.trim()).unwrap_or(8.0)));
    let beyond = move || {
        turbo.get().then(|| Beyond {
            // Drawn out of scale: enough to show that base models go on.
            max: TURBO_MAX_STEPS as f64 * 1.4,
            limit_words: t_string!(i18n, generate.steps_turbo, n = TURBO_MAX_STEPS),
            max_words: t_string!(i18n, generate.steps_base, n = whole),
        })
    };
    view! {
        <Field
            id="inference_steps"
            label=word!(i18n, params.inference_steps.label)
            aside=Signal::derive(move || format!("{:.0}", value.get()))
            help=word!(i18n, params.inference_steps.help)
            notes=notes_for("inference_steps")
            error=error_for("inference_steps")
        >
            <Slider
                id="inference_steps"
                name="inference_steps"
                range
                value
                on_move=move |steps: f64| text.set(format!("{steps:.0}"))
                beyond=Signal::derive(beyond)
            />
        </Field>
    }
    .into_any()
}
