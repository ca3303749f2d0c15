//! A group that folds, its present values in the head.

use leptos::prelude::*;

use super::icon::Icon;

/// The group.
#[component]
pub fn Fold(
    /// Id of the group.
    id: &'static str,
    /// Printed name.
    #[prop(into)]
    name: Signal<String>,
    /// Present values in a few words.
    #[prop(into)]
    now: Signal<String>,
    /// The fields.
    children: Children,
) -> impl IntoView {
    view! {
        <details class="fold" id=id>
            <summary class="fold__head">
                <span class="fold__name">{move || name.get()}</span>
                <span class="fold__now">{move || now.get()}</span>
                <Icon name="down" />
            </summary>
            <div class="fold__body">{children()}</div>
        </details>
    }
    .into_any()
}
