//! Words as views, attributes and signals.
//!
//! Every closure in a view is a type of its own, with its own code to build, hydrate and update it. Texts
//! without values are by far the most of them and differ in their key alone, so they share one type here.

use leptos::prelude::*;

use crate::words::i18n::Locale;

/// The language of the page.
pub type Words = leptos_i18n::I18nContext<Locale>;

/// A text without values: what a key says in a language.
pub type Saying = fn(Words) -> &'static str;

/// A text in the language of the moment, as a view or an attribute.
pub fn say(
    i18n: Words,
    saying: Saying,
) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    move || saying(i18n)
}

/// A text in the language of the moment, as a signal.
pub fn signal(i18n: Words, saying: Saying) -> Signal<String> {
    Signal::derive(move || saying(i18n).to_owned())
}

/// Words in the language of the moment, as a view or an attribute; with values as `leptos_i18n` has it.
#[macro_export]
macro_rules! t {
    ($i18n:expr, $($key:ident).+ $(,)?) => {
        $crate::wording::say($i18n, |i18n| $crate::i18n::t_string!(i18n, $($key).+))
    };
    ($($rest:tt)*) => {
        $crate::words::i18n::t!($($rest)*)
    };
}

/// Words as a signal of text, in the language of the moment.
#[macro_export]
macro_rules! word {
    ($i18n:expr, $($key:ident).+ $(,)?) => {
        $crate::wording::signal($i18n, |i18n| $crate::i18n::t_string!(i18n, $($key).+))
    };
    ($i18n:expr, $($rest:tt)*) => {
        leptos::prelude::Signal::derive(move || $crate::i18n::t_string!($i18n, $($rest)*).to_string())
    };
}
