//! An example at the press of a button; what stood in the form comes back with Undo.

use leptos::prelude::*;
use serde_json::Value;

use crate::{
    components::icon::Icon,
    i18n::{t, use_i18n},
    live::Show,
    state::form::Form,
};

/// The button, and Undo once it was pressed.
#[component]
pub fn Dice(
    /// Name of the button.
    #[prop(into)]
    label: Signal<String>,
    /// Rolls.
    #[prop(into)]
    roll: Callback<()>,
    /// Fields of the last roll; told with every one.
    #[prop(into)]
    example: Signal<Option<Value>>,
    /// The part of the form that is the dice's to take back.
    own: fn(&Value) -> Value,
    /// What stands beside it.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let before = RwSignal::new(None::<Value>);
    Effect::new(move |_| {
        if let Some(fields) = example.get() {
            before.update(|before| {
                // Several rolls lead back to what was typed, not to the last example.
                before.get_or_insert_with(|| untrack(|| own(&form.json())));
            });
            form.apply(&fields);
        }
    });
    let undo = move |_| {
        if let Some(fields) = before.get_untracked() {
            form.apply(&fields);
            before.set(None);
        }
    };
    view! {
        <div class="section__tools needs-script">
            <Show when=move || before.with(Option::is_some)>
                <button type="button" class="button button--quiet button--small" on:click=undo>
                    {t!(i18n, generate.undo_example)}
                </button>
            </Show>
            <button
                type="button"
                class="button button--quiet button--small"
                on:click=move |_| roll.run(())
            >
                <Icon name="dice" />
                {move || label.get()}
            </button>
            {children.map(|children| children())}
        </div>
    }
    .into_any()
}
