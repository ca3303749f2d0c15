//! The fold Language model: what it is asked for, how freely it writes, codes that are given.

use acestep_domain::{audio_codes, generation::clamp::minutes};
use leptos::prelude::*;

use super::{
    lm_needed::LmNeeded,
    numbers::{error_for, notes_for},
    sampler::Number,
};
use crate::{
    components::{
        field::Field,
        fold::Fold,
        icon::Icon,
        note::{Invalid, Notes},
        switch::Switch,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    state::{StudioStore, form::Form},
    word,
};

/// The fold.
#[component]
pub fn LanguageModelFold() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let codes = given_codes(form);
    let temperature = form.text("lm_temperature");
    let writes = Memo::new(move |_| store.loaded_lm().is_some_and(|lm| lm.has_codes));
    let (thinking, fills) = (form.switch("thinking"), form.switch("use_cot_metas"));
    let now = Signal::derive(move || {
        let mut parts = Vec::new();
        if let Some(count) = codes.get().filter(|count| *count > 0) {
            parts.push(t_string!(i18n, lm.now.codes, n = count));
        }
        if !store.has_lm() {
            parts.push(t_string!(i18n, lm.now.off).to_owned());
            return parts.join(", ");
        }
        if thinking.get() && writes.get() && parts.is_empty() {
            parts.push(t_string!(i18n, lm.now.thinks).to_owned());
        }
        if fills.get() {
            parts.push(t_string!(i18n, lm.now.fills).to_owned());
        }
        if parts.is_empty() {
            parts.push(t_string!(i18n, lm.now.idle).to_owned());
        }
        parts.push(t_string!(i18n, lm.now.temperature, n = temperature.get()));
        parts.join(", ")
    });
    view! {
        <Fold id="f-lm" name=word!(i18n, lm.fold) now>
            <div class="fold__wide">
                <LmNeeded id="lm-why" />
                <Loaded />
            </div>
            <Asked />
            <Codes codes />
            <Number
                key="audio_cover_strength"
                label=word!(i18n, lm.codes_strength)
                help=word!(i18n, lm.codes_strength_help)
            />
        </Fold>
    }
    .into_any()
}

/// Which one is loaded, and what it cannot do.
#[component]
fn Loaded() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let loaded = Memo::new(move |_| store.loaded_lm());
    move || {
        loaded.get().map(|lm| {
            let text = if lm.has_codes {
                t_string!(i18n, lm.loaded, name = lm.name)
            } else {
                t_string!(i18n, lm.words_only, name = lm.name)
            };
            view! {
                <p class="composer__note">
                    <Icon name="info" />
                    <span>{text}</span>
                </p>
            }
        })
    }
}

/// What only a loaded model can do; off together while there is none.
#[component]
fn Asked() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let ready = Memo::new(move |_| store.has_lm());
    view! {
        <fieldset
            class="fold__fields"
            disabled=move || !ready.get()
            aria-describedby="lm-why"
        >
            <legend class="visually-hidden">{t!(i18n, lm.asked)}</legend>
            <Asks
                key="thinking"
                label=word!(i18n, params.thinking.label)
                help=word!(i18n, params.thinking.help)
            />
            <Asks
                key="use_cot_metas"
                label=word!(i18n, params.use_cot_metas.label)
                help=word!(i18n, params.use_cot_metas.help)
            />
            <Asks
                key="use_cot_caption"
                label=word!(i18n, params.use_cot_caption.label)
                help=word!(i18n, params.use_cot_caption.help)
            />
            <Asks
                key="use_cot_language"
                label=word!(i18n, params.use_cot_language.label)
                help=word!(i18n, params.use_cot_language.help)
            />
            <Number
                key="lm_temperature"
                label=word!(i18n, params.lm_temperature.label)
                help=word!(i18n, params.lm_temperature.help)
            />
            <Number
                key="lm_cfg_scale"
                label=word!(i18n, params.lm_cfg_scale.label)
                help=word!(i18n, params.lm_cfg_scale.help)
                off_at=1.0
            />
            <Number
                key="lm_top_k"
                label=word!(i18n, params.lm_top_k.label)
                help=word!(i18n, params.lm_top_k.help)
                off_at=0.0
            />
            <Number
                key="lm_top_p"
                label=word!(i18n, params.lm_top_p.label)
                help=word!(i18n, params.lm_top_p.help)
                off_at=1.0
            />
            <Number
                key="lm_repetition_penalty"
                label=word!(i18n, params.lm_repetition_penalty.label)
                help=word!(i18n, params.lm_repetition_penalty.help)
                off_at=1.0
            />
            <Field
                id="lm_negative_prompt"
                label=word!(i18n, params.lm_negative_prompt.label)
                help=word!(i18n, params.lm_negative_prompt.help)
                notes=notes_for("lm_negative_prompt")
                wide=true
            >
                <TextArea
                    id="lm_negative_prompt"
                    value=form.text("lm_negative_prompt")
                    rows=2
                    placeholder=word!(i18n, lm.avoid_none)
                />
            </Field>
        </fieldset>
    }
    .into_any()
}

/// One thing it may be asked for.
#[component]
fn Asks(
    key: &'static str,
    #[prop(into)] label: Signal<String>,
    #[prop(into)] help: Signal<String>,
) -> impl IntoView {
    view! {
        <div class="field">
            <Switch id=key value=Form::expect().switch(key) label with_state=true />
            <Notes notes=notes_for(key) />
            <p class="field__help">{move || help.get()}</p>
        </div>
    }
    .into_any()
}

/// How many codes are given; `None` when the text is none of them.
fn given_codes(form: Form) -> Memo<Option<usize>> {
    let text = form.text("audio_codes");
    Memo::new(move |_| text.with(|text| audio_codes::parse(text).ok().map(|codes| codes.len())))
}

/// Codes as text, with their number and the length they stand for.
#[component]
fn Codes(codes: Memo<Option<usize>>) -> impl IntoView {
    let i18n = use_i18n();
    let value = Form::expect().text("audio_codes");
    let store = StudioStore::expect();
    let error = error_for("audio_codes");
    let useless = Memo::new(move |_| store.is_ready() && !store.takes_codes());
    let count = move || {
        codes.get().filter(|count| *count > 0).map(|count| {
            let time = minutes(audio_codes::secs(count));
            t_string!(i18n, lm.codes_count, n = count, time = time)
        })
    };
    view! {
        <div class="field fold__wide">
            <div class="section__head">
                <label class="field__label" for="audio_codes">
                    {t!(i18n, params.audio_codes.label)}
                    <span class="field__aside">{count}</span>
                </label>
                <div class="section__tools needs-script">
                    <button
                        type="button"
                        class="button button--quiet button--small"
                        disabled=move || value.with(String::is_empty)
                        on:click=move |_| value.set(String::new())
                    >
                        <Icon name="x" />
                        {t!(i18n, lm.codes_clear)}
                    </button>
                </div>
            </div>
            <TextArea
                id="audio_codes"
                value
                rows=2
                dir="ltr"
                placeholder=word!(i18n, lm.codes_none)
                error
            />
            <Show when=move || useless.get()>
                <p class="field__reason">
                    <Icon name="lock" />
                    <span>{t!(i18n, lm.listen_off.main)}</span>
                </p>
            </Show>
            <Invalid id="audio_codes" error />
            <Notes notes=notes_for("audio_codes") />
            <p class="field__help">{t!(i18n, params.audio_codes.help)}</p>
        </div>
    }
    .into_any()
}
