//! The choice of language: at once with a script, by a form post without one. The form on the page keeps
//! what is typed, since only words change.

use leptos::{html, prelude::*, server_fn::ServerFn};

use crate::{
    api::preferences::SetPreferences,
    i18n::{Locale, t, t_string, use_i18n},
};

/// Name of a language in itself.
const fn own_name(locale: Locale) -> &'static str {
    match locale {
        Locale::en => "English",
        Locale::zh => "中文",
        Locale::ja => "日本語",
        Locale::he => "עברית",
    }
}

/// The select with all languages.
#[component]
pub fn LanguagePicker(
    /// Id of the select; it stands twice on the page (bar and menu).
    id: &'static str,
    /// Class of the box round label and select.
    class: &'static str,
    /// Class of the label.
    label_class: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let select = NodeRef::<html::Select>::new();
    let choose = move |_| {
        let chosen = select.get_untracked().map(|select| select.value());
        if let Some(locale) = chosen.and_then(|code| Locale::from_code(&code)) {
            i18n.choose(locale);
        }
    };
    let options = Locale::ALL.map(|locale| {
        view! {
            <option
                value=locale.as_str()
                lang=locale.as_str()
                selected=move || i18n.get_locale() == locale
            >
                {own_name(locale)}
            </option>
        }
    });
    let without_script = move || {
        format!(
            "<button class=\"button button--small\">{}</button>",
            t_string!(i18n, frame.use_language)
        )
    };
    view! {
        <form class=class method="post" action=SetPreferences::url()>
            <label class=label_class for=id>
                {t!(i18n, frame.language)}
            </label>
            <select
                class="field__input field__input--bare"
                id=id
                name="lang"
                node_ref=select
                prop:value=move || i18n.get_locale().as_str()
                on:change=choose
            >
                {options.into_iter().collect_view()}
            </select>
            <noscript inner_html=without_script></noscript>
        </form>
    }
}
