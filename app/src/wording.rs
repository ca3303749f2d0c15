//! Words as text, views, attributes and signals.
//!
//! The program in the browser holds numbers of texts only; the texts of one language are a file of their own,
//! which [`load`] fetches before the page comes alive and when another language is chosen. The server has all.

use std::fmt::Display;

use leptos::prelude::*;

#[cfg(feature = "hydrate")]
pub use loading::load;

/// A language of the page, named by its code.
#[allow(non_camel_case_types, reason = "the code is the name of a language")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locale {
    /// English.
    #[default]
    en,
    /// Chinese.
    zh,
    /// Japanese.
    ja,
    /// Hebrew.
    he,
}

impl Locale {
    /// All languages, in the order of the picker.
    pub const ALL: [Self; 4] = [Self::en, Self::zh, Self::ja, Self::he];

    /// The code of the language.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::en => "en",
            Self::zh => "zh",
            Self::ja => "ja",
            Self::he => "he",
        }
    }

    /// The language of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locale| locale.as_str() == code)
    }

    /// Where its lines begin, as the `dir` attribute has it.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::he => "rtl",
            _ => "ltr",
        }
    }

    /// Where the browser finds its texts.
    pub fn texts_url(self) -> String {
        format!("/pkg/words-{}.txt", self.as_str())
    }

    /// The language for an `Accept-Language` header: the one liked best of those there are.
    pub fn from_accepted(header: &str) -> Option<Self> {
        let mut best = None;
        for one in header.split(',') {
            let (tag, weight) = one.split_once(';').unwrap_or((one, ""));
            let code = tag.trim().split('-').next().unwrap_or_default();
            let weight: f32 = weight
                .trim()
                .strip_prefix("q=")
                .and_then(|weight| weight.parse().ok())
                .unwrap_or(1.0);
            let Some(locale) = Self::from_code(&code.to_ascii_lowercase()) else {
                continue;
            };
            if weight > best.map_or(0.0, |(_, best)| best) {
                best = Some((locale, weight));
            }
        }
        best.map(|(locale, _)| locale)
    }

    /// The language of the request (server) or of the document (browser).
    pub fn from_request() -> Self {
        #[cfg(feature = "ssr")]
        {
            use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
            let parts = use_context::<axum::http::request::Parts>();
            let header = |name| {
                let value = parts.as_ref()?.headers.get(name)?;
                value.to_str().ok()
            };
            header(COOKIE)
                .and_then(|cookies| {
                    crate::preferences::cookie(cookies, crate::preferences::LANGUAGE_COOKIE)
                })
                .and_then(Self::from_code)
                .or_else(|| header(ACCEPT_LANGUAGE).and_then(Self::from_accepted))
                .unwrap_or_default()
        }
        #[cfg(not(feature = "ssr"))]
        {
            document()
                .document_element()
                .and_then(|html| html.get_attribute("lang"))
                .and_then(|code| Self::from_code(&code))
                .unwrap_or_default()
        }
    }
}

/// The language of the page, as a signal.
#[derive(Debug, Clone, Copy)]
pub struct Words(RwSignal<Locale>);

impl Words {
    /// The language of the moment.
    pub fn get_locale(self) -> Locale {
        self.0.get()
    }

    /// The same, without following its changes.
    pub fn get_locale_untracked(self) -> Locale {
        self.0.get_untracked()
    }

    /// Changes the language, as soon as its words are there. A choice made meanwhile takes the place of this one.
    pub fn choose(self, locale: Locale) {
        #[cfg(feature = "hydrate")]
        loading::choose(self.0, locale);
        #[cfg(not(feature = "hydrate"))]
        self.0.set(locale);
    }

    /// Begins with the language of the request. A change changes document and cookie.
    pub fn provide() {
        let locale = RwSignal::new(Locale::from_request());
        Effect::watch(
            move || locale.get(),
            |locale, _, _| {
                if let Some(html) = document().document_element() {
                    // A document always takes these attributes.
                    let _ = html.set_attribute("lang", locale.as_str());
                    let _ = html.set_attribute("dir", locale.direction());
                }
                crate::api::preferences::remember(
                    crate::preferences::LANGUAGE_COOKIE,
                    locale.as_str(),
                );
            },
            false,
        );
        provide_context(Self(locale));
    }
}

/// The language of the page.
pub fn use_i18n() -> Words {
    expect_context()
}

/// A text without blanks, by its number in the lists of all languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u16);

impl Word {
    /// What it says in a language.
    pub fn say(self, locale: Locale) -> &'static str {
        texts(locale)
            .get(usize::from(self.0))
            .copied()
            .unwrap_or_default()
    }

    /// The text with its blanks filled; characters from 1 on stand for them.
    pub fn fill(self, locale: Locale, values: &[&dyn Display]) -> String {
        use std::fmt::Write as _;
        let mut filled = String::new();
        for letter in self.say(locale).chars() {
            let value = (letter as usize)
                .checked_sub(1)
                .and_then(|number| values.get(number));
            // Writing to a string does not fail.
            let _ = match value {
                Some(value) => write!(filled, "{value}"),
                None => filled.write_char(letter),
            };
        }
        filled
    }
}

/// A text in the language of the moment, as a view or an attribute.
pub fn say(i18n: Words, word: Word) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    move || word.say(i18n.get_locale())
}

/// A text in the language of the moment, as a signal.
pub fn signal(i18n: Words, word: Word) -> Signal<String> {
    Signal::derive(move || word.say(i18n.get_locale()).to_owned())
}

/// Every text of a language, by number.
#[cfg(not(feature = "hydrate"))]
fn texts(locale: Locale) -> &'static [&'static str] {
    use std::sync::LazyLock;
    macro_rules! list {
        ($code:literal) => {
            LazyLock::new(|| {
                include_str!(concat!(env!("OUT_DIR"), "/words-", $code, ".txt"))
                    .split('\n')
                    .collect()
            })
        };
    }
    static LISTS: [LazyLock<Vec<&str>>; 4] = [list!("en"), list!("zh"), list!("ja"), list!("he")];
    &LISTS[locale as usize]
}

#[cfg(feature = "hydrate")]
use loading::texts;

/// The words on their way to the browser.
#[cfg(feature = "hydrate")]
mod loading {
    use std::{cell::Cell, sync::OnceLock};

    use js_sys::futures::JsFuture;
    use leptos::prelude::*;
    use wasm_bindgen::{JsCast as _, JsValue};

    use super::Locale;

    static LISTS: [OnceLock<Vec<&str>>; 4] = [const { OnceLock::new() }; 4];

    thread_local! {
        static WANTED: Cell<Locale> = const { Cell::new(Locale::en) };
    }

    pub(super) fn texts(locale: Locale) -> &'static [&'static str] {
        LISTS[locale as usize].get().map_or(&[], Vec::as_slice)
    }

    /// Fetches the texts of a language, once.
    pub async fn load(locale: Locale) -> Result<(), JsValue> {
        let list = &LISTS[locale as usize];
        if list.get().is_some() {
            return Ok(());
        }
        let answer = JsFuture::from(window().fetch_with_str(&locale.texts_url())).await?;
        let answer: web_sys::Response = answer.dyn_into()?;
        if !answer.ok() {
            return Err(JsValue::from_str(&answer.status_text()));
        }
        let text = JsFuture::from(answer.text()?).await?.as_string();
        // They are needed until the page is left.
        let text = &*text.unwrap_or_default().leak();
        // Two may have asked at once; they were told the same.
        let _ = list.set(text.split('\n').collect());
        Ok(())
    }

    pub(super) fn choose(signal: RwSignal<Locale>, locale: Locale) {
        WANTED.set(locale);
        leptos::task::spawn_local(async move {
            let there = load(locale).await.is_ok();
            if WANTED.get() == locale {
                // Without its words the language stays, and the picker says so.
                signal.update(|now| *now = if there { locale } else { *now });
            }
        });
    }
}

/// Words in the language of the moment, as a view or an attribute.
#[macro_export]
macro_rules! t {
    ($i18n:expr, $($key:ident).+ $(,)?) => {
        $crate::wording::say($i18n, $crate::words$(::$key)+)
    };
    ($i18n:expr, $($rest:tt)*) => {
        $crate::live::shared(move || $crate::t_string!($i18n, $($rest)*))
    };
}

/// Words in the language of the moment: a `&'static str`, or a `String` where blanks are filled.
#[macro_export]
macro_rules! t_string {
    ($i18n:expr, $($rest:tt)*) => {
        $crate::td_string!($i18n.get_locale(), $($rest)*)
    };
}

/// Words in a given language: a `&'static str`, or a `String` where blanks are filled.
#[macro_export]
macro_rules! td_string {
    ($locale:expr, $($key:ident).+ $(,)?) => {
        $crate::words$(::$key)+.say($locale)
    };
    ($locale:expr, $($key:ident).+, $($name:ident = $value:expr),+ $(,)?) => {
        ($crate::words$(::$key)+ { $($name: &$value),+ }).fill($locale)
    };
}

/// Words as a signal of text, in the language of the moment.
#[macro_export]
macro_rules! word {
    ($i18n:expr, $($key:ident).+ $(,)?) => {
        $crate::wording::signal($i18n, $crate::words$(::$key)+)
    };
    ($i18n:expr, $($rest:tt)*) => {
        leptos::prelude::Signal::derive(move || $crate::t_string!($i18n, $($rest)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_list_decides_by_weight_and_place() {
        for (header, locale) in [
            ("", None),
            ("de, fr;q=0.5", None),
            ("de, ja;q=0.5", Some(Locale::ja)),
            ("en-US,en;q=0.9,he;q=0.8", Some(Locale::en)),
            ("fr;q=1, zh-TW;q=0.4, he;q=0.7", Some(Locale::he)),
            ("ja;q=0, ZH", Some(Locale::zh)),
            ("zh,ja", Some(Locale::zh)),
        ] {
            assert_eq!(Locale::from_accepted(header), locale, "{header}");
        }
    }

    #[cfg(not(feature = "hydrate"))]
    #[test]
    fn blanks_are_filled_where_the_language_has_them() {
        let said = |locale| td_string!(locale, lm.spoken, title = "A", stage = 1.5);
        assert_eq!(said(Locale::en), "A: 1.5.");
        let used = |locale| td_string!(locale, frame.memory_used, used = 1, total = "2");
        for locale in Locale::ALL {
            let said = used(locale);
            assert!(said.contains('1') && said.contains('2'), "{said}");
            assert!(!said.contains(char::is_control), "{said}");
            assert!(!td_string!(locale, common.skip).is_empty());
        }
    }
}
