//! A block with a title, a cause and what to do.

use leptos::prelude::*;

use super::icon::Icon;

/// How a notice looks and speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Tells something good to know.
    #[default]
    Info,
    /// Tells what was meant so.
    Quiet,
    /// Wants a look.
    Warn,
    /// Something failed; spoken at once.
    Error,
}

/// The block; actions are its children.
#[component]
pub fn Notice(
    /// What happened.
    #[prop(into)]
    title: Signal<String>,
    /// Why, and what is kept.
    #[prop(into)]
    text: Signal<String>,
    /// Look and urgency.
    #[prop(optional)]
    tone: Tone,
    /// Icon, when the tone's own does not fit.
    #[prop(optional)]
    icon: Option<&'static str>,
    /// Next steps.
    children: Children,
) -> impl IntoView {
    let (class, own_icon, role) = match tone {
        Tone::Info => ("notice", "info", None),
        Tone::Quiet => ("notice notice--quiet", "info", None),
        Tone::Warn => ("notice notice--warn", "warn", None),
        Tone::Error => ("notice notice--error", "error", Some("alert")),
    };
    view! {
        <div class=class role=role>
            <Icon name=icon.unwrap_or(own_icon) />
            <div class="notice__body">
                <p class="notice__title">{move || title.get()}</p>
                <p class="notice__text" dir="auto">{move || text.get()}</p>
                <div class="notice__actions">{children()}</div>
            </div>
        </div>
    }
    .into_any()
}
