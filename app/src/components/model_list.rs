//! Models to choose from, one a line, with why one cannot be chosen.

use leptos::prelude::*;

use crate::components::icon::Icon;
use crate::live::Show;

/// The frame round the lines.
#[component]
pub fn ModelList(
    /// What is chosen here.
    #[prop(into)]
    label: Signal<String>,
    /// Lines.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="model-list" role="radiogroup" aria-label=label>
            {children()}
        </div>
    }
}

/// One model.
#[component]
pub fn ModelRow(
    /// Id of its radio, unique on the page.
    id: String,
    /// Name of the radio group in the form.
    group: &'static str,
    /// Folder name: shown, and sent when chosen.
    name: String,
    /// It is the choice.
    #[prop(into)]
    chosen: Signal<bool>,
    /// Called when it becomes the choice.
    #[prop(into)]
    on_choose: Callback<String>,
    /// What it is, in a line.
    #[prop(into)]
    about: Signal<String>,
    /// Why it cannot be chosen, in place of `about`.
    #[prop(into)]
    off: Signal<Option<String>>,
    /// Size, badges, buttons.
    children: Children,
) -> impl IntoView {
    let about_id = format!("{id}-about");
    let described = about_id.clone();
    let value = name.clone();
    let is_off = Memo::new(move |_| off.with(Option::is_some));
    view! {
        <div class="model-list__row" data-off=move || is_off.get().then_some("")>
            <input
                id=id.clone()
                type="radio"
                name=group
                value=name.clone()
                checked=chosen
                prop:checked=chosen
                disabled=is_off
                aria-describedby=described
                on:change=move |_| on_choose.run(value.clone())
            />
            <label for=id>
                <bdi class="model-list__name" dir="ltr">
                    {name}
                </bdi>
                <br />
                <span
                    class="model-list__about"
                    class:model-list__reason=is_off
                    id=about_id
                >
                    <Show when=move || is_off.get()>
                        <Icon name="lock" />
                    </Show>
                    {move || off.get().unwrap_or_else(|| about.get())}
                </span>
            </label>
            <span class="model-list__side">{children()}</span>
        </div>
    }
    .into_any()
}
