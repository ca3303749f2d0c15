//! The form: what to make, the numbers, the folds, and what will happen.

use leptos::prelude::*;

use super::{
    FORM,
    dropped::DroppedNotice,
    filled::FilledNote,
    find_out,
    folds::Folds,
    lyrics::Lyrics,
    numbers::Numbers,
    plan::PlanBox,
    source::SourceParts,
    tasks::{Instruction, TaskRow},
    text,
};
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::Submit,
    },
    components::{icon::Icon, segmented::Segmented},
    i18n::{t, t_string, use_i18n},
    parts::{Sleepers, simple_when, unseen_when},
    state::{
        StudioStore,
        fields::{CUSTOM, LM_SWITCHES, SHOWN_SWITCHES, SIMPLE, SWITCHES},
        form::Form,
        task::has_part,
    },
    word,
};

/// The composer. Every control is a native element, so the form works before the program arrives.
#[component]
pub fn Composer(
    /// Queues a run.
    submit: Call<Submit>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let explain = Explain::provide();
    Sleepers::provide();
    // A control that is off is not sent, and must not be read as switched off.
    let form = Form::expect();
    let shown = move || {
        let (with_lm, task) = (store.has_lm(), form.task());
        SWITCHES
            .into_iter()
            .filter(|key| with_lm || !LM_SWITCHES.contains(key))
            .filter(|key| find_out::is_drawn(i18n, store, key))
            .filter(|key| has_part(key, task, &serde_json::Value::Null))
            .collect::<Vec<_>>()
            .join(",")
    };
    let mode = form.text("mode");
    let simple = Signal::derive(move || mode.with(|mode| mode == SIMPLE));
    view! {
        <CallForm
            call=submit
            attr:class="composer"
            attr:id=FORM
            attr:aria-label=move || t_string!(i18n, generate.song)
        >
            // Enter in a field presses a form's first button; this one asks for what the mode is for.
            <button type="submit" hidden></button>
            <input type="hidden" name=SHOWN_SWITCHES value=shown />
            <div class="composer__head">
                <TaskRow />
                <div class="composer__mode">
                    <Mode />
                </div>
            </div>
            <div
                class="composer__body"
                data-explain=move || if explain.is_on() { "on" } else { "off" }
            >
                <DroppedNotice />
                <FilledNote />
                <Instruction />
                <SourceParts />
                {simple_when(simple)}
                <div class="composer__custom">
                    <text::Caption />
                    <Lyrics />
                </div>
                <Numbers />
                {unseen_when(simple)}
                <div class="composer__custom">
                    <Folds />
                </div>
            </div>
            <PlanBox pending=submit.pending() />
        </CallForm>
    }
    .into_any()
}

/// Whether every control says what it does.
#[derive(Debug, Clone, Copy)]
struct Explain(RwSignal<bool>);

impl Explain {
    fn provide() -> Self {
        let explain = Self(RwSignal::new(false));
        provide_context(explain);
        explain
    }

    fn is_on(self) -> bool {
        self.0.get()
    }
}

/// Switches the help texts on and off; it stands beside the field for words, which each mode has.
#[component]
pub fn ExplainButton() -> impl IntoView {
    let i18n = use_i18n();
    let Explain(on) = expect_context();
    view! {
        <button
            type="button"
            class="button button--quiet button--small"
            aria-pressed=move || on.get().to_string()
            on:click=move |_| on.update(|on| *on = !*on)
        >
            <Icon name="help" />
            {t!(i18n, generate.explain)}
        </button>
    }
    .into_any()
}

/// Simple or Custom; the style sheet follows the radios, with or without scripts.
#[component]
fn Mode() -> impl IntoView {
    let i18n = use_i18n();
    let choices = Signal::derive(move || {
        vec![
            (
                SIMPLE.to_owned(),
                t_string!(i18n, lm.mode.simple).to_owned(),
            ),
            (
                CUSTOM.to_owned(),
                t_string!(i18n, lm.mode.custom).to_owned(),
            ),
        ]
    });
    view! {
        <Segmented
            id="mode"
            value=Form::expect().text("mode")
            choices
            legend=word!(i18n, lm.mode.label)
        />
    }
    .into_any()
}
