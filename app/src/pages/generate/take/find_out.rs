//! What can be found out about a song: when its words are sung, how well it does what was asked. And what
//! was found out, on a take.

use acestep_domain::{
    generation::clamp::is_instrumental, job::JobKind, library::Song, timed_lyrics::Scores,
};
use leptos::prelude::*;

use super::listen::AskItem;
use crate::{
    api::{
        call::Call,
        jobs::{HowLong, Listen},
    },
    components::{
        icon::Icon,
        menu::Opened,
        note::Refused,
        scores::{ScoreList, figure},
        timed_lyrics::TimedLyrics,
    },
    i18n::{t, t_string, use_i18n},
    live::live,
    pages::generate::{
        runs::after,
        words::{self, Words},
    },
    state::StudioStore,
};

/// Time the lyrics and Score, each with why it cannot be done.
#[component]
pub fn FindOutItems(
    /// The song.
    song: Song,
) -> impl IntoView {
    let store = StudioStore::expect();
    let listen = Call::<Listen>::new();
    after(listen, store);
    let ask = Call::<HowLong>::new();
    let (id, opened) = (song.id.clone(), Opened::is_open());
    // Asked each time it is seen: the last run may have taught another pace.
    Effect::new(move |_| {
        if opened.get() {
            let song_id = id.clone();
            ask.dispatch(HowLong { song_id });
        }
    });
    view! {
        <FindOutItem listen ask kind=JobKind::LyricsTiming song=song.clone() />
        <FindOutItem listen ask kind=JobKind::Score song />
        <Answer listen />
    }
    .into_any()
}

#[component]
fn FindOutItem(
    listen: Call<Listen>,
    ask: Call<HowLong>,
    kind: JobKind,
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let sung = !is_instrumental(&song.params);
    let done = match kind {
        JobKind::LyricsTiming => !song.lyric_lines.is_empty(),
        _ => song.scores.is_some(),
    };
    let off = Memo::new(move |_| off_because(i18n, store, kind, sung));
    let name = Signal::derive(move || match kind {
        JobKind::LyricsTiming => t_string!(i18n, heard.time),
        _ => t_string!(i18n, heard.score),
    });
    let hint = Signal::derive(move || match kind {
        _ if done => t_string!(i18n, heard.again),
        JobKind::LyricsTiming => t_string!(i18n, heard.time_hint),
        _ => t_string!(i18n, heard.score_hint),
    });
    let takes = Signal::derive(move || {
        let secs = ask.value().with(|answer| {
            let known = answer.as_ref()?.as_ref().ok()?;
            let (_, secs) = known.iter().find(|(own, _)| *own == kind)?;
            Some(*secs)
        })?;
        Some(words::about(i18n, secs as f32))
    });
    view! { <AskItem listen kind id=song.id name hint off takes /> }.into_any()
}

/// Why the loaded models cannot find out `kind` about a song that is `sung`, or is not.
pub fn off_because(i18n: Words, store: StudioStore, kind: JobKind, sung: bool) -> Option<String> {
    if !store.is_ready() {
        return Some(t_string!(i18n, generate.start_first).to_owned());
    }
    let timed = store.times_lyrics();
    if kind == JobKind::Score {
        let reads_codes = store.loaded_lm().is_some_and(|lm| lm.has_codes);
        let can = reads_codes || (timed && sung);
        return (!can).then(|| t_string!(i18n, heard.off.score).to_owned());
    }
    if !sung {
        return Some(t_string!(i18n, heard.off.words).to_owned());
    }
    (!timed).then(|| {
        let name = store.status.with(|status| {
            let model = status.model.as_ref();
            model.map(|model| model.name.clone()).unwrap_or_default()
        });
        t_string!(i18n, heard.off.model, name = name)
    })
}

/// That it waits, or why it does not.
#[component]
fn Answer(listen: Call<Listen>) -> impl IntoView {
    let i18n = use_i18n();
    live(move || {
        listen.value().get().map(|answer| match answer {
            Ok(_) => view! {
                <p class="menu__text" role="status">
                    {t!(i18n, heard.queued)}
                </p>
            }
            .into_any(),
            Err(error) => view! { <Refused text=error.0.to_string() alert=true /> }.into_any(),
        })
    })
}

/// What was found out about `song`, as soon as it is: how it scored, and the lines behind a fold.
#[component]
pub fn FoundOut(
    /// The song.
    song: Song,
) -> impl IntoView {
    let store = StudioStore::expect();
    let id = song.id.clone();
    let stored = StoredValue::new(song);
    // A take is drawn once; what is found out comes later.
    let found = Memo::new(move |_| {
        let of = |song: &Song| (song.lyric_lines.clone(), song.scores.clone());
        store
            .songs
            .with(|songs| songs.iter().find(|own| own.id == id).map(of))
            .unwrap_or_else(|| stored.with_value(of))
    });
    live(move || {
        let (lyric_lines, scores) = found.get();
        let lines = (!lyric_lines.is_empty()).then(|| {
            let song = Song {
                lyric_lines,
                ..stored.get_value()
            };
            view! { <Lines song /> }
        });
        view! {
            {scores.map(|scores| view! { <Scored scores /> })}
            {lines}
        }
    })
}

#[component]
fn Lines(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let count = song.lyric_lines.len();
    view! {
        <details class="fold">
            <summary class="fold__head">
                <span class="fold__name">{t!(i18n, heard.timed)}</span>
                <span class="fold__now">
                    {move || t_string!(i18n, heard.timed_lines, n = count)}
                </span>
                <Icon name="down" />
            </summary>
            <TimedLyrics song />
        </details>
    }
    .into_any()
}

/// The scores in a fold, the foremost of them in its head.
#[component]
fn Scored(scores: Scores) -> impl IntoView {
    let i18n = use_i18n();
    let first = scores
        .global
        .or_else(|| scores.alignment.map(|alignment| alignment.dit_score));
    view! {
        <details class="fold">
            <summary class="fold__head">
                <span class="fold__name">{t!(i18n, heard.scores)}</span>
                <span class="fold__now" dir="ltr">
                    {first.map(figure)}
                </span>
                <Icon name="down" />
            </summary>
            <div class="fold__body fold__body--single">
                <ScoreList scores />
            </div>
        </details>
    }
    .into_any()
}
