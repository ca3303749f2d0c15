//! A button with a panel below it: `details`, so it works without a script; with one, Escape and a
//! click elsewhere close it.

use leptos::{ev, html, prelude::*};

use crate::components::icon::Icon;

/// Whether the menu round a component is open, so that it asks for nothing before it is seen.
#[derive(Debug, Clone, Copy)]
pub struct Opened(RwSignal<bool>);

impl Opened {
    /// For what stands in the menu that is about to be drawn.
    pub fn provide() -> Self {
        let opened = Self(RwSignal::new(false));
        provide_context(opened);
        opened
    }

    /// Whether the menu is open; tracks. Outside of a menu all is seen.
    pub fn is_open() -> Signal<bool> {
        use_context::<Self>().map_or_else(|| Signal::stored(true), |opened| opened.0.into())
    }

    /// Takes over the state of the menu's `details`.
    pub fn follow(self, details: &leptos::web_sys::Element) {
        self.0.set(details.has_attribute("open"));
    }
}

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
    let opened = Opened::provide();
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
        <details
            class="menu"
            node_ref=node
            on:keydown=escape
            on:focusout=left
            on:toggle:target=move |event| opened.follow(&event.target())
        >
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
