//! One line at the control it concerns: a clamp, a fallback, a wrong value.

use acestep_domain::{Note, UserError};
use leptos::prelude::*;

use super::{error_words, icon::Icon, note_words};
use crate::i18n::use_i18n;
use crate::live::For;

/// Codes that inform and need no look.
const INFORMS: [&str; 6] = [
    "duration_auto",
    "duration_by_codes",
    "duration_by_source",
    "lm_would_say",
    "nothing_described",
    "thinking_without_codes",
];

/// Why a control is as it is, or does nothing.
#[component]
pub fn Reason(
    /// The sentence.
    #[prop(into)]
    text: Signal<String>,
    /// It is why the control cannot be used.
    #[prop(optional)]
    locked: bool,
    /// Id that the control is described by.
    #[prop(optional, into)]
    id: Option<&'static str>,
    /// More classes.
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    let icon = if locked { "lock" } else { "info" };
    view! {
        <p class=format!("field__reason {class}").trim_end().to_owned() id=id>
            <Icon name=icon />
            <span>{move || text.get()}</span>
        </p>
    }
    .into_any()
}

/// Whether `note` informs; otherwise it asks for a look.
pub fn informs(note: &Note) -> bool {
    INFORMS.contains(&note.code.as_str())
}

/// Notes about one control, most of the time none.
#[component]
pub fn Notes(
    /// What to say.
    #[prop(into)]
    notes: Signal<Vec<Note>>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <For each=move || notes.get() key=|note| (note.code.clone(), note.message.clone()) let:note>
            {
                let informs = informs(&note);
                let text = Signal::derive(move || note_words::words(i18n.get_locale(), &note));
                view! { <NoteLine informs text /> }
            }
        </For>
    }
    .into_any()
}

/// One note.
#[component]
pub fn NoteLine(
    /// The sentence.
    #[prop(into)]
    text: Signal<String>,
    /// It informs; otherwise it asks for a look.
    #[prop(optional)]
    informs: bool,
) -> impl IntoView {
    let class = if informs { "note note--info" } else { "note" };
    let icon = if informs { "info" } else { "warn" };
    view! {
        <p class=class>
            <Icon name=icon />
            <span dir="auto">{move || text.get()}</span>
        </p>
    }
    .into_any()
}

/// What went wrong, in the studio's words.
#[component]
pub fn Refused(
    /// The words.
    text: String,
    /// Read out when it appears; not needed inside a region that is.
    #[prop(optional)]
    alert: bool,
) -> impl IntoView {
    view! {
        <p class="note note--error" role=alert.then_some("alert")>
            <Icon name="error" />
            <span dir="auto">{text}</span>
        </p>
    }
    .into_any()
}

/// What is wrong with a control's value, with what to do; empty while nothing is.
#[component]
pub fn Invalid(
    /// Id of the control; the sentence gets `<id>-error`.
    id: &'static str,
    /// What is wrong.
    #[prop(into)]
    error: Signal<Option<UserError>>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div id=format!("{id}-error")>
            {move || {
                error
                    .get()
                    .map(|error| {
                        view! {
                            <Refused text=error_words::words(i18n.get_locale(), &error) />
                        }
                    })
            }}
        </div>
    }
    .into_any()
}
