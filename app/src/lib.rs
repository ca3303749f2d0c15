//! The studio's page: drawn by the server, hydrated in the browser.
//!
//! [`shell`] is the document (server only in effect), [`App`] everything in its body. A page composes,
//! a component neither calls the server nor knows a page; all calls are in [`api`], all shared signals
//! in [`state`] and [`player`]. Refuses to judge values: ranges and limits come from `acestep-domain`.

#![recursion_limit = "512"]
#![allow(
    unreachable_pub,
    clippy::implicit_hasher,
    clippy::large_types_passed_by_value,
    clippy::needless_pass_by_value,
    clippy::return_self_not_must_use,
    clippy::single_match_else,
    clippy::unused_async,
    reason = "the macros of components and server functions decide visibility, arguments and async"
)]

pub mod api;
#[cfg(feature = "hydrate")]
mod browser;
pub mod components;
pub mod deck;
pub mod keys;
pub mod pages;
pub mod player;
pub mod preferences;
pub mod recorder;
pub mod routes;
pub mod state;

/// Words in every language, generated from `locales/` by the build script.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::use_self,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    unused_lifetimes,
    reason = "generated code"
)]
mod words {
    include!(concat!(env!("OUT_DIR"), "/i18n/mod.rs"));
}

/// The words for the page's code. What has no values in it goes through one function, so that the browser
/// loads the code of a text once and not once a text.
pub mod i18n {
    pub use crate::words::i18n::*;
    pub use crate::{t, wording::Words};
}
pub mod wording;

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{RouteList, components::Router};

use crate::{
    i18n::I18nContextProvider, player::Player, preferences::Theme, routes::AppRoutes,
    state::StudioStore,
};

/// The document round the page. Theme and language come from cookies, so nothing flashes.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let theme = Theme::from_request();
    view! {
        <!DOCTYPE html>
        <html data-theme=theme.attribute()>
            <head>
                <meta charset="utf-8" />
                <meta
                    name="viewport"
                    content="width=device-width, initial-scale=1, viewport-fit=cover"
                />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link id="acestep-style" rel="stylesheet" href="/pkg/acestep.css" />
                <AutoReload options=options.clone() />
                <HydrationScripts options />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// Everything in the body.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    // The server asks for the table of routes once, at its start, and drops what was made for that; tasks of
    // the page (the cookie of the language is kept by one) would come to it too late.
    if RouteList::is_generating() {
        return view! {
            <Router>
                <AppRoutes />
            </Router>
        }
        .into_any();
    }
    provide_context(Theme::provide());
    let store = StudioStore::provide();
    provide_context(Player::new());
    store.follow();
    components::menu::keep_closing();
    view! {
        <I18nContextProvider cookie_name="lang">
            <Title formatter=|title: String| format!("{title} · ACE-Step studio") />
            <Router>
                <AppRoutes />
            </Router>
        </I18nContextProvider>
    }
    .into_any()
}

/// Entry of the browser build.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    state::early::collect();
    leptos::mount::hydrate_body(App);
    // Whoever drives the page by program waits for this: from here on a click is ours.
    if let Some(root) = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.document_element())
    {
        drop(root.set_attribute("data-hydrated", ""));
    }
}
