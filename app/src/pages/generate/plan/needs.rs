//! Memory and time of the run, before it happens: what is needed, what can be had, and what to change
//! where that is too little.

use acestep_domain::{event::Stage, generation::clamp::minutes, memory::Change, tier::size_text};
use leptos::prelude::*;
use serde_json::{Map, Value};

use crate::{
    api::needs::{RunNeeds, TimeNeeds},
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    live::live,
    pages::generate::words::{self, Words},
    state::{StudioStore, form::Form, needs::Needs},
};

/// The two rows; they keep their height whatever they say.
#[component]
pub(super) fn NeedsRows() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let plan = Needs::expect().plan;
    let unknown = move || {
        if store.is_ready() {
            t_string!(i18n, needs.known_when_right)
        } else {
            t_string!(i18n, needs.known_when_loaded)
        }
    };
    let memory = move || {
        plan.with(|plan| match plan {
            Some(plan) => memory_text(i18n, plan).into_any(),
            None => unknown().to_string().into_any(),
        })
    };
    let time = move || {
        plan.with(|plan| match plan.as_ref().map(|plan| &plan.time) {
            Some(Some(time)) => view! {
                <strong>{words::about(i18n, time.total as f32)}</strong>
                " "
                <span class="readout__auto">{time_parts(i18n, time)}</span>
            }
            .into_any(),
            Some(None) => t_string!(i18n, generate.time_unknown)
                .to_string()
                .into_any(),
            None => unknown().to_string().into_any(),
        })
    };
    view! {
        <div class="plan__row plan__row--needs">
            <dt>{t!(i18n, needs.memory)}</dt>
            <dd id="plan-memory">{live(memory)}</dd>
        </div>
        <div class="plan__row plan__row--needs">
            <dt>{t!(i18n, generate.time_label)}</dt>
            <dd id="plan-time">{live(time)}</dd>
        </div>
    }
    .into_any()
}

/// Needed and free, and what would make it fit.
fn memory_text(i18n: Words, plan: &RunNeeds) -> impl IntoView {
    let needed = size_text(plan.needed_bytes);
    let free = size_text(plan.free_bytes);
    if plan.fits {
        let text = t_string!(i18n, needs.of_free, needed = needed, free = free);
        let before_load = plan.before_load.clone().map(|model| {
            let text = t_string!(i18n, needs.before_load, model = model);
            view! {
                " "
                <span class="readout__auto">{text}</span>
            }
        });
        return view! {
            <span class="plan__fit">
                <Icon name="check" />
                {text}
            </span>
            {before_load}
        }
        .into_any();
    }
    let all_in_words = |changes: &[Change]| {
        let words = changes.iter().map(|change| in_words(i18n, change));
        words.collect::<Vec<_>>().join(", ")
    };
    let help = match &plan.changes {
        Some(changes) => t_string!(i18n, needs.fits_with, what = all_in_words(changes)),
        None => t_string!(i18n, needs.nothing_fits).to_string(),
    };
    let mut text = t_string!(i18n, needs.too_much, needed = needed, free = free);
    if let Some(others) = &plan.others {
        text += &t_string!(i18n, needs.others, others = others.clone());
    }
    let lower = plan.lowered.as_ref().map(|changes| {
        let text = t_string!(i18n, needs.lower, what = all_in_words(changes));
        view! { " " <Lower changes=changes.clone() text /> }
    });
    view! {
        <span class="plan__fit plan__fit--no">
            <Icon name="error" />
            {text}
        </span>
        " "
        <span class="readout__auto">{help}</span>
        {lower}
    }
    .into_any()
}

/// The consent to make less, so that it fits.
#[component]
fn Lower(changes: Vec<Change>, text: String) -> impl IntoView {
    let form = Form::expect();
    let fields: Map<String, Value> = changes
        .into_iter()
        .map(|change| (change.field, change.value))
        .collect();
    let fields = Value::Object(fields);
    view! {
        <button
            type="button"
            class="button button--small needs-script"
            on:click=move |_| form.apply(&fields)
        >
            {text}
        </button>
    }
    .into_any()
}

/// One change, as the page calls what is changed.
fn in_words(i18n: Words, change: &Change) -> String {
    let value = &change.value;
    match change.field.as_str() {
        "offload_to_cpu" => t_string!(i18n, needs.change.offload).to_string(),
        "offload_dit_to_cpu" => t_string!(i18n, needs.change.offload_dit).to_string(),
        "quantization" => {
            let format = value.as_str().unwrap_or_default().to_owned();
            t_string!(i18n, needs.change.quantization, format = format)
        }
        "batch_size" => words::takes(i18n, value.as_u64().unwrap_or(1) as usize),
        "duration" => {
            let time = minutes(value.as_f64().unwrap_or_default());
            t_string!(i18n, needs.change.duration, time = time)
        }
        "device" => t_string!(i18n, needs.change.processor).to_string(),
        _ => t_string!(i18n, needs.change.without_lm).to_string(),
    }
}

/// The parts that count, in words, and whether they were ever measured.
fn time_parts(i18n: Words, time: &TimeNeeds) -> String {
    let of = |stage| {
        time.stages
            .iter()
            .find(|(of, _)| *of == stage)
            .map(|(_, secs)| words::short(i18n, *secs as f32))
    };
    let parts = [
        of(Stage::LanguageModel)
            .map(|time| t_string!(i18n, needs.stages.language_model, time = time)),
        of(Stage::Encode).map(|time| t_string!(i18n, needs.stages.encode, time = time)),
        of(Stage::Diffusion).map(|time| t_string!(i18n, needs.stages.diffusion, time = time)),
        of(Stage::Decode).map(|time| t_string!(i18n, needs.stages.decode, time = time)),
        (!time.measured).then(|| t_string!(i18n, needs.estimated).to_string()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
