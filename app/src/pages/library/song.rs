//! One song: sound, figures, words, settings.

use acestep_domain::{
    generation::clamp::is_instrumental,
    library::{MadeFrom, Report, Song},
    task::TaskType,
};
use leptos::prelude::*;

use super::{
    actions::SongTools,
    found_out::{ScoresPanel, TimedPanel},
    language_model::Wrote,
    place::Place,
    settings::Settings,
};
use crate::{
    components::{
        copy_button::CopyButton,
        figures::{Loudness, Peak, made_at},
        icon::Icon,
        wave::Wave,
    },
    i18n::{t, t_string, use_i18n},
    live::live,
    player::{Player, audio_url, clock},
};

/// The song, open.
#[component]
pub fn SongView(place: Memo<Place>, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let task = song.params.task_type;
    let task_name = move || match task {
        TaskType::Text2music => t_string!(i18n, library.task_text2music),
        TaskType::Cover => t_string!(i18n, library.task_cover),
        TaskType::Repaint => t_string!(i18n, library.task_repaint),
        TaskType::Lego => t_string!(i18n, library.task_lego),
        TaskType::Extract => t_string!(i18n, library.task_extract),
        TaskType::Complete => t_string!(i18n, library.task_complete),
    };
    let number = song.item + 1;
    let made = made_at(&song.created_at);
    let model = song.provenance.model.clone();
    view! {
        <article class="song" id="song" aria-labelledby="song-title">
            <p class="song__back">
                <a class="button button--quiet button--small" href=move || place.with(Place::back)>
                    <Icon name="list" />
                    {t!(i18n, library.back)}
                </a>
            </p>
            <header class="song__head">
                <div>
                    <h2 class="song__title" id="song-title">
                        <bdi>{song.title.clone()}</bdi>
                    </h2>
                    <p class="song__sub">
                        {live(task_name)} " · " {t!(i18n, library.take, number = number)} " · "
                        <bdi dir="ltr">{made}</bdi> " · " <bdi dir="ltr">{model}</bdi>
                    </p>
                    <MadeFromLine made_from=song.made_from.clone() />
                </div>
                <SongTools place song=song.clone() />
            </header>
            <Listen song=song.clone() />
            <div class="song__cols">
                <TimedPanel song=song.clone() />
                <Words song=song.clone() />
                <ScoresPanel scores=song.scores.clone() />
                <Settings song=song.clone() />
                <Wrote song />
            </div>
        </article>
    }
    .into_any()
}

/// The recordings it was made from, as they were called then.
#[component]
fn MadeFromLine(made_from: Vec<MadeFrom>) -> impl IntoView {
    let i18n = use_i18n();
    let names = |field: &str| {
        let names: Vec<String> = made_from
            .iter()
            .filter(|own| own.field == field)
            .map(|own| own.name.clone())
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let (source, references) = (names("src_audio"), names("reference_audio"));
    (source.is_some() || references.is_some()).then(|| {
        view! {
            <p class="song__sub">
                {source
                    .map(|names| {
                        view! {
                            {t!(i18n, params.src_audio.label)}
                            ": "
                            <bdi>{names}</bdi>
                            " "
                        }
                    })}
                {references
                    .map(|names| {
                        view! {
                            {t!(i18n, params.reference_audio.label)}
                            ": "
                            <bdi>{names}</bdi>
                        }
                    })}
            </p>
        }
    })
}

/// Wave, key and what is heard, in figures.
#[component]
fn Listen(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let id = StoredValue::new(song.id.clone());
    let playing = Memo::new(move |_| id.with_value(|id| player.is_playing(id)));
    let position = Signal::derive(move || {
        if id.with_value(|id| player.is_current(id)) {
            player.position.get()
        } else {
            0.0
        }
    });
    let length = song.duration_secs;
    let (report, format) = (song.report, song.audio_format.clone());
    let bytes = song.size_bytes;
    let without_script = format!(
        "<audio controls preload=\"metadata\" src=\"{}\"></audio>",
        audio_url(&song.id)
    );
    let peaks = song.peaks.clone();
    let stored = StoredValue::new(song);
    let word = move || {
        if playing.get() {
            t_string!(i18n, library.pause)
        } else {
            t_string!(i18n, library.play)
        }
    };
    view! {
        <section class="song__player" aria-label=move || t_string!(i18n, library.listen)>
            <Wave
                attr:data-tall=""
                peaks=peaks
                duration_secs=length
                position
                label=Signal::derive(move || t_string!(i18n, library.position).to_owned())
                on_seek=move |secs| stored.with_value(|song| player.seek(song, secs))
            />
            <div class="song__player-row">
                <button
                    type="button"
                    class="key needs-script"
                    aria-pressed=move || playing.get().to_string()
                    on:click=move |_| stored.with_value(|song| player.toggle(song))
                >
                    <Icon name=Signal::derive(move || if playing.get() { "pause" } else { "play" }) />
                    {live(word)}
                </button>
                <noscript inner_html=without_script></noscript>
                <span class="take__time" dir="ltr">
                    {move || format!("{} / {}", clock(position.get()), clock(length))}
                </span>
                <Figures report format bytes />
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Figures(report: Report, format: String, bytes: u64) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <dl class="report">
            <Peak report />
            <Loudness report />
            <div class="report__item">
                <dt>{t!(i18n, library.file)}</dt>
                <dd>
                    <bdi dir="ltr">
                        {format!("{}, {:.1} MB", format.to_ascii_uppercase(), bytes as f64 / 1e6)}
                    </bdi>
                </dd>
            </div>
        </dl>
    }
    .into_any()
}

/// Caption and lyrics.
#[component]
fn Words(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let lyrics = song.params.lyrics.trim().to_owned();
    let caption = song.params.caption.clone();
    let instrumental = is_instrumental(&song.params);
    let text = Signal::stored(format!("{caption}\n\n{lyrics}").trim().to_owned());
    let words = if instrumental {
        view! { <p>{t!(i18n, library.lyrics_none)}</p> }.into_any()
    } else {
        view! {
            <p class="song__lyrics" dir="auto">
                {lyrics}
            </p>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="words-title">
            <header class="panel__head">
                <h3 class="panel__title" id="words-title">
                    {t!(i18n, library.lyrics)}
                </h3>
                <div class="panel__tools">
                    <CopyButton text />
                </div>
            </header>
            <div class="panel__body">{words}</div>
            <div class="panel__body panel__body--rule">
                <h4 class="field__label">{t!(i18n, library.caption)}</h4>
                <p dir="auto">{caption}</p>
            </div>
        </section>
    }
    .into_any()
}
