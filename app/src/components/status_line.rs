//! What is loaded and how it does.

use leptos::prelude::*;

use crate::{
    i18n::{t_string, use_i18n},
    state::StudioStore,
};

/// Model and state of the service.
#[component]
pub fn StatusLine() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let model = Memo::new(move |_| {
        store
            .status
            .with(|status| status.model.as_ref().map(|model| model.name.clone()))
    });
    view! {
        <section class="status-line" aria-label=move || t_string!(i18n, common.service)>
            <span class="status-line__state">{move || model.get()}</span>
        </section>
    }
}
