//! The lyrics: words, who sings them in which language, and what the language model can do with them.

use acestep_domain::{
    generation::clamp::{is_instrumental_tag, minutes},
    lyrics::sung_secs,
};
use leptos::{html, prelude::*};

use super::{
    lm_needed::LmNeeded,
    numbers::{error_for, notes_for},
    text::{SectionToggle, languages},
    wish_button::WishButton,
};
use crate::{
    components::{
        icon::Icon,
        note::{Invalid, Notes, Reason},
        select::Select,
        switch::Toggle,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{form::Form, request::Wish},
    word,
};

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

/// Id of why words and language are locked.
const LOCKED: &str = "lyrics-locked";

/// What is sung.
#[component]
pub fn Lyrics() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let value = form.text("lyrics");
    let area = NodeRef::<html::Textarea>::new();
    let closed = RwSignal::new(false);
    let silent = form.switch("instrumental");
    let switch = move |on| {
        silent.set(on);
        // The mark alone says the same as the switch.
        if !on && value.with_untracked(|text| is_instrumental_tag(text)) {
            value.set(String::new());
        }
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
                <LineCount />
                <SectionToggle closed name=word!(i18n, params.lyrics.label) />
                <div class="section__tools">
                    <Toggle
                        id="instrumental"
                        name="instrumental"
                        on=silent
                        set=switch
                        with_state=false
                    >
                        {t!(i18n, params.instrumental.label)}
                    </Toggle>
                    <Select
                        id="vocal_language"
                        value=form.text("vocal_language")
                        choices=languages
                        label=word!(i18n, params.vocal_language.label)
                        bare=true
                        off=silent
                        described_by=LOCKED
                    />
                </div>
            </div>
            <div class="composer__lyrics-box">
                <TextArea
                    id="lyrics"
                    value
                    rows=5
                    error=error_for("lyrics")
                    off=silent
                    described_by=LOCKED
                    node_ref=area
                />
                <Show when=move || silent.get()>
                    <Reason id=LOCKED locked=true text=word!(i18n, generate.not_sung) />
                </Show>
                <div class="section__tools section__tools--start">
                    <Show when=move || !silent.get()>
                        <AddSection value area />
                    </Show>
                    <Write />
                </div>
            </div>
            <Invalid id="lyrics" error=error_for("lyrics") />
            <Notes notes=notes_for("lyrics") />
            <p class="field__help">{t!(i18n, params.lyrics.help)}</p>
            <p class="field__help">{t!(i18n, lm.format_help)}</p>
            <p class="field__help">{t!(i18n, lm.write_lyrics_help)}</p>
        </section>
    }
    .into_any()
}

/// How many lines there are, and how long they are sung.
#[component]
fn LineCount() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let value = form.text("lyrics");
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
    let over = move || {
        form.checked.with(|checked| {
            let mut notes = checked.notes.iter();
            notes.any(|note| matches!(note.code.as_str(), "lyrics_over" | "lyrics_long"))
        })
    };
    view! {
        <span class="section__count" data-over=move || over().then_some("")>
            {move || match (lines(), sings()) {
                (0, _) => t_string!(i18n, generate.lines.none).to_string(),
                (1, None) => t_string!(i18n, generate.lines.one).to_string(),
                (n, None) => t_string!(i18n, generate.lines.other, n = n),
                (1, Some(time)) => t_string!(i18n, generate.lines_sung.one, time = time),
                (n, Some(time)) => t_string!(i18n, generate.lines_sung.other, n = n, time = time),
            }}
        </span>
    }
    .into_any()
}

/// Adds the line that begins a section.
#[component]
fn AddSection(value: RwSignal<String>, area: NodeRef<html::Textarea>) -> impl IntoView {
    let i18n = use_i18n();
    view! {
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
    }
    .into_any()
}

/// Has caption and lyrics written anew, or lyrics for the caption; what comes fills the form, with Undo.
#[component]
fn Write() -> impl IntoView {
    const WHY: &str = "format-why";
    let i18n = use_i18n();
    let silent = Form::expect().switch("instrumental");
    view! {
        <WishButton
            id="format"
            wish=Wish::Format
            icon="format"
            why=WHY
            words=word!(i18n, lm.format)
        />
        <Show when=move || !silent.get()>
            <WishButton
                id="write-lyrics"
                wish=Wish::WriteLyrics
                icon="pen"
                why=WHY
                words=word!(i18n, lm.write_lyrics)
            />
        </Show>
        <LmNeeded id=WHY />
    }
    .into_any()
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
        let element: &web_sys::HtmlElement = area.unchecked_ref();
        // Focus is a courtesy.
        let _ = element.focus();
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = area;
}
