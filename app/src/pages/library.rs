//! Every song that was kept.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::i18n::{t, t_string, use_i18n};

/// The library.
#[component]
pub fn LibraryPage() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Title text=move || t_string!(i18n, common.library) />
        <main class="library" id="main">
            <h1>{t!(i18n, common.library)}</h1>
        </main>
    }
}
