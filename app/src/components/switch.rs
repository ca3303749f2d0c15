//! A native checkbox drawn as a switch.

use leptos::prelude::*;

use crate::i18n::{t_string, use_i18n};

/// The switch; its children are the printed label.
#[component]
pub fn Toggle(
    /// Whether it is on.
    #[prop(into)]
    on: Signal<bool>,
    /// Takes what it was moved to.
    #[prop(into)]
    set: Callback<bool>,
    /// Id, where something refers to it.
    #[prop(optional, into)]
    id: Option<String>,
    /// Name in the form; without one it is not sent.
    #[prop(optional, into)]
    name: Option<String>,
    /// It cannot be moved.
    #[prop(default = Signal::stored(false), into)]
    off: Signal<bool>,
    /// Id of what it does, or why it cannot act.
    #[prop(default = String::new(), into)]
    described_by: String,
    /// Prints On or Off beside it.
    #[prop(default = true)]
    with_state: bool,
    /// The label.
    children: Children,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <label class="switch">
            <input
                class="switch__input"
                type="checkbox"
                role="switch"
                id=id
                name=name
                value="true"
                checked=on.get_untracked()
                prop:checked=move || on.get()
                disabled=move || off.get()
                aria-describedby=(!described_by.is_empty()).then_some(described_by)
                on:change:target=move |event| set.run(event.target().checked())
            />
            <span class="switch__track"></span>
            <span class="switch__label">{children()}</span>
            {with_state
                .then(|| {
                    view! {
                        <span
                            class="switch__state"
                            data-on=move || t_string!(i18n, common.on)
                            data-off=move || t_string!(i18n, common.off)
                        ></span>
                    }
                })}
        </label>
    }
    .into_any()
}

/// A switch of the form, bound to its signal.
#[component]
pub fn Switch(
    /// Parameter key.
    id: &'static str,
    /// Whether it is on.
    value: RwSignal<bool>,
    /// Printed label.
    #[prop(into)]
    label: Signal<String>,
    /// Prints On or Off beside it.
    #[prop(optional)]
    with_state: bool,
) -> impl IntoView {
    view! {
        <Toggle on=value set=move |on| value.set(on) id name=id with_state>
            {move || label.get()}
        </Toggle>
    }
    .into_any()
}
