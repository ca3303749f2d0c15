//! What was made: the latest run whole, older songs as rows.

use acestep_domain::{
    job::{Job, JobKind, JobState},
    library::Song,
};
use leptos::prelude::*;

use super::take::{Take, TakeRow};
use crate::{
    address,
    i18n::{t, use_i18n},
    live::{For, Show},
    state::StudioStore,
};

/// The latest run and the rows under it.
#[component]
pub fn Songs() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let parts = Memo::new(move |_| {
        let running = store.running().map(|job| job.id);
        split(&store.songs.get(), running.as_deref())
    });
    let none = Memo::new(move |_| {
        store.songs.with(Vec::is_empty) && store.jobs.with(|jobs| !jobs.iter().any(is_seen))
    });
    let latest = Memo::new(move |_| parts.with(|(latest, _)| !latest.is_empty()));
    let older = Memo::new(move |_| parts.with(|(_, older)| !older.is_empty()));
    view! {
        <Show when=move || none.get()>
            <Nothing />
        </Show>
        <Show when=move || latest.get()>
            <div class="runs__head">
                <h2 class="runs__title">{t!(i18n, generate.latest)}</h2>
            </div>
        </Show>
        <For each=move || parts.get().0 key=|song| song.id.clone() let:song>
            <Take song />
        </For>
        <Show when=move || older.get()>
            <div class="runs__head">
                <h2 class="runs__title">{t!(i18n, generate.earlier)}</h2>
                <div class="runs__tools">
                    <a class="button button--quiet button--small" href=address::LIBRARY>
                        {t!(i18n, generate.open_library)}
                    </a>
                </div>
            </div>
        </Show>
        <For each=move || parts.get().1 key=|song| song.id.clone() let:song>
            <TakeRow song />
        </For>
    }
    .into_any()
}

/// Nothing was made, nothing runs.
#[component]
pub fn Nothing() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div class="empty">
            <p class="empty__title">{t!(i18n, generate.empty_title)}</p>
            <p class="empty__text">{t!(i18n, generate.empty_text)}</p>
        </div>
    }
    .into_any()
}

/// The job has a place in the column.
fn is_seen(job: &Job) -> bool {
    let writes = job.kind != JobKind::Generate && !job.kind.is_kept_with_song();
    !job.state.is_final() || (writes && job.state == JobState::Done)
}

/// Songs of the latest finished run in the order of its takes, and all others; the running job's are
/// shown in its card.
fn split(songs: &[Song], running: Option<&str>) -> (Vec<Song>, Vec<Song>) {
    let done = songs
        .iter()
        .filter(|song| Some(song.job_id.as_str()) != running);
    let latest = done.clone().next().map(|song| song.job_id.clone());
    // While something runs its card is the whole story above; the rest are rows.
    let whole = |song: &&Song| running.is_none() && Some(&song.job_id) == latest.as_ref();
    let mut first: Vec<Song> = done.clone().filter(whole).cloned().collect();
    first.sort_by_key(|song| song.item);
    let rest = done.filter(|song| !whole(song)).cloned().collect();
    (first, rest)
}
