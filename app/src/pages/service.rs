//! The Service Configuration panel: what to load and how.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::i18n::{t, t_string, use_i18n};

/// The panel as a page of its own, opened by Reconfigure….
#[component]
pub fn ServicePage() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Title text=move || t_string!(i18n, service.title) />
        <main class="service" id="main">
            <ServicePanel />
        </main>
    }
}

/// The panel itself; the Generation page shows it first while nothing is loaded.
#[component]
pub fn ServicePanel() -> impl IntoView {
    let i18n = use_i18n();
    view! { <h1>{t!(i18n, service.title)}</h1> }
}
