//! The bar over every page: name, pages, language, theme, keys.

use leptos::prelude::*;

use crate::{
    i18n::{t, t_string, use_i18n},
    routes,
};

/// Name and pages.
#[component]
pub fn AppBar() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <header class="app-bar">
            <nav class="app-bar__nav" aria-label=move || t_string!(i18n, common.pages)>
                <a class="app-bar__link" href=routes::GENERATE>
                    {t!(i18n, common.generate)}
                </a>
                <a class="app-bar__link" href=routes::LIBRARY>
                    {t!(i18n, common.library)}
                </a>
            </nav>
        </header>
    }
}
