//! A native list of choices.

use leptos::prelude::*;

use crate::live::{For, Show};

/// A choice: value on the wire and its words.
pub type Choice = (String, String);

/// The list, bound to a signal.
#[component]
pub fn Select(
    /// Parameter key.
    id: &'static str,
    /// Value of the chosen one.
    value: RwSignal<String>,
    /// What there is to choose.
    #[prop(into)]
    choices: Signal<Vec<Choice>>,
    /// Name, when no label stands beside it.
    #[prop(optional, into)]
    label: MaybeProp<String>,
    /// Drawn without a frame.
    #[prop(optional)]
    bare: bool,
    /// It cannot be changed; it is sent all the same.
    #[prop(default = Signal::stored(false), into)]
    off: Signal<bool>,
    /// Id of why it cannot be changed.
    #[prop(optional)]
    described_by: &'static str,
) -> impl IntoView {
    let class = if bare {
        "field__input field__input--bare"
    } else {
        "field__input"
    };
    view! {
        <select
            class=class
            id=id
            name=id
            aria-label=move || label.get()
            aria-describedby=(!described_by.is_empty()).then_some(described_by)
            disabled=move || off.get()
            prop:value=move || {
                choices.track();
                value.get()
            }
            on:change:target=move |event| value.set(event.target().value())
        >
            <For each=move || choices.get() key=Clone::clone let:choice>
                <option
                    value=choice.0.clone()
                    selected={
                        let own = choice.0.clone();
                        move || value.with(|value| *value == own)
                    }
                >
                    {choice.1}
                </option>
            </For>
        </select>
        // A browser sends nothing for a list that is off, and the draft would lose what stands there.
        <Show when=move || off.get()>
            <input type="hidden" name=id value=move || value.get() />
        </Show>
    }
    .into_any()
}
