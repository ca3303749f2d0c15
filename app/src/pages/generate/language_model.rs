//! The fold Language model: what it is asked for, and how freely it writes.

use acestep_domain::task::TaskType;
use leptos::prelude::*;

use super::{
    audio_in::given_codes,
    fold::Fold,
    folds::Fields,
    lm_needed::LmNeeded,
    numbers::{error_for, notes_for},
    sampler::Number,
};
use crate::{
    components::{
        field::{Field, TextInput},
        icon::Icon,
        note::{Notes, Reason},
        switch::Switch,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    state::{StudioStore, form::Form},
    word,
};

/// What the fold sets.
const LM_KEYS: &[&str] = &[
    "thinking",
    "use_cot_metas",
    "use_cot_caption",
    "use_cot_language",
    "lm_seed",
    "lm_temperature",
    "lm_cfg_scale",
    "lm_top_k",
    "lm_top_p",
    "lm_repetition_penalty",
    "lm_negative_prompt",
];

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
        if !store.has_lm() {
            return t_string!(i18n, lm.now.off).to_owned();
        }
        let mut parts = Vec::new();
        let given = codes.get().is_some_and(|count| count > 0);
        if thinking.get() && writes.get() && !given && form.task() == TaskType::Text2music {
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
        <Fold id="f-lm" keys=LM_KEYS name=word!(i18n, lm.fold) now fields=Fields::LanguageModel />
    }
    .into_any()
}

/// The fold's fields.
#[component]
pub fn LanguageModelFields() -> impl IntoView {
    view! {
        <div class="fold__wide">
            <LmNeeded id="lm-why" />
            <Loaded />
        </div>
        <Asked />
    }
    .into_any()
}

/// Which one is loaded, and what it cannot do.
#[component]
fn Loaded() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let loaded = Memo::new(move |_| store.loaded_lm());
    live(move || {
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
    })
}

/// What only a loaded model can do; off together while there is none.
#[component]
fn Asked() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let ready = Memo::new(move |_| store.has_lm());
    let codes = given_codes(form);
    view! {
        <fieldset
            class="fold__fields"
            disabled=move || !ready.get()
            aria-describedby="lm-why"
        >
            <legend class="visually-hidden">{t!(i18n, lm.asked)}</legend>
            // Written codes would stand in the place of a source.
            <Show when=move || form.task() == TaskType::Text2music>
                <Asks
                    key="thinking"
                    label=word!(i18n, params.thinking.label)
                    help=word!(i18n, params.thinking.help)
                    idle=Signal::derive(move || {
                        let given = codes.get() != Some(0) && form.switch("thinking").get();
                        given.then(|| t_string!(i18n, lm.thinking_waits).to_owned())
                    })
                />
            </Show>
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
            <Asks
                key="use_constrained_decoding"
                label=word!(i18n, params.use_constrained_decoding.label)
                help=word!(i18n, params.use_constrained_decoding.help)
            />
            <Asks
                key="constrained_decoding_debug"
                label=word!(i18n, params.constrained_decoding_debug.label)
                help=word!(i18n, params.constrained_decoding_debug.help)
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
                id="lm_seed"
                label=word!(i18n, params.lm_seed.label)
                help=word!(i18n, params.lm_seed.help)
                notes=notes_for("lm_seed")
                error=error_for("lm_seed")
            >
                <TextInput
                    id="lm_seed"
                    value=form.text("lm_seed")
                    placeholder=word!(i18n, lm.seed_first)
                    error=error_for("lm_seed")
                />
            </Field>
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
    /// Why it does nothing although it is on.
    #[prop(optional, into)]
    idle: MaybeProp<String>,
) -> impl IntoView {
    view! {
        <div class="field">
            <Switch id=key value=Form::expect().switch(key) label with_state=true />
            {move || {
                idle.get()
                    .map(|why| {
                        view! { <Reason text=why /> }
                    })
            }}
            <Notes notes=notes_for(key) />
            <p class="field__help">{move || help.get()}</p>
        </div>
    }
    .into_any()
}
