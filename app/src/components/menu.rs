//! A button with a panel below it: `details`, so it works without a script; with one, Escape and a
//! click elsewhere close it.

use leptos::{ev, html, prelude::*};

use crate::components::icon::Icon;

/// A menu.
#[component]
pub fn Menu(
    /// What the button says.
    #[prop(into)]
    label: Signal<String>,
    /// Its sign.
    icon: &'static str,
    /// Classes of the button.
    #[prop(default = "button button--quiet")]
    button_class: &'static str,
    /// What the panel holds.
    children: Children,
) -> impl IntoView {
    let node = NodeRef::<html::Details>::new();
    let close = move || {
        if let Some(menu) = node.get_untracked() {
            menu.set_open(false);
        }
    };
    let escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            close();
        }
    };
    let left = move |event: ev::FocusEvent| {
        let next = event.related_target();
        // No related target: the focus left the window, or a part of the panel without focus was pressed.
        if next.is_some() && !node.get_untracked().is_some_and(|menu| holds(&menu, next)) {
            close();
        }
    };
    view! {
        <details class="menu" node_ref=node on:keydown=escape on:focusout=left>
            <summary class=button_class>
                <Icon name=icon />
                {label}
            </summary>
            <div class="menu__panel">{children()}</div>
        </details>
    }
    .into_any()
}

fn holds(
    menu: &leptos::web_sys::HtmlElement,
    target: Option<leptos::web_sys::EventTarget>,
) -> bool {
    use leptos::wasm_bindgen::JsCast as _;
    let node = target.and_then(|target| target.dyn_into::<leptos::web_sys::Node>().ok());
    menu.contains(node.as_ref())
}
