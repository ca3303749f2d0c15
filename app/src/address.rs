//! Where the visitor is, and ways to elsewhere: four pages under one frame need no more of a router.
//!
//! The server draws the page of any address. In the browser a link to another page of the studio changes the address
//! and what is drawn, so that a song goes on playing; everything else is left to the browser.

use leptos::prelude::*;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Address of the Generation page.
pub const GENERATE: &str = "/";
/// Address of the library; an open song follows it.
pub const LIBRARY: &str = "/library";
/// Address of the comparison of two songs.
pub const COMPARE: &str = "/compare";
/// Address of the Service Configuration panel.
pub const SERVICE: &str = "/service";

/// What an address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The form, and what was made.
    Generate,
    /// All songs.
    Library,
    /// Two songs side by side.
    Compare,
    /// The Service Configuration panel.
    Service,
    /// Nothing is there.
    None,
}

impl Page {
    /// The page at a path.
    pub fn at(path: &str) -> Self {
        match path.trim_end_matches('/') {
            "" => Self::Generate,
            LIBRARY => Self::Library,
            COMPARE => Self::Compare,
            SERVICE => Self::Service,
            _ if song_at(path).is_some() => Self::Library,
            _ => Self::None,
        }
    }
}

/// The song that a path of the library opens.
pub fn song_at(path: &str) -> Option<String> {
    let song = path.strip_prefix(LIBRARY)?.strip_prefix('/')?;
    let song = song.trim_end_matches('/');
    (!song.is_empty() && !song.contains('/')).then(|| decoded(song))
}

/// What follows `?` in an address: names with their values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads it, with or without its `?`.
    pub fn of(text: &str) -> Self {
        let pairs = text.trim_start_matches('?').split('&');
        Self(
            pairs
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<String> {
        let own = self.0.iter().find(|(own, _)| own == name);
        own.map(|(_, value)| value.clone())
    }

    /// Adds a value.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// As it stands in an address: with `?`, or empty.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
            text.push('=');
            text.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        text
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// What becomes of the address that one leaves, and of what is seen.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Push,
    Replace,
    Refine,
}

/// The address of the moment. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The path, for example `/library`.
    pub path: RwSignal<String>,
    /// What follows `?`.
    pub query: RwSignal<Query>,
}

impl Address {
    /// Provides the address of the request (server) or of the document (browser), which then follows its links.
    pub fn provide() -> Self {
        let (path, query) = now();
        let own = Self {
            path: RwSignal::new(path),
            query: RwSignal::new(Query::of(&query)),
        };
        provide_context(own);
        #[cfg(feature = "hydrate")]
        links::follow(own);
        own
    }

    /// The address of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// Goes to another address of the studio, whose page is then seen from its top. Acts in the browser only.
    pub fn go(self, to: &str) {
        self.turn(to, Way::Push);
    }

    /// The same in place of the address that one is at.
    pub fn replace(self, to: &str) {
        self.turn(to, Way::Replace);
    }

    /// The same, and what is seen stays in its place.
    pub fn refine(self, to: &str) {
        self.turn(to, Way::Refine);
    }

    fn turn(self, to: &str, way: Way) {
        #[cfg(feature = "hydrate")]
        links::go(self, to, way);
        #[cfg(not(feature = "hydrate"))]
        let _ = (self, to, way);
    }

    /// Goes where a form that only asks leads.
    pub fn search(self, event: &leptos::ev::SubmitEvent) {
        #[cfg(feature = "hydrate")]
        if let Some(to) = links::asked(event) {
            event.prevent_default();
            self.refine(&to);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = event;
    }

    #[cfg(feature = "hydrate")]
    fn set(self, path: String, query: &str) {
        // Both change before anything is drawn.
        let query = Query::of(query);
        if self.query.with_untracked(|own| *own != query) {
            self.query.set(query);
        }
        if self.path.with_untracked(|own| *own != path) {
            self.path.set(path);
        }
    }
}

/// Path and query of the request (server) or of the document (browser).
#[cfg(feature = "ssr")]
pub(crate) fn now() -> (String, String) {
    let parts = use_context::<axum::http::request::Parts>();
    parts.map_or_else(Default::default, |parts| {
        let query = parts.uri.query().unwrap_or_default();
        (parts.uri.path().to_owned(), query.to_owned())
    })
}

#[cfg(not(feature = "ssr"))]
pub(crate) fn now() -> (String, String) {
    let location = window().location();
    let path = location.pathname().unwrap_or_default();
    (path, location.search().unwrap_or_default())
}

#[cfg(feature = "hydrate")]
mod links {
    use leptos::{ev, prelude::*};
    use wasm_bindgen::{JsCast as _, JsValue};
    use web_sys::{Element, HtmlAnchorElement, MouseEvent};

    use super::{Address, Page, Way, now};
    use crate::browser::SentForm;

    pub(super) fn go(address: Address, to: &str, way: Way) {
        let changed = window().history().and_then(|history| {
            if way == Way::Push {
                history.push_state_with_url(&JsValue::NULL, "", Some(to))
            } else {
                history.replace_state_with_url(&JsValue::NULL, "", Some(to))
            }
        });
        if changed.is_err() {
            // A document that may not change its address is left for the other one.
            let _ = window().location().set_href(to);
            return;
        }
        let (path, query) = now();
        address.set(path, &query);
        if way != Way::Refine {
            // What is drawn is there by the next frame.
            request_animation_frame(|| window().scroll_to_with_x_and_y(0.0, 0.0));
        }
    }

    /// The address that a form asks for.
    pub(super) fn asked(event: &ev::SubmitEvent) -> Option<String> {
        let form: Element = event.target()?.dyn_into().ok()?;
        let path = form.get_attribute("action")?;
        let fields = SentForm::by(event)?.fields().ok()?;
        Some(format!("{path}?{fields}"))
    }

    /// Follows links and the browser's own Back and Forward.
    pub(super) fn follow(address: Address) {
        let clicks = window_event_listener(ev::click, move |event| {
            if let Some(to) = page_of(&event) {
                event.prevent_default();
                go(address, &to, Way::Push);
            }
        });
        let moves = window_event_listener(ev::popstate, move |_| {
            let (path, query) = now();
            address.set(path, &query);
        });
        on_cleanup(move || {
            clicks.remove();
            moves.remove();
        });
    }

    /// Where a press leads, if that is a page that this program draws.
    fn page_of(event: &MouseEvent) -> Option<String> {
        let is_plain = event.button() == 0
            && !(event.meta_key() || event.ctrl_key() || event.shift_key() || event.alt_key());
        if event.default_prevented() || !is_plain {
            return None;
        }
        let pressed: Element = event.target()?.dyn_into().ok()?;
        let link: HtmlAnchorElement = pressed.closest("a[href]").ok()??.dyn_into().ok()?;
        let here = window().location();
        let elsewhere = link.has_attribute("download")
            || !link.target().is_empty()
            || link.rel().split_whitespace().any(|rel| rel == "external")
            || link.origin() != here.origin().ok()?
            || Page::at(&link.pathname()) == Page::None;
        // A place in the document.
        let within = !link.hash().is_empty();
        (!elsewhere && !within).then(|| link.pathname() + &link.search())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_page() {
        for (path, page, song) in [
            ("/", Page::Generate, None),
            ("/library", Page::Library, None),
            ("/library/", Page::Library, None),
            ("/library/0190-a", Page::Library, Some("0190-a")),
            ("/library/a%20b/", Page::Library, Some("a b")),
            ("/library/a/b", Page::None, None),
            ("/librarys", Page::None, None),
            ("/compare", Page::Compare, None),
            ("/service/", Page::Service, None),
            ("/nothing", Page::None, None),
            ("/api/v1/songs", Page::None, None),
        ] {
            assert_eq!(Page::at(path), page, "{path}");
            assert_eq!(song_at(path).as_deref(), song, "{path}");
        }
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let mut query = Query::default();
        query.add("q", "rain & sea + 100 % = שיר");
        query.add("pages", "3");
        let text = query.text();
        assert!(text.starts_with("?q=rain%20"), "{text}");
        assert_eq!(Query::of(&text), query);
        assert_eq!(Query::of("q=a+b&favourite"), {
            let mut query = Query::default();
            query.add("q", "a b");
            query.add("favourite", "");
            query
        });
        assert_eq!(
            (Query::of("?"), Query::default().text()),
            (Query::default(), String::new())
        );
    }
}
