//! The button that walks through auto, light and dark.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::preferences::SetPreferences,
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    live::live,
    preferences::Theme,
};

/// The theme of this browser; without a script the form posts the next one.
#[component]
pub fn ThemeButton(
    /// In the menu of a small screen: name and value at the two ends of a line.
    #[prop(optional)]
    in_menu: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let theme = expect_context::<RwSignal<Theme>>();
    let name = move || match theme.get() {
        Theme::Auto => t_string!(i18n, frame.theme_auto),
        Theme::Light => t_string!(i18n, frame.theme_light),
        Theme::Dark => t_string!(i18n, frame.theme_dark),
    };
    let next = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        theme.update(|theme| *theme = theme.next());
    };
    let inside = if in_menu {
        view! {
            <span>{t!(i18n, frame.theme)}</span>
            <span class="menu__hint">{live(name)}</span>
        }
        .into_any()
    } else {
        view! {
            <Icon name="theme" />
            <span>{move || t_string!(i18n, frame.theme_is, name = name())}</span>
        }
        .into_any()
    };
    view! {
        <form method="post" action=SetPreferences::url() on:submit=next>
            <button
                class=if in_menu { "menu__item" } else { "button button--quiet" }
                name="theme"
                value=move || theme.get().next().as_str()
            >
                {inside}
            </button>
        </form>
    }
}
