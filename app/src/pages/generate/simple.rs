//! Simple: one description, and the language model writes the song.

use leptos::prelude::*;

use super::{
    composer::ExplainButton, dice::Dice, lm_needed::LmNeeded, numbers::error_for, text::languages,
    wish_button::WishButton,
};
use crate::{
    api::{call::Call, form::RandomDescription},
    components::{
        field::Field,
        icon::Icon,
        note::{Invalid, Reason},
        select::Select,
        switch::Switch,
        text_area::TextArea,
    },
    i18n::{t, use_i18n},
    live::Show,
    state::{form::Form, request::Wish},
    word,
};

/// The section; hidden in Custom.
#[component]
pub fn Simple() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let silent = form.switch("simple_instrumental");
    let languages = languages(word!(i18n, lm.language_auto), str::to_owned);
    // A sample's caption is the description, so what is said about the one stands at the other.
    let wrong = error_for("caption");
    view! {
        <section class="section" id="s-description">
            <div class="section__head">
                <label class="section__label" for="description">
                    {t!(i18n, lm.describe)}
                </label>
                <span class="section__count">{t!(i18n, lm.describe_count)}</span>
                <Example />
            </div>
            <TextArea id="description" value=form.text("description") rows=6 error=wrong />
            <Invalid id="description" error=wrong />
            <p class="field__help">{t!(i18n, lm.describe_help)}</p>
            <div class="composer__row">
                <Switch
                    id="simple_instrumental"
                    value=silent
                    label=word!(i18n, params.instrumental.label)
                    with_state=true
                />
                <div class="composer__pick">
                    <Field id="simple_language" label=word!(i18n, params.vocal_language.label)>
                        <Select
                            id="simple_language"
                            value=form.text("simple_language")
                            choices=languages
                            off=silent
                            described_by="simple-locked"
                        />
                    </Field>
                </div>
                <WishButton
                    wish=Wish::Write
                    class="button"
                    icon="pen"
                    why="simple-why"
                    words=word!(i18n, lm.write_only)
                />
            </div>
            <Show when=move || silent.get()>
                <Reason id="simple-locked" locked=true text=word!(i18n, lm.nobody_sings) />
            </Show>
            <LmNeeded id="simple-why" />
            <p class="composer__note">
                <Icon name="info" />
                <span>{t!(i18n, lm.simple_note)}</span>
            </p>
        </section>
    }
    .into_any()
}

/// Fills the section with an example.
#[component]
fn Example() -> impl IntoView {
    let i18n = use_i18n();
    let roll = Call::<RandomDescription>::new();
    let example = Signal::derive(move || {
        let rolled = roll.value().get()?.ok()?;
        Some(serde_json::json!({
            "description": rolled.description,
            "simple_instrumental": rolled.instrumental,
            "simple_language": rolled.vocal_language.code(),
        }))
    });
    view! {
        <Dice
            label=word!(i18n, lm.random_description)
            roll=move |()| {
                let language = i18n.get_locale_untracked().as_str().to_owned();
                roll.dispatch(RandomDescription { language });
            }
            example
            own=own_fields
        >
            <ExplainButton />
        </Dice>
    }
    .into_any()
}

/// The section's part of the form; the rest is not the dice's to take back.
fn own_fields(form: &serde_json::Value) -> serde_json::Value {
    let mut own = serde_json::Map::new();
    for key in ["description", "simple_instrumental", "simple_language"] {
        own.insert(key.to_owned(), form[key].clone());
    }
    own.into()
}
