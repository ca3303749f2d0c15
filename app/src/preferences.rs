//! What one person chose for this browser: the theme. The language is kept by [`crate::wording`] in a cookie, too.

use leptos::prelude::*;

/// Name of the cookie of the theme.
pub const THEME_COOKIE: &str = "theme";
/// Name of the cookie of the language.
pub const LANGUAGE_COOKIE: &str = "lang";

/// Light, dark or as the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All themes, in the order a button walks through them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The value of the cookie.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of that name; auto for anything else.
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|theme| theme.as_str() == name)
            .unwrap_or_default()
    }

    /// `data-theme` of the document; absent when the system decides.
    pub const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            other => Some(other.as_str()),
        }
    }

    /// The one after this.
    pub const fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }

    /// What the cookie of the request (server) or the document (browser) says.
    pub fn from_request() -> Self {
        #[cfg(feature = "ssr")]
        {
            let cookies = use_context::<axum::http::request::Parts>()
                .and_then(|parts| {
                    let header = parts.headers.get(axum::http::header::COOKIE)?;
                    Some(header.to_str().ok()?.to_owned())
                })
                .unwrap_or_default();
            Self::from_cookies(&cookies)
        }
        #[cfg(not(feature = "ssr"))]
        {
            document()
                .document_element()
                .and_then(|html| html.get_attribute("data-theme"))
                .map_or(Self::Auto, |name| Self::from_name(&name))
        }
    }

    /// The theme in a `Cookie` header.
    pub fn from_cookies(header: &str) -> Self {
        cookie(header, THEME_COOKIE).map_or(Self::Auto, Self::from_name)
    }

    /// The theme as a signal; changing it changes the document and the cookie.
    pub fn provide() -> RwSignal<Self> {
        let theme = RwSignal::new(Self::from_request());
        Effect::watch(
            move || theme.get(),
            |theme, _, _| {
                let Some(html) = document().document_element() else {
                    return;
                };
                // A document always takes these attributes.
                let _ = match theme.attribute() {
                    Some(name) => html.set_attribute("data-theme", name),
                    None => html.remove_attribute("data-theme"),
                };
                crate::api::preferences::remember(THEME_COOKIE, theme.as_str());
            },
            false,
        );
        theme
    }
}

/// The value of a cookie in a `Cookie` header.
pub fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_theme_is_found_among_other_cookies() {
        for (header, theme) in [
            ("", Theme::Auto),
            ("theme=dark", Theme::Dark),
            ("lang=he; theme=light; x=y", Theme::Light),
            ("lang=he; theme=purple", Theme::Auto),
        ] {
            assert_eq!(Theme::from_cookies(header), theme, "{header}");
        }
    }
}
