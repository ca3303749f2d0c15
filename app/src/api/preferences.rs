//! Theme and language as cookies of one browser.

use leptos::prelude::*;

use super::ApiError;

/// How long a choice is remembered, in seconds (a year).
const REMEMBERED_SECS: u32 = 31_536_000;

/// Remembers theme and language, for browsers that run no script.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn set_preferences(
    #[server(default)] theme: Option<String>,
    #[server(default)] lang: Option<String>,
) -> Result<(), ApiError> {
    use axum::http::{HeaderValue, header::SET_COOKIE};

    let Some(response) = use_context::<leptos_axum::ResponseOptions>() else {
        return Ok(());
    };
    // Only known values reach the header, so it is always valid.
    let theme = theme.map(|name| {
        let theme = crate::preferences::Theme::from_name(&name);
        (crate::preferences::THEME_COOKIE, theme.as_str())
    });
    let lang = lang
        .and_then(|code| crate::i18n::Locale::from_code(&code))
        .map(|locale| (crate::preferences::LANGUAGE_COOKIE, locale.as_str()));
    for (name, value) in [theme, lang].into_iter().flatten() {
        if let Ok(value) = HeaderValue::from_str(&cookie(name, value)) {
            response.append_header(SET_COOKIE, value);
        }
    }
    Ok(())
}

fn cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age={REMEMBERED_SECS}; SameSite=Lax")
}

/// Remembers a choice from the browser's side.
pub fn remember(name: &str, value: &str) {
    #[cfg(feature = "hydrate")]
    {
        use leptos::wasm_bindgen::JsCast as _;
        if let Ok(document) = document().dyn_into::<web_sys::HtmlDocument>() {
            // A browser that refuses cookies keeps the choice for this visit only.
            let _ = document.set_cookie(&cookie(name, value));
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (name, value);
}
