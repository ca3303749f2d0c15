//! A window over the page: a native `popover`, so it opens, closes and gives the focus back without a script.

use leptos::prelude::*;

use crate::{
    components::icon::Icon,
    i18n::{t, use_i18n},
};

/// A titled dialog. A button opens it by `popovertarget`, with `id` as its value.
#[component]
pub fn Dialog(
    /// Id of the dialog, unique on the page.
    #[prop(into)]
    id: String,
    /// What it is about.
    #[prop(into)]
    title: Signal<String>,
    /// Follows whether it is open.
    #[prop(optional)]
    open: RwSignal<bool>,
    /// Body and actions.
    children: Children,
) -> impl IntoView {
    let i18n = use_i18n();
    let title_id = format!("{id}-title");
    let (label, close) = (title_id.clone(), id.clone());
    view! {
        <section
            class="dialog"
            id=id
            popover="auto"
            role="dialog"
            aria-labelledby=label
            on:toggle:target=move |event| {
                open.set(event.target().matches(":popover-open").unwrap_or(false));
            }
        >
            <header class="dialog__head">
                <h2 class="dialog__title" id=title_id>
                    {title}
                </h2>
                <button
                    type="button"
                    class="button button--quiet button--small"
                    popovertarget=close
                    popovertargetaction="hide"
                >
                    <Icon name="x" />
                    {t!(i18n, frame.close)}
                </button>
            </header>
            {children()}
        </section>
    }
    .into_any()
}
