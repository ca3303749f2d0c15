//! What is known of one adapter (LoRA, LoKr): its kind and size, and why it cannot be used.

use acestep_domain::lora::{LoraEntry, LoraKind};
use leptos::prelude::*;

use super::{figures::size, icon::Icon};
use crate::{
    i18n::{t, t_string, use_i18n},
    live::live,
    state::loras::Adapters,
};

/// A part of an id for any name: letters and digits stay, the rest is spelt out.
pub fn id_of(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_string()
            } else {
                format!("_{:x}", letter as u32)
            }
        })
        .collect()
}

/// Kind, rank, layers, size, what it was made for.
#[component]
pub fn AdapterFacts(
    /// The adapter.
    #[prop(into)]
    entry: Signal<Option<LoraEntry>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let facts = move || {
        entry.with(|entry| {
            let entry = entry.as_ref()?;
            let kind = entry.kind.map(|kind| match kind {
                LoraKind::Peft => "PEFT",
                LoraKind::Comfyui => "ComfyUI",
                LoraKind::Diffusers => "diffusers",
                LoraKind::Kohya => "kohya",
                LoraKind::Lokr => "LoKr",
            });
            let rank = entry.rank.map(|n| t_string!(i18n, loras.rank, n = n));
            let base = entry
                .base
                .clone()
                .map(|base| t_string!(i18n, loras.made_for, base = base));
            let size = size(entry.size_bytes);
            let parts = [kind.map(str::to_owned), rank, Some(size), base];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        })
    };
    view! {
        <span class="adapter__facts">
            <bdi>{live(facts)}</bdi>
        </span>
    }
    .into_any()
}

/// Why it cannot be used; empty while it can.
#[component]
pub fn AdapterProblem(
    /// Id of the sentence.
    id: String,
    /// The sentence.
    #[prop(into)]
    reason: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <div class="adapter__problem" id=id>
            {move || {
                reason
                    .get()
                    .map(|reason| {
                        view! {
                            <p class="field__reason">
                                <Icon name="lock" />
                                <span dir="auto">{reason}</span>
                            </p>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

/// Looks into the folder again.
#[component]
pub fn RescanFolder() -> impl IntoView {
    let i18n = use_i18n();
    let adapters = Adapters::expect();
    view! {
        <button
            type="button"
            class="button button--quiet button--small"
            on:click=move |_| adapters.refresh()
        >
            <Icon name="refresh" />
            {t!(i18n, loras.rescan)}
        </button>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn every_name_has_an_id_of_its_own() {
        assert_eq!(id_of("tape2"), "tape2");
        assert_ne!(id_of("a b"), id_of("a_b"));
        assert!(!id_of("音 \"x\"").contains([' ', '"']));
    }
}
