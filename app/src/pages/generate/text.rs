//! The caption, and what the fields for words share.

use acestep_domain::metadata::LANGUAGES;
use leptos::prelude::*;

use super::{
    composer::ExplainButton,
    dice::Dice,
    load::LoadSettings,
    numbers::{error_for, notes_for},
};
use crate::{
    api::{call::Call, form::RandomExample},
    components::{
        icon::Icon,
        note::{Invalid, Notes},
        select::Choice,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    state::{form::Form, lengths::CAPTION_CHARS},
    word,
};

/// What the song is like.
#[component]
pub fn Caption() -> impl IntoView {
    let i18n = use_i18n();
    let value = Form::expect().text("caption");
    let count = move || value.with(|text| text.chars().count());
    let closed = RwSignal::new(false);
    view! {
        <section class="section" id="s-caption" data-closed=move || closed.get().then_some("")>
            <div class="section__head">
                <label class="section__label" for="caption">
                    {t!(i18n, params.caption.label)}
                </label>
                <span
                    class="section__count"
                    data-over=move || (count() > CAPTION_CHARS).then_some("")
                >
                    {move || t_string!(i18n, generate.count_of, n = count(), max = CAPTION_CHARS)}
                </span>
                <SectionToggle closed name=word!(i18n, params.caption.label) />
                <Example />
            </div>
            <TextArea id="caption" value rows=2 error=error_for("caption") />
            <Invalid id="caption" error=error_for("caption") />
            <Notes notes=notes_for("caption") />
            <p class="field__help">{t!(i18n, params.caption.help)}</p>
        </section>
    }
    .into_any()
}

/// Folds a section on a phone, where two texts fill the screen; elsewhere it is not drawn.
#[component]
pub fn SectionToggle(closed: RwSignal<bool>, name: Signal<String>) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <button
            type="button"
            class="section__toggle button button--quiet button--small needs-script"
            aria-label=move || format!("{} {}", t_string!(i18n, generate.fold_section), name.get())
            aria-expanded=move || (!closed.get()).to_string()
            on:click=move |_| closed.update(|closed| *closed = !*closed)
        >
            <Icon name="down" />
            {t!(i18n, generate.fold_section)}
        </button>
    }
    .into_any()
}

/// Fills the song with an example.
#[component]
fn Example() -> impl IntoView {
    let i18n = use_i18n();
    let roll = Call::<RandomExample>::new();
    let example = Signal::derive(move || {
        let rolled = roll.value().get()?.ok()?;
        serde_json::to_value(rolled).ok()
    });
    view! {
        <Dice
            label=word!(i18n, generate.random_example)
            roll=move |()| {
                roll.dispatch(RandomExample {});
            }
            example
            own=serde_json::Value::clone
        >
            <LoadSettings />
            <ExplainButton />
        </Dice>
    }
    .into_any()
}

/// Every language the models sing in, the choice of none first.
pub fn languages(
    auto: Signal<String>,
    named: impl Fn(&'static str) -> String + Send + Sync + 'static,
) -> Signal<Vec<Choice>> {
    Signal::derive(move || {
        std::iter::once(("unknown".to_owned(), auto.get()))
            .chain(
                LANGUAGES
                    .iter()
                    .filter(|(code, _)| *code != "unknown")
                    .map(|(code, name)| ((*code).to_owned(), named(name))),
            )
            .collect()
    })
}
