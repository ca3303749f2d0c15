//! Label, input, help, reason and notes of one parameter.

use acestep_domain::{Note, UserError};
use leptos::prelude::*;

use super::note::{Invalid, Notes, Reason};

/// The frame round one input, which is its child and carries `id`.
#[component]
pub fn Field(
    /// Id of the input: its parameter key.
    id: &'static str,
    /// Printed label.
    #[prop(into)]
    label: Signal<String>,
    /// Present value or unit beside the label.
    #[prop(optional, into)]
    aside: MaybeProp<String>,
    /// What it does; shown while Explain is on.
    #[prop(optional, into)]
    help: MaybeProp<String>,
    /// Clamps and fallbacks of this value.
    #[prop(optional, into)]
    notes: Signal<Vec<Note>>,
    /// What is wrong with this value.
    #[prop(optional, into)]
    error: Signal<Option<UserError>>,
    /// Takes the whole width of a fold.
    #[prop(optional)]
    wide: bool,
    /// The input.
    children: Children,
) -> impl IntoView {
    view! {
        <div class=if wide { "field fold__wide" } else { "field" }>
            <label class="field__label" for=id>
                {move || label.get()}
                {move || aside.get().map(|aside| view! { <span class="field__aside">{aside}</span> })}
            </label>
            {children()}
            <Invalid id error />
            <Notes notes />
            {move || help.get().map(|help| view! { <p class="field__help">{help}</p> })}
        </div>
    }
    .into_any()
}

/// A control that cannot act here: its name and the reason, nothing to press.
#[component]
pub fn OffField(
    /// Printed label.
    #[prop(into)]
    label: Signal<String>,
    /// What is missing and what gives it.
    #[prop(into)]
    reason: Signal<String>,
) -> impl IntoView {
    view! {
        <div class="field fold__wide" data-off="">
            <span class="field__label">{move || label.get()}</span>
            <Reason locked=true text=reason />
        </div>
    }
    .into_any()
}

/// One line of text bound to a signal.
#[component]
pub fn TextInput(
    /// Parameter key.
    id: &'static str,
    /// The text.
    value: RwSignal<String>,
    /// Shown while empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    /// What is wrong.
    #[prop(optional, into)]
    error: Signal<Option<UserError>>,
) -> impl IntoView {
    view! {
        <input
            class="field__input"
            id=id
            name=id
            dir="ltr"
            autocomplete="off"
            placeholder=move || placeholder.get()
            value=value.get_untracked()
            prop:value=move || value.get()
            on:input:target=move |event| value.set(event.target().value())
            aria-invalid=move || error.with(Option::is_some).then_some("true")
            aria-describedby=format!("{id}-error")
        />
    }
    .into_any()
}
