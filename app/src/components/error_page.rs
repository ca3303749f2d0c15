//! What an unknown address shows.

use leptos::prelude::*;

use crate::{
    address,
    i18n::{t, use_i18n},
};

/// No such page; the way back.
#[component]
pub fn NotFound() -> impl IntoView {
    let i18n = use_i18n();
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <main class="error-page" id="main">
            <div class="empty">
                <h1 class="empty__title">{t!(i18n, common.not_found_title)}</h1>
                <p class="empty__text">{t!(i18n, common.not_found_text)}</p>
                <div class="empty__actions">
                    <a class="button" href=address::GENERATE>
                        {t!(i18n, common.generate)}
                    </a>
                </div>
            </div>
        </main>
    }
    .into_any()
}
