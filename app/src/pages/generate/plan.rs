//! What will happen, before it happens: takes and length as they would run, what the model decides,
//! memory and time, the place in the queue, and Generate.

mod lm;
mod needs;
mod task;
pub mod when;

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    task::TaskType,
};
use leptos::prelude::*;

use self::{
    lm::{length, lm_text, words_open},
    needs::NeedsRows,
    task::TaskLine,
    when::{When, blocked},
};
use super::{keep_going::KeepGoingRow, numbers::notes_for, words};
use crate::{
    components::{icon::Icon, note_words},
    i18n::{t, t_string, use_i18n},
    live::live,
    state::{
        StudioStore,
        fields::{RADIOS, SWITCHES, TEXTS},
        form::Form,
        loras::in_words,
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
    let form = Form::expect();
    let params = Memo::new(move |_| form.checked.with(|checked| checked.params.clone()));
    let blocked = blocked();
    let off = move || blocked.with(Option::is_some) || pending.get();
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
                        disabled=off
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
                        disabled=off
                    >
                        {t!(i18n, lm.write_and_generate)}
                    </button>
                </div>
                <p class="plan__when" id="plan-when">
                    <When blocked />
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
            let format = params.audio_format.as_str().to_ascii_uppercase();
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
                <strong>{live(makes)}</strong>
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
        {move || {
            in_words(&form.loras_used(store))
                .map(|words| {
                    view! {
                        <div class="plan__row">
                            <dt>{t!(i18n, loras.title)}</dt>
                            <dd>
                                <bdi>{words}</bdi>
                            </dd>
                        </div>
                    }
                })
        }}
        <NeedsRows />
        <KeepGoingRow />
    }
    .into_any()
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
    let i18n = use_i18n();
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
            .or_else(|| {
                general.with(|notes| {
                    let note = notes.first()?;
                    Some(note_words::words(i18n.get_locale(), note))
                })
            })
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
