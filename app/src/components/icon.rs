//! One icon of the sprite.

use leptos::prelude::*;

/// A 20 x 20 icon; it says nothing by itself, the word beside it does.
#[component]
pub fn Icon(
    /// Its name in `icons.svg`, without `i-`.
    #[prop(into)]
    name: Signal<&'static str>,
    /// More classes, for example `icon--flip`.
    #[prop(optional, into)]
    class: Signal<&'static str>,
) -> impl IntoView {
    view! {
        <svg class=move || format!("icon {}", class.get()).trim_end().to_owned() aria-hidden="true">
            <use href=move || format!("/icons.svg#i-{}", name.get())></use>
        </svg>
    }
}
