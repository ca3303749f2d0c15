//! Radios joined in a row.

use leptos::prelude::*;

use crate::live::For;

use super::select::Choice;

/// The row, bound to a signal.
#[component]
pub fn Segmented(
    /// Parameter key; each radio gets `<id>-<value>`.
    id: &'static str,
    /// Value of the chosen one.
    value: RwSignal<String>,
    /// What there is to choose.
    #[prop(into)]
    choices: Signal<Vec<Choice>>,
    /// Name of the group.
    #[prop(into)]
    legend: Signal<String>,
    /// The name is seen; otherwise it is only spoken.
    #[prop(optional)]
    with_legend: bool,
    /// Drawn as a row of words, the chosen one underlined.
    #[prop(optional)]
    plain: bool,
) -> impl IntoView {
    let radios = view! {
        <For each=move || choices.get() key=Clone::clone let:choice>
            {
                let (own, words) = choice;
                let (chosen, picked, radio) = (own.clone(), own.clone(), format!("{id}-{own}"));
                view! {
                    <label class="segmented__option">
                        <input
                            class="segmented__input"
                            type="radio"
                            id=radio
                            name=id
                            value=own.clone()
                            checked=value.with_untracked(|value| *value == own)
                            prop:checked=move || value.with(|value| *value == chosen)
                            on:change=move |_| value.set(picked.clone())
                        />
                        <span class="segmented__text">{words}</span>
                    </label>
                }
            }
        </For>
    };
    let legend_class = if with_legend {
        "field__label"
    } else {
        "visually-hidden"
    };
    view! {
        <fieldset class="field">
            <legend class=legend_class>{move || legend.get()}</legend>
            <div class=if plain { "segmented segmented--plain" } else { "segmented" }>{radios}</div>
        </fieldset>
    }
    .into_any()
}
