//! One of the four numbers: label, Auto, a large editable value, a fader or a hint.

use acestep_domain::UserError;
use leptos::prelude::*;

use crate::live::live;

/// Letters of a value that has room at full size.
const LONG: usize = 7;

/// The Auto button of a readout: its word, and what the value becomes when it is switched off.
#[derive(Debug, Clone, PartialEq)]
pub struct Auto {
    /// `Auto`, `Random`.
    pub word: String,
    /// Value taken when Auto goes off.
    pub otherwise: String,
}

/// The readout; its children stand under the value.
#[component]
pub fn Readout(
    /// Parameter key.
    id: &'static str,
    /// Printed label.
    #[prop(into)]
    label: Signal<String>,
    /// The value as typed; empty = auto where there is one.
    value: RwSignal<String>,
    /// Words in place of the value while it is empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    /// The Auto button.
    #[prop(optional, into)]
    auto: MaybeProp<Auto>,
    /// What is wrong.
    #[prop(optional, into)]
    error: Signal<Option<UserError>>,
    /// How a typed value is written once it is left; nothing where it stays as it is.
    #[prop(optional)]
    settle: Option<fn(&str) -> Option<String>>,
    /// More classes.
    #[prop(optional)]
    class: &'static str,
    /// Fader or hint.
    children: Children,
) -> impl IntoView {
    let empty = Memo::new(move |_| value.with(|value| value.trim().is_empty()));
    let long = Memo::new(move |_| value.with(|value| value.trim().chars().count() > LONG));
    let value_class = move || match (empty.get(), long.get()) {
        (true, _) => "readout__value readout__value--word",
        (false, true) => "readout__value readout__value--long",
        (false, false) => "readout__value",
    };
    let left = move |_| {
        let settled = settle.and_then(|settle| value.with_untracked(|text| settle(text)));
        if let Some(settled) = settled {
            value.set(settled);
        }
    };
    let button = move || {
        auto.get().map(|auto| {
            let Auto { word, otherwise } = auto;
            view! {
                <button
                    type="button"
                    class="button button--quiet button--small needs-script"
                    aria-pressed=move || empty.get().to_string()
                    on:click=move |_| {
                        if empty.get_untracked() {
                            value.set(otherwise.clone());
                        } else {
                            value.set(String::new());
                        }
                    }
                >
                    {word}
                </button>
            }
        })
    };
    view! {
        <div class=format!("readout {class}").trim_end().to_owned()>
            <div class="readout__head">
                <label class="readout__label" for=id>
                    {move || label.get()}
                </label>
                {live(button)}
            </div>
            <input
                class=value_class
                id=id
                name=id
                dir=move || (!empty.get()).then_some("ltr")
                title=move || long.get().then(|| value.get())
                autocomplete="off"
                placeholder=move || placeholder.get()
                value=value.get_untracked()
                prop:value=move || value.get()
                on:input:target=move |event| value.set(event.target().value())
                on:change=left
                aria-invalid=move || error.with(Option::is_some).then_some("true")
                aria-describedby=format!("{id}-note")
            />
            {children()}
        </div>
    }
    .into_any()
}
