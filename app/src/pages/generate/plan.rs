//! What will happen, before it happens: takes and length as they would run, what the model decides,
//! memory and time, the place in the queue, and Generate.

mod lm;
mod needs;
mod task;

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    service::ServiceState,
    task::TaskType,
};
use leptos::prelude::*;

use self::{
    lm::{length, lm_text, words_open},
    needs::NeedsRows,
    task::TaskLine,
};
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
        fields::{RADIOS, SWITCHES, TEXTS, TRACKS_KEY},
        form::Form,
        lm::Lm,
        request::{WISH, Wish},
    },
};

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
                            go(i18n, form.task(), words::takes(i18n, params.get().batch_size))
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

/// What the button does.
fn go(i18n: words::Words, task: TaskType, takes: String) -> String {
    match task {
        TaskType::Text2music => t_string!(i18n, generate.generate_takes, takes = takes),
        TaskType::Cover => t_string!(i18n, tasks.go.cover, takes = takes),
        TaskType::Repaint => t_string!(i18n, tasks.go.repaint, takes = takes),
        TaskType::Lego => t_string!(i18n, tasks.go.lego, takes = takes),
        TaskType::Extract => t_string!(i18n, tasks.go.extract, takes = takes),
        TaskType::Complete => t_string!(i18n, tasks.go.complete, takes = takes),
    }
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
                None if params.task_type.needs().source => {
                    t_string!(i18n, tasks.makes_source, takes = takes, format = format)
                }
                None => t_string!(i18n, lm.makes_open, takes = takes, format = format),
            }
        })
    };
    // What the language model fills is not open any more.
    let left = move || {
        if params.with(|params| params.task_type.needs().source) {
            return None;
        }
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
    view! {
        <TaskLine params />
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
        <NeedsRows />
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
    let form = Form::expect();
    let simple = Memo::new(move |_| form.is_simple());
    let lm = Memo::new(move |_| store.lm());
    let with_lm = Memo::new(move |_| lm.get() == Lm::Ready);
    // The numbers stand in both modes.
    let seen_broken = Memo::new(move |_| {
        form.checked
            .with(|checked| NUMBERS.iter().any(|key| checked.error_for(key).is_some()))
    });
    let missing = Memo::new(move |_| {
        form.checked.with(|checked| {
            let is_wrong = |key: &str| checked.error_for(key).is_some();
            let no_source = form.text("src_audio").with(String::is_empty);
            if is_wrong("task_type") {
                Some(t_string!(i18n, tasks.first.other_task))
            } else if no_source && is_wrong("src_audio") {
                Some(t_string!(i18n, tasks.first.source))
            } else if is_wrong("track_name") || is_wrong(TRACKS_KEY) {
                Some(t_string!(i18n, tasks.first.track))
            } else {
                None
            }
        })
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
            let text = match lm.get() {
                Lm::Loading => t_string!(i18n, generate.wait_loading),
                Lm::Fixed => t_string!(i18n, lm.need.fixed),
                _ => t_string!(i18n, lm.need.off),
            };
            return text.to_string().into_any();
        }
        if let Some(text) = missing.get() {
            return text.to_owned().into_any();
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
    // The row of tasks has no room for a sentence.
    let radio = RADIOS.contains(&field) && field != "task_type";
    TEXTS.contains(&field) || SWITCHES.contains(&field) || radio
}

/// What the studio said to the last submission, when no control is to blame.
#[component]
fn Refusal() -> impl IntoView {
    let form = Form::expect();
    let general = notes_for("task_type");
    let unsupported =
        Memo::new(move |_| form.checked.with(|checked| checked.error_for("task_type")));
    let refusal = move || {
        form.refusal
            .get()
            .filter(|error| {
                error
                    .field
                    .as_deref()
                    .is_none_or(|field| !has_control(field))
            })
            .or_else(|| unsupported.get())
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
