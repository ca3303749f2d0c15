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

pub mod address;
pub mod api;
#[cfg(feature = "hydrate")]
mod browser;
pub mod components;
pub mod deck;
pub mod keys;
pub mod live;
pub mod pages;
pub mod parts;
pub mod player;
pub mod preferences;
pub mod recorder;
pub mod routes;
pub mod state;

/// The keys of all words, generated from `locales/` by the build script.
#[allow(
    dead_code,
    non_camel_case_types,
    non_upper_case_globals,
    unused_imports,
    clippy::wildcard_imports,
    reason = "generated code, named as the locale files are"
)]
mod words {
    include!(concat!(env!("OUT_DIR"), "/words.rs"));
}

/// The words for the page's code.
pub mod i18n {
    pub use crate::{
        t, t_string, td_string,
        wording::{Locale, Words, use_i18n},
    };
}
pub mod wire;
pub mod wording;

use leptos::prelude::*;

use crate::{
    address::{Address, Page},
    i18n::{Locale, Words},
    player::Player,
    preferences::Theme,
    routes::Frame,
    state::StudioStore,
};

/// The document round the page. Theme and language come from cookies, so nothing flashes.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let theme = Theme::from_request();
    let locale = Locale::from_request();
    view! {
        <!DOCTYPE html>
        <html lang=locale.as_str() dir=locale.direction() data-theme=theme.attribute()>
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
                <link rel="preload" href=locale.texts_url() r#as="fetch" crossorigin="" />
                <title>{title(Page::at(&address::now().0), locale)}</title>
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// What a window that shows a page is called.
fn title(page: Page, locale: Locale) -> String {
    let page = match page {
        Page::Generate => td_string!(locale, common.generate),
        Page::Library => td_string!(locale, library.title),
        Page::Compare => td_string!(locale, compare.title),
        Page::Service => td_string!(locale, service.title),
        Page::None => td_string!(locale, common.not_found_title),
    };
    format!("{page} · ACE-Step studio")
}

/// Everything in the body.
#[component]
pub fn App() -> impl IntoView {
    Address::provide();
    provide_context(Theme::provide());
    let store = StudioStore::provide();
    provide_context(Player::new());
    store.follow();
    components::menu::keep_closing();
    Words::provide();
    view! { <Frame /> }.into_any()
}

/// Entry of the browser build.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    js_sys::futures::spawn_local(async {
        if let Err(error) = wording::load(Locale::from_request()).await {
            // What the server drew stays, and works as it does without scripts.
            leptos::logging::error!("The words of the page did not arrive: {error:?}");
            return;
        }
        if parts::load_drawn().await.is_err() {
            // The loader has told why.
            return;
        }
        state::early::collect();
        leptos::mount::hydrate_body(App);
        // Whoever drives the page by program waits for this: from here on a click is ours.
        if let Some(root) = document().document_element() {
            drop(root.set_attribute("data-hydrated", ""));
        }
    });
}
