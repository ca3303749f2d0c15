//! The list of songs with search and filter.

use std::time::Duration;

use acestep_domain::library::Song;
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*};

use super::{Found, Problem, place::Place};
use crate::{
    address::{Address, GENERATE, LIBRARY},
    components::{figures, icon::Icon},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    pages::generate::words,
    player::{Player, clock},
};

/// Id of the search field; the key `/` leads there.
pub const SEARCH: &str = "library-search";
/// Quiet time before a search starts while typing.
const QUIET: Duration = Duration::from_millis(250);

/// First column.
#[component]
pub fn SongColumn(
    place: Memo<Place>,
    found: Resource<Found, crate::wire::ByPlace>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <section class="library__list" aria-label=move || t_string!(i18n, library.songs)>
            <FilterBar place />
            <Transition fallback=|| ()>
                {move || Suspend::new(async move {
                    match found.await {
                        Err(error) => view! {
                            <div class="songs">
                                <Problem error />
                            </div>
                        }
                        .into_any(),
                        Ok((songs, _)) if songs.is_empty() => view! { <Nothing place /> }.into_any(),
                        Ok((songs, more)) => view! { <Songs place songs more /> }.into_any(),
                    }
                })}
            </Transition>
        </section>
    }
    .into_any()
}

/// Search and quick filters; a GET form, so the address says what is shown.
#[component]
fn FilterBar(place: Memo<Place>) -> impl IntoView {
    let i18n = use_i18n();
    let address = Address::expect();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let typed = move |event: leptos::ev::Event| {
        let query = event_target_value(&event);
        if let Some(timer) = timer.get_value() {
            timer.clear();
        }
        let search = move || {
            let to = Place {
                query,
                pages: 1,
                ..place.get_untracked()
            };
            address.refine(&to.address());
        };
        timer.set_value(set_timeout_with_handle(search, QUIET).ok());
    };
    let favourite = Memo::new(move |_| place.with(|place| place.favourite));
    let filtered =
        Memo::new(move |_| place.with(|place| place.favourite || !place.query.is_empty()));
    view! {
        <form
            method="get"
            action=LIBRARY
            class="filter-bar"
            role="search"
            on:submit=move |event| address.search(&event)
        >
            <div class="filter-bar__row">
                <div class="field filter-bar__search">
                    <label class="field__label" for=SEARCH>
                        {t!(i18n, library.search)}
                    </label>
                    <input
                        class="field__input"
                        id=SEARCH
                        name="q"
                        type="search"
                        dir="auto"
                        autocomplete="off"
                        placeholder=move || t_string!(i18n, library.search_hint)
                        value=move || place.with(|place| place.query.clone())
                        on:input=typed
                    />
                </div>
                <button class="button">{t!(i18n, library.search_do)}</button>
            </div>
            <div class="chips" role="group" aria-label=move || t_string!(i18n, library.filters)>
                <button
                    class="chip"
                    name="favourite"
                    value=move || if favourite.get() { "" } else { "1" }
                    aria-pressed=move || favourite.get().to_string()
                >
                    <Icon name="star-on" />
                    {t!(i18n, library.favourites)}
                </button>
                <Show when=move || filtered.get()>
                    <a class="button button--quiet button--small" href=LIBRARY>
                        {t!(i18n, library.clear)}
                    </a>
                </Show>
            </div>
        </form>
    }
    .into_any()
}

#[component]
fn Songs(place: Memo<Place>, songs: Vec<Song>, more: bool) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let first = songs.first().map(|song| song.id.clone());
    player.update(&songs);
    let beside = StoredValue::new(songs.clone());
    let rows = songs
        .into_iter()
        .map(|song| {
            let id = song.id.clone();
            let is_first = first.as_deref() == Some(id.as_str());
            let current = Memo::new(move |_| {
                place.with(|place| match &place.song {
                    Some(open) => *open == id,
                    None => is_first,
                })
            });
            view! { <Row place song current beside /> }
        })
        .collect_view();
    view! {
        <div class="songs" id="songs">
            {rows}
            <p class="songs__more">
                <Show when=move || more>
                    <a class="button" href=move || place.with(Place::longer)>
                        {t!(i18n, library.more)}
                    </a>
                </Show>
                <a
                    class="button button--quiet"
                    href=move || place.with(Place::archive)
                    rel="external"
                    download=""
                    title=move || t_string!(i18n, library.archive_hint)
                >
                    <Icon name="download" />
                    {t!(i18n, library.archive)}
                </a>
            </p>
        </div>
    }
    .into_any()
}

#[component]
fn Row(
    place: Memo<Place>,
    song: Song,
    current: Memo<bool>,
    beside: StoredValue<Vec<Song>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let id = song.id.clone();
    let playing = Memo::new(move |_| player.is_playing(&id));
    let stored = StoredValue::new(song.clone());
    let press = move |_| {
        player.queue.set(beside.get_value());
        stored.with_value(|song| player.toggle(song));
    };
    let href = {
        let id = song.id.clone();
        move || place.with(|place| place.with_song(&id))
    };
    let facts = words::music(&song).join(", ");
    let (seed, take) = (song.seed, song.item + 1);
    let made = figures::made_at(&song.created_at);
    let origin = move || {
        let take = t_string!(i18n, generate.take_n, n = take);
        format!(
            "{take} · {made} · {} {seed}",
            t_string!(i18n, params.seed.label)
        )
    };
    let title = song.title.clone();
    view! {
        <article class="song-row" aria-current=move || current.get().then_some("true")>
            <button
                type="button"
                class="key needs-script"
                aria-pressed=move || playing.get().to_string()
                aria-label=move || {
                    let what = if playing.get() {
                        t_string!(i18n, library.pause)
                    } else {
                        t_string!(i18n, library.play)
                    };
                    format!("{what} {title}")
                }
                on:click=press
            >
                <Icon name=Signal::derive(move || if playing.get() { "pause" } else { "play" }) />
                {move || {
                    if playing.get() {
                        t_string!(i18n, library.pause)
                    } else {
                        t_string!(i18n, library.play)
                    }
                }}
            </button>
            <div class="song-row__text">
                <a class="song-row__title" href=href>
                    <bdi>{song.title}</bdi>
                </a>
                <p class="song-row__caption">
                    <bdi>{song.params.caption}</bdi>
                </p>
                <p class="song-row__caption">
                    <bdi>{live(origin)}</bdi>
                </p>
            </div>
            <p class="song-row__facts">
                <strong>
                    {clock(song.duration_secs)}
                    {song.favourite.then(|| view! { " " <Icon name="star-on" /> })}
                </strong>
                <span>
                    <bdi dir="ltr">{facts}</bdi>
                </span>
            </p>
        </article>
    }
    .into_any()
}

/// Why the list is empty, and the way on.
#[component]
fn Nothing(place: Memo<Place>) -> impl IntoView {
    let i18n = use_i18n();
    let Place {
        query, favourite, ..
    } = place.get_untracked();
    let empty = query.is_empty() && !favourite;
    let title = move || {
        if empty {
            t_string!(i18n, library.empty_title)
        } else {
            t_string!(i18n, library.no_match_title)
        }
    };
    let only_favourites = query.is_empty();
    let text = move || match (empty, only_favourites) {
        (true, _) => t_string!(i18n, library.empty_text),
        (_, true) => t_string!(i18n, library.no_favourites_text),
        _ => t_string!(i18n, library.no_match_text),
    };
    let action = if empty {
        view! {
            <a class="button button--primary" href=GENERATE>
                {t!(i18n, library.empty_action)}
            </a>
        }
        .into_any()
    } else {
        view! {
            <a class="button" href=LIBRARY>
                {t!(i18n, library.clear)}
            </a>
        }
        .into_any()
    };
    view! {
        <div class="songs songs--empty">
            <div class="empty">
                <h2 class="empty__title">{live(title)}</h2>
                <p class="empty__text">{live(text)}</p>
                <div class="empty__actions">{action}</div>
            </div>
        </div>
    }
    .into_any()
}
