//! The Generation page: composer on one side, runs and takes on the other.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::i18n::{t, t_string, use_i18n};

/// The page.
#[component]
pub fn GeneratePage() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Title text=move || t_string!(i18n, common.generate) />
        <main class="generate" id="main">
            <h1 class="visually-hidden">{t!(i18n, generate.title)}</h1>
        </main>
    }
}
