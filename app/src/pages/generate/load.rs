//! Load: picks files as dropping them would, for who has no mouse or no window beside this one.

use leptos::{html, prelude::*};

use crate::{
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    pages::generate::dropped::Dropped,
};

/// What the file picker offers: settings, and songs that carry theirs; the studio looks at the bytes.
const ACCEPT: &str = ".json,application/json,audio/*,.wav,.flac,.mp3,.ogg,.oga,.m4a,.aac";

/// The button; what comes of the files stands at the head of the composer.
#[component]
pub fn LoadSettings() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = Dropped::expect();
    let picker = NodeRef::<html::Input>::new();
    let picked = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(input) = picker.get_untracked() {
            dropped.take_in(super::files::of(input.files()));
            // The same file can be picked again.
            input.set_value("");
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = dropped;
    };
    view! {
        <button
            type="button"
            class="button button--quiet button--small needs-script"
            title=move || t_string!(i18n, takes.load_hint)
            on:click=move |_| {
                if let Some(input) = picker.get_untracked() {
                    input.click();
                }
            }
        >
            <Icon name="file" />
            {t!(i18n, takes.load)}
        </button>
        <input
            type="file"
            hidden
            multiple
            accept=ACCEPT
            aria-label=move || t_string!(i18n, takes.load)
            node_ref=picker
            on:change=picked
        />
    }
    .into_any()
}
