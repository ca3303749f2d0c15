//! A native checkbox drawn as a switch.

use leptos::prelude::*;

use crate::i18n::{t_string, use_i18n};

/// The switch, bound to a signal.
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
    let i18n = use_i18n();
    view! {
        <label class="switch">
            <input
                class="switch__input"
                type="checkbox"
                role="switch"
                id=id
                name=id
                value="true"
                checked=value.get_untracked()
                prop:checked=move || value.get()
                on:change:target=move |event| value.set(event.target().checked())
            />
            <span class="switch__track"></span>
            <span class="switch__label">{move || label.get()}</span>
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
