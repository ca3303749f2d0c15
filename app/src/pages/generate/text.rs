//! Caption and lyrics.

use acestep_domain::{generation::clamp::minutes, lyrics::sung_secs, metadata::LANGUAGES};
use leptos::{html, prelude::*};

use super::{
    dice::Dice,
    lm_needed::LmNeeded,
    load::LoadSettings,
    numbers::{error_for, notes_for},
};
use crate::{
    api::form::RandomExample,
    components::{
        icon::Icon,
        note::{Invalid, Notes},
        select::{Choice, Select},
        switch::Switch,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    state::{
        StudioStore,
        form::Form,
        request::{WISH, Wish},
    },
    word,
};

/// Characters of a caption the models read well (ui.md 3.3).
const CAPTION_CHARS: usize = 512;

/// Names of sections people write, as lyrics carry them.
const SECTIONS: [&str; 7] = [
    "[Intro]",
    "[Verse]",
    "[Pre-Chorus]",
    "[Chorus]",
    "[Bridge]",
    "[Instrumental]",
    "[Outro]",
];

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
                <span class="section__count">
                    {move || t_string!(i18n, generate.count_of, n = count(), max = CAPTION_CHARS)}
                </span>
                <Toggle closed name=word!(i18n, params.caption.label) />
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
fn Toggle(closed: RwSignal<bool>, name: Signal<String>) -> impl IntoView {
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
    let roll = ServerAction::<RandomExample>::new();
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
        </Dice>
    }
    .into_any()
}

/// What is sung.
#[component]
pub fn Lyrics() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let value = form.text("lyrics");
    let area = NodeRef::<html::Textarea>::new();
    let closed = RwSignal::new(false);
    let lines = move || {
        value.with(|text| {
            text.lines()
                .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('['))
                .count()
        })
    };
    // No more exact than such a figure can be.
    let sings = move || {
        let bpm = form.checked.with(|checked| checked.params.bpm);
        let sung = !form.switch("instrumental").get();
        let secs = value.with(|text| sung_secs(text, bpm)).filter(|_| sung)?;
        Some(minutes(((secs / 5.0).round() * 5.0).max(5.0)))
    };
    let languages = languages(word!(i18n, generate.language_auto), move |name| {
        t_string!(i18n, generate.language_is, name = name)
    });
    view! {
        <section
            class="section composer__lyrics"
            id="s-lyrics"
            data-closed=move || closed.get().then_some("")
        >
            <div class="section__head">
                <label class="section__label" for="lyrics">
                    {t!(i18n, params.lyrics.label)}
                </label>
                <span class="section__count">
                    {move || match (lines(), sings()) {
                        (0, _) => t_string!(i18n, generate.lines.none).to_string(),
                        (1, None) => t_string!(i18n, generate.lines.one).to_string(),
                        (n, None) => t_string!(i18n, generate.lines.other, n = n),
                        (1, Some(time)) => t_string!(i18n, generate.lines_sung.one, time = time),
                        (n, Some(time)) => {
                            t_string!(i18n, generate.lines_sung.other, n = n, time = time)
                        }
                    }}
                </span>
                <Toggle closed name=word!(i18n, params.lyrics.label) />
                <div class="section__tools">
                    <Switch
                        id="instrumental"
                        value=form.switch("instrumental")
                        label=word!(i18n, params.instrumental.label)
                    />
                    <Select
                        id="vocal_language"
                        value=form.text("vocal_language")
                        choices=languages
                        label=word!(i18n, params.vocal_language.label)
                        bare=true
                    />
                </div>
            </div>
            <div class="composer__lyrics-box">
                <TextArea id="lyrics" value rows=5 error=error_for("lyrics") node_ref=area />
                <div class="section__tools section__tools--start">
                    <details class="menu menu--start menu--up needs-script">
                        <summary class="button button--quiet button--small">
                            <Icon name="plus" />
                            {t!(i18n, generate.section)}
                        </summary>
                        <div class="menu__panel">
                            {SECTIONS
                                .map(|tag| {
                                    view! {
                                        <button
                                            type="button"
                                            class="menu__item"
                                            on:click=move |_| add_section(value, area, tag)
                                        >
                                            {tag}
                                        </button>
                                    }
                                })
                                .collect_view()}
                        </div>
                    </details>
                    <Format />
                </div>
            </div>
            <Invalid id="lyrics" error=error_for("lyrics") />
            <Notes notes=notes_for("lyrics") />
            <p class="field__help">{t!(i18n, params.lyrics.help)}</p>
            <p class="field__help">{t!(i18n, lm.format_help)}</p>
        </section>
    }
    .into_any()
}

/// Has caption and lyrics written anew; what comes fills the form, with Undo.
#[component]
fn Format() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let ready = Memo::new(move |_| store.has_lm());
    let waits = Memo::new(move |_| form.awaited.with(Option::is_some));
    view! {
        <button
            id="format"
            class="button button--quiet button--small"
            type="submit"
            name=WISH
            value=Wish::Format.as_str()
            aria-describedby="format-why"
            disabled=move || !ready.get() || waits.get()
        >
            <Icon name="format" />
            {t!(i18n, lm.format)}
        </button>
        <LmNeeded id="format-why" />
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

/// Puts a section line at the end, with a free line before it.
fn add_section(value: RwSignal<String>, area: NodeRef<html::Textarea>, tag: &str) {
    value.update(|text| {
        let kept = text.trim_end().len();
        text.truncate(kept);
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(tag);
        text.push('\n');
    });
    #[cfg(feature = "hydrate")]
    if let Some(area) = area.get_untracked() {
        use leptos::wasm_bindgen::JsCast as _;
        if let Some(menu) = document()
            .query_selector("#s-lyrics details[open]")
            .ok()
            .flatten()
        {
            // An open menu closes with its choice.
            let _ = menu.remove_attribute("open");
        }
        let element: &web_sys::HtmlElement = area.unchecked_ref();
        // Focus is a courtesy.
        let _ = element.focus();
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = area;
}
