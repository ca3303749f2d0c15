//! Copies a text. Needs a script, so without one it is not on the page.

use leptos::prelude::*;

use crate::{
    components::icon::Icon,
    i18n::{t_string, use_i18n},
};

/// The button; says when it did.
#[component]
pub fn CopyButton(
    /// What is copied.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let i18n = use_i18n();
    let copied = RwSignal::new(false);
    let copy = move |_| {
        #[cfg(feature = "hydrate")]
        if write(&text.get_untracked()) {
            copied.set(true);
            set_timeout(
                // Nothing to take back once the button is gone.
                move || {
                    copied.try_set(false);
                },
                std::time::Duration::from_secs(2),
            );
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = text;
    };
    view! {
        <button
            type="button"
            class="button button--quiet button--small needs-script"
            on:click=copy
        >
            <Icon name=Signal::derive(move || if copied.get() { "check" } else { "copy" }) />
            <span aria-live="polite">
                {move || {
                    if copied.get() {
                        t_string!(i18n, frame.copied)
                    } else {
                        t_string!(i18n, frame.copy)
                    }
                }}
            </span>
        </button>
    }
}

/// Writes to the clipboard; false where the browser offers none (a page that is not from this machine and
/// not encrypted).
#[cfg(feature = "hydrate")]
fn write(text: &str) -> bool {
    let navigator = window().navigator();
    let offered = js_sys::Reflect::get(&navigator, &"clipboard".into())
        .is_ok_and(|clipboard| !clipboard.is_undefined());
    if offered {
        // Refused only when the person forbids it; the text can still be selected.
        crate::browser::let_refuse(&navigator.clipboard().write_text(text));
    }
    offered
}
