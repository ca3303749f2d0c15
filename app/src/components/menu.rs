//! A button with a panel below it: `details` of the class `menu`, so it works without a script; with one,
//! Escape, a press elsewhere, the focus leaving it and a choice in it close it. That is listened to once for
//! all menus, so it holds for those that are drawn without [`Menu`] too.

#[cfg(feature = "hydrate")]
mod closing;

use leptos::prelude::*;

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
    let opened = Opened::provide();
    view! {
        <details class="menu" on:toggle:target=move |event| opened.follow(&event.target())>
            <summary class=button_class>
                <Icon name=icon />
                {label}
            </summary>
            <div class="menu__panel">{children()}</div>
        </details>
    }
    .into_any()
}

/// Keeps every menu of the page closing as it should; once, for the page.
pub fn keep_closing() {
    #[cfg(feature = "hydrate")]
    closing::listen();
}

/// Opens the menu again in which the element of `id` stands: what was chosen there was refused, and the reason
/// is told there.
pub fn open_round(id: &str) {
    #[cfg(feature = "hydrate")]
    closing::open_round(id);
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}
