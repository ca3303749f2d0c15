//! The bar at the top: brand, pages, language, theme, keys.

use leptos::prelude::*;

use crate::{
    address::{Address, GENERATE, LIBRARY},
    components::{
        icon::Icon, key_map::KeyMap, language::LanguagePicker, menu::Menu, theme::ThemeButton,
    },
    i18n::{t, t_string, use_i18n},
    keys::SingleKeys,
};

/// Id of the dialog with the keys.
pub const KEYS_DIALOG: &str = "keys";

/// The bar. Below 900 px language and theme move into the menu (by style, both stand in the page).
#[component]
pub fn AppBar() -> impl IntoView {
    let i18n = use_i18n();
    SingleKeys::provide();
    view! {
        <header class="app-bar">
            <a class="app-bar__brand" href=GENERATE>
                <Mark />
                <span class="app-bar__name">{t!(i18n, frame.brand)}</span>
            </a>
            <PageLinks />
            <div class="app-bar__tools">
                <LanguagePicker id="ui-language" class="field field--inline" label_class="field__label" />
                <ThemeButton />
                <button
                    type="button"
                    class="button button--quiet"
                    popovertarget=KEYS_DIALOG
                >
                    <Icon name="keyboard" />
                    {t!(i18n, frame.keys)}
                </button>
            </div>
            <div class="app-bar__menu">
                <Menu label=Signal::derive(move || t_string!(i18n, frame.menu).to_owned()) icon="menu">
                    <LanguagePicker id="ui-language-2" class="menu__item" label_class="menu__text" />
                    <ThemeButton in_menu=true />
                </Menu>
            </div>
            <KeyMap id=KEYS_DIALOG />
        </header>
    }
    .into_any()
}

#[component]
fn Mark() -> impl IntoView {
    view! {
        <svg class="app-bar__mark" viewBox="0 0 22 22" aria-hidden="true">
            <path
                d="M2 14V8M6 18V4M10 15V7M14 20V2M18 13V9"
                stroke="currentColor"
                stroke-width="2.4"
                stroke-linecap="square"
            />
        </svg>
    }
}

#[component]
fn PageLinks() -> impl IntoView {
    let i18n = use_i18n();
    let path = Address::expect().path;
    // Other pages (the service, a comparison) are behind neither link.
    let on = Memo::new(move |_| match path.get().as_str() {
        GENERATE => Some(GENERATE),
        path if path.starts_with(LIBRARY) => Some(LIBRARY),
        _ => None,
    });
    let current = move |link: &'static str| (on.get() == Some(link)).then_some("page");
    view! {
        <nav class="app-bar__nav" aria-label=move || t_string!(i18n, frame.pages)>
            <a class="app-bar__link" href=GENERATE aria-current=move || current(GENERATE)>
                {t!(i18n, frame.generate)}
            </a>
            <a class="app-bar__link" href=LIBRARY aria-current=move || current(LIBRARY)>
                {t!(i18n, frame.library)}
            </a>
        </nav>
    }
    .into_any()
}
