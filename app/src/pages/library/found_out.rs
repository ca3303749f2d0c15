//! What was found out about a song: its lyrics with their times, as files as well, and its scores.

use acestep_domain::{
    library::Song,
    timed_lyrics::{LyricsFormat, Scores},
};
use leptos::prelude::*;

use crate::{
    components::{menu::Menu, scores::ScoreList, timed_lyrics::TimedLyrics},
    i18n::{t, t_string, use_i18n},
    word,
};

/// The lines, and their files; nothing until they are timed.
#[component]
pub fn TimedPanel(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    (!song.lyric_lines.is_empty()).then(|| {
        let id = song.id.clone();
        view! {
            <section class="panel" aria-labelledby="timed-title">
                <header class="panel__head">
                    <h3 class="panel__title" id="timed-title">
                        {t!(i18n, heard.timed)}
                    </h3>
                    <div class="panel__tools">
                        <LyricsMenu id />
                    </div>
                </header>
                <TimedLyrics song />
            </section>
        }
    })
}

/// A link for each kind of file; they work without a script.
#[component]
fn LyricsMenu(id: String) -> impl IntoView {
    let i18n = use_i18n();
    let name = move |format: LyricsFormat| match format {
        LyricsFormat::Lrc => t_string!(i18n, heard.lrc),
        LyricsFormat::Vtt => t_string!(i18n, heard.vtt),
        LyricsFormat::Srt => t_string!(i18n, heard.srt),
    };
    view! {
        <Menu
            label=word!(i18n, heard.save)
            icon="download"
            button_class="button button--quiet button--small"
        >
            {LyricsFormat::ALL
                .into_iter()
                .map(|format| {
                    let kind = format.as_str();
                    view! {
                        <a
                            class="menu__item"
                            href=format!("/api/v1/songs/{id}/lyrics.{kind}?download=1")
                            rel="external"
                            download=""
                        >
                            {move || name(format)}
                        </a>
                    }
                })
                .collect_view()}
        </Menu>
    }
    .into_any()
}

/// The scores; nothing until there are some.
#[component]
pub fn ScoresPanel(scores: Option<Scores>) -> impl IntoView {
    let i18n = use_i18n();
    scores.map(|scores| {
        view! {
            <section class="panel" aria-labelledby="scores-title">
                <header class="panel__head">
                    <h3 class="panel__title" id="scores-title">
                        {t!(i18n, heard.scores)}
                    </h3>
                </header>
                <div class="panel__body">
                    <ScoreList scores />
                </div>
            </section>
        }
    })
}
