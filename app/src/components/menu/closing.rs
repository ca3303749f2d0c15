//! The browser's side of every menu: listeners on the window, so that no menu can miss them.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node, NodeList};

/// Every menu that is open.
const OPEN: &str = "details.menu[open]";
/// What is chosen in a menu, and then closes it. A field of a menu's form does not.
const CHOICES: &str = ".menu__panel button.menu__item, .menu__panel a";

/// Listens until the page goes.
pub fn listen() {
    let escape = window_event_listener(ev::keydown, |event| {
        if event.default_prevented() || event.is_composing() || event.key() != "Escape" {
            return;
        }
        // The innermost stands last in the page.
        if let Some(menu) = open_menus().pop() {
            close(&menu);
            event.prevent_default();
        }
    });
    let pressed = window_event_listener(ev::pointerdown, |event| close_others(event.target()));
    // A focus moved by Tab, or by a script.
    let moved = window_event_listener(ev::focusin, |event| close_others(event.target()));
    let chosen = window_event_listener(ev::click, |event| {
        let choice = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|target| target.closest(CHOICES).ok().flatten());
        if let Some(menu) = choice.and_then(|choice| choice.closest(OPEN).ok().flatten()) {
            // Before the choice acts: a dialog it opens gives the focus back to where it is now.
            close(&menu);
        }
    });
    on_cleanup(move || {
        escape.remove();
        pressed.remove();
        moved.remove();
        chosen.remove();
    });
}

/// Opens the menu in which the element of `id` stands, for an answer that is told there.
pub fn open_round(id: &str) {
    let menu = document()
        .get_element_by_id(id)
        .and_then(|own| own.closest("details.menu").ok().flatten());
    if let Some(menu) = menu {
        // Only a name that is no name can be refused.
        let _ = menu.set_attribute("open", "");
    }
}

fn open_menus() -> Vec<Element> {
    let found: Option<NodeList> = document().query_selector_all(OPEN).ok();
    found.map_or_else(Vec::new, |found| {
        (0..found.length())
            .filter_map(|index| found.get(index)?.dyn_into().ok())
            .collect()
    })
}

/// Closes the menus in which `target` does not stand.
fn close_others(target: Option<web_sys::EventTarget>) {
    let target = target.and_then(|target| target.dyn_into::<Node>().ok());
    for menu in open_menus() {
        if !menu.contains(target.as_ref()) {
            // Only a name that is no name can be refused.
            let _ = menu.remove_attribute("open");
        }
    }
}

/// Closes `menu`; a focus in it goes to its button rather than nowhere.
fn close(menu: &Element) {
    let held = document()
        .active_element()
        .is_some_and(|focused| menu.contains(Some(&focused)));
    let _ = menu.remove_attribute("open");
    let button = menu.query_selector("summary").ok().flatten();
    if held && let Some(button) = button.and_then(|own| own.dyn_into::<HtmlElement>().ok()) {
        // Focus is a courtesy.
        let _ = button.focus();
    }
}
