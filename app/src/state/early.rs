//! What was typed before the program arrived. The page works at once, so its fields may differ from what
//! the server drew; nothing of it may be lost when the browser build takes over.

use std::{cell::RefCell, collections::HashMap};

use acestep_domain::task::TRACKS;
use wasm_bindgen::JsCast;

use super::fields::{RADIOS, SWITCHES, TEXTS, TRACKS_KEY, tick};

thread_local! {
    static FOUND: RefCell<HashMap<&'static str, String>> = RefCell::default();
}

/// Reads every field as it stands. Call before hydration.
pub fn collect() {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else {
        return;
    };
    let mut found = HashMap::new();
    for key in TEXTS {
        let Some(element) = document.get_element_by_id(key) else {
            continue;
        };
        let value = if let Some(input) = element.dyn_ref::<web_sys::HtmlInputElement>() {
            if is_bent_fader(input) {
                continue;
            }
            input.value()
        } else if let Some(area) = element.dyn_ref::<web_sys::HtmlTextAreaElement>() {
            area.value()
        } else if let Some(select) = element.dyn_ref::<web_sys::HtmlSelectElement>() {
            select.value()
        } else {
            continue;
        };
        found.insert(key, value);
    }
    for key in RADIOS {
        let chosen = document
            .query_selector(&format!("input[name={key}]:checked"))
            .ok()
            .flatten()
            .and_then(|element| element.dyn_into::<web_sys::HtmlInputElement>().ok());
        if let Some(input) = chosen {
            found.insert(key, input.value());
        }
    }
    for key in SWITCHES {
        if let Some(input) = document
            .get_element_by_id(key)
            .and_then(|element| element.dyn_into::<web_sys::HtmlInputElement>().ok())
        {
            found.insert(key, input.checked().to_string());
        }
    }
    let ticked: Vec<&str> = TRACKS
        .into_iter()
        .filter(|track| {
            document
                .get_element_by_id(&tick(track))
                .and_then(|element| element.dyn_into::<web_sys::HtmlInputElement>().ok())
                .is_some_and(|input| input.checked())
        })
        .collect();
    if document.get_element_by_id(&tick(TRACKS[0])).is_some() {
        found.insert(TRACKS_KEY, ticked.join(", "));
    }
    FOUND.set(found);
}

/// A fader that nobody has moved and that cannot show its value: it stands at the end of its range, and
/// what is in the form stays for the form's own note.
pub fn is_bent_fader(input: &web_sys::HtmlInputElement) -> bool {
    let number = |text: String| acestep_domain::number::decimal(&text);
    let (Some(drawn), Some(shown)) = (number(input.default_value()), number(input.value())) else {
        return false;
    };
    let low = number(input.min()).unwrap_or(0.0);
    let high = number(input.max()).unwrap_or(100.0);
    input.type_() == "range" && drawn != shown && shown == drawn.clamp(low, high.max(low))
}

/// What [`collect`] found, once.
pub fn take() -> HashMap<&'static str, String> {
    FOUND.take()
}
