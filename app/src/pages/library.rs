//! The library: every song that was kept, to be found, heard, named and used again. What is searched and
//! which song is open stand in the address, so a reload, a link and a browser without scripts show the same.

pub mod actions;
pub mod found_out;
pub mod language_model;
pub mod list;
pub mod place;
pub mod settings;
pub mod song;

use acestep_domain::library::Song;
use leptos::prelude::*;

use self::{list::SongColumn, place::Place, song::SongView};
use crate::{
    address::{Address, song_at},
    api::{
        ApiError,
        call::ask,
        songs::{GetSong, GetSongs},
    },
    components::icon::Icon,
    i18n::{t, use_i18n},
    player::Player,
    state::StudioStore,
    wire::ByPlace,
};

/// Songs of one page of the list.
const PAGE: usize = 50;

/// Songs of the list, and whether older ones exist.
pub type Found = Result<(Vec<Song>, bool), ApiError>;

/// The library.
#[component]
pub fn LibraryPage() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let Address { path, query } = Address::expect();
    let place = Memo::new(move |_| {
        let song = path.with(|path| song_at(path));
        query.with(|query| Place::from_address(song, query))
    });
    // New songs, and what is found out about one, reach the page as another list of latest songs.
    let changed = Memo::new(move |before: Option<&u32>| {
        store.songs.track();
        before.map_or(0, |number| number + 1)
    });
    let edits = RwSignal::new(0_u32);
    let version = Memo::new(move |_| (changed.get(), edits.get()));
    let list = Memo::new(move |_| place.with(Place::list));
    let found = Resource::<_, ByPlace>::new_with_options(
        move || (list.get(), version.get()),
        |(list, _)| async move { find(list).await },
        false,
    );
    let open = Memo::new(move |_| place.with(|place| place.song.clone()));
    let opened = Resource::<_, ByPlace>::new_with_options(
        move || (open.get(), version.get()),
        |(id, _)| async move {
            match id {
                Some(id) => Some(ask(GetSong { id }).await),
                None => None,
            }
        },
        false,
    );
    provide_context(Edits(edits));
    view! {
        <main
            class="library"
            id="main"
            data-view=move || if open.with(Option::is_some) { "song" } else { "list" }
        >
            <h1 class="visually-hidden">{t!(i18n, library.title)}</h1>
            <SongColumn place found />
            <Transition fallback=|| ()>
                {move || Suspend::new(async move {
                    let chosen = match opened.await {
                        Some(chosen) => Some(chosen),
                        None => first(found.await),
                    };
                    view! { <Chosen place chosen /> }
                })}
            </Transition>
        </main>
    }
    .into_any()
}

/// Counts the changes made here, so that list and song are read again at once.
#[derive(Debug, Clone, Copy)]
pub struct Edits(RwSignal<u32>);

impl Edits {
    pub fn expect() -> Self {
        expect_context()
    }

    /// Something was changed.
    pub fn note(self) {
        self.0.update(|edits| *edits += 1);
        StudioStore::expect().refresh();
    }
}

async fn find(list: place::List) -> Found {
    let limit = list.pages * PAGE;
    // One more tells whether there are older ones.
    let mut songs = ask(GetSongs {
        limit: limit + 1,
        offset: 0,
        query: list.query,
        favourite: list.favourite,
    })
    .await?
    .songs;
    let more = songs.len() > limit;
    songs.truncate(limit);
    Ok((songs, more))
}

/// On a wide screen the newest song of the list is open when none was chosen.
fn first(found: Found) -> Option<Result<Song, ApiError>> {
    found.ok()?.0.into_iter().next().map(Ok)
}

#[component]
fn Chosen(place: Memo<Place>, chosen: Option<Result<Song, ApiError>>) -> impl IntoView {
    let i18n = use_i18n();
    match chosen {
        Some(Ok(song)) => {
            Player::expect().update(std::slice::from_ref(&song));
            view! { <SongView place song /> }.into_any()
        }
        Some(Err(error)) => view! {
            <section class="song">
                <div class="empty">
                    <h2 class="empty__title">{t!(i18n, library.gone_title)}</h2>
                    <p class="empty__text">{error.to_string()}</p>
                    <div class="empty__actions">
                        <a class="button" href=move || place.with(Place::back)>
                            {t!(i18n, library.back)}
                        </a>
                    </div>
                </div>
            </section>
        }
        .into_any(),
        None => view! { <section class="song" aria-hidden="true"></section> }.into_any(),
    }
}

/// A failure where its cause stands.
#[component]
pub fn Problem(error: ApiError) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div class="notice notice--error" role="alert">
            <Icon name="error" />
            <div class="notice__body">
                <p class="notice__title">{t!(i18n, library.problem)}</p>
                <p class="notice__text">{error.0.message} " " {error.0.hint}</p>
            </div>
        </div>
    }
}
