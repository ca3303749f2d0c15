//! Two takes beside each other: one clock, one of them heard, what was set differently. Which two stand in
//! the address, so a reload and a link show the same; the choice works without scripts.

pub mod differences;
pub mod keys;

use acestep_domain::library::Song;
use leptos::prelude::*;

use self::{differences::differences, keys::Keys};
use crate::{
    address::{Address, COMPARE, GENERATE, LIBRARY},
    api::{
        ApiError,
        call::ask,
        songs::{GetSong, GetSongs},
    },
    components::{
        figures::{Loudness, Peak},
        note::Refused,
        wave::Wave,
    },
    deck::{Deck, Side},
    i18n::{t, t_string, use_i18n},
    pages::generate::words,
    player::{Player, audio_url, clock},
};

/// Songs to choose from: the latest.
const CHOICES: usize = 100;
/// Id of the key that plays; Space presses it.
pub const PLAY: &str = "compare-play";
/// Id of the button of the side that is not heard; B presses it.
pub const OTHER: &str = "compare-other";

/// What the page shows: the songs to choose from, and the two.
type Found = Result<(Vec<Song>, Option<(Song, Song)>), ApiError>;

/// Address of a comparison.
pub fn address(a: &str, b: &str) -> String {
    format!("{COMPARE}?a={a}&b={b}")
}

/// The page.
#[component]
pub fn ComparePage() -> impl IntoView {
    let i18n = use_i18n();
    let query = Address::expect().query;
    let chosen = Memo::new(move |_| query.with(|query| (query.get("a"), query.get("b"))));
    let found = Resource::<_, crate::wire::ByPlace>::new_with_options(
        move || chosen.get(),
        |(a, b)| find(a, b),
        false,
    );
    #[cfg(feature = "ssr")]
    let response = use_context::<leptos_axum::ResponseOptions>();
    view! {
        <main class="compare" id="main">
            <h1 class="compare__title">{t!(i18n, compare.title)}</h1>
            <Transition fallback=|| ()>
                {move || {
                    #[cfg(feature = "ssr")]
                    let response = response.clone();
                    Suspend::new(async move {
                    let found = found.await;
                    #[cfg(feature = "ssr")]
                    if let (Err(ApiError(error)), Some(response)) = (&found, response)
                        && error.code == "not_found"
                    {
                        response.set_status(axum::http::StatusCode::NOT_FOUND);
                    }
                    match found {
                        Ok((choices, pair)) => view! { <Comparison choices pair /> }.into_any(),
                        Err(error) => {
                            view! {
                                <Refused text=error.0.to_string() alert=true />
                            }
                                .into_any()
                        }
                    }
                })}}
            </Transition>
        </main>
    }
    .into_any()
}

/// The songs of the address; what it leaves open is the latest that is not taken.
async fn find(a: Option<String>, b: Option<String>) -> Found {
    let mut choices = ask(GetSongs {
        limit: CHOICES,
        offset: 0,
        query: String::new(),
        favourite: false,
    })
    .await?
    .songs;
    let mut pair = Vec::new();
    for id in [a, b].into_iter().flatten().filter(|id| !id.is_empty()) {
        let own = match choices.iter().find(|own| own.id == id) {
            Some(own) => own.clone(),
            None => {
                let own = ask(GetSong { id }).await?;
                choices.push(own.clone());
                own
            }
        };
        pair.push(own);
    }
    for own in &choices {
        if pair.len() < 2 && pair.iter().all(|other: &Song| other.id != own.id) {
            pair.push(own.clone());
        }
    }
    let mut pair = pair.into_iter();
    Ok((choices, pair.next().zip(pair.next())))
}

#[component]
fn Comparison(choices: Vec<Song>, pair: Option<(Song, Song)>) -> impl IntoView {
    let i18n = use_i18n();
    let Some((a, b)) = pair else {
        return view! {
            <div class="empty">
                <p class="empty__title">{t!(i18n, compare.empty_title)}</p>
                <p class="empty__text">{t!(i18n, compare.empty_text)}</p>
                <div class="empty__actions">
                    <a class="button" href=GENERATE>
                        {t!(i18n, common.generate)}
                    </a>
                </div>
            </div>
        }
        .into_any();
    };
    let deck = Deck::new(a.clone(), b.clone());
    // One thing sounds at a time.
    let player = Player::expect();
    Effect::new(move |_| {
        if deck.playing.get() {
            player.pause();
        }
    });
    Effect::new(move |_| {
        if player.playing.get() {
            deck.pause();
        }
    });
    view! {
        <Choices choices a=a.id.clone() b=b.id.clone() />
        <div class="compare__sides">
            <SideCard side=Side::A song=a.clone() deck />
            <SideCard side=Side::B song=b.clone() deck />
        </div>
        <Keys a=a.clone() b=b.clone() deck />
        <Differences a b />
    }
    .into_any()
}

/// Which two: a plain form, so that it works without scripts; with them a choice acts at once.
#[component]
fn Choices(choices: Vec<Song>, a: String, b: String) -> impl IntoView {
    let i18n = use_i18n();
    let here = Address::expect();
    let go = {
        let (a, b) = (a.clone(), b.clone());
        move |side: Side, id: String| {
            let to = match side {
                Side::A => address(&id, &b),
                Side::B => address(&a, &id),
            };
            here.refine(&to);
        }
    };
    let select = |side: Side, name: &'static str, chosen: String| {
        let go = go.clone();
        let options = choices
            .iter()
            .map(|song| {
                let (id, is_chosen) = (song.id.clone(), song.id == chosen);
                let words = format!(
                    "{} · {} · {}",
                    words::isolated(&song.title),
                    song.seed,
                    clock(song.duration_secs)
                );
                view! {
                    <option value=id selected=is_chosen>
                        {words}
                    </option>
                }
            })
            .collect_view();
        let id = format!("compare-{name}");
        view! {
            <div class="field">
                <label class="field__label" for=id.clone()>
                    {move || t_string!(i18n, compare.take, letter = side.letter())}
                </label>
                <select
                    class="field__input"
                    id=id
                    name=name
                    on:change:target=move |event| go(side, event.target().value())
                >
                    {options}
                </select>
            </div>
        }
    };
    view! {
        <form class="compare__choices" method="get" action=COMPARE>
            {select(Side::A, "a", a)}
            {select(Side::B, "b", b)}
            <noscript inner_html=format!(
                "<button class=\"button\" type=\"submit\">{}</button>",
                untrack(|| t_string!(i18n, compare.show)),
            )></noscript>
        </form>
    }
    .into_any()
}

/// One of the two: what it is, how it sounds.
#[component]
fn SideCard(side: Side, song: Song, deck: Deck) -> impl IntoView {
    let i18n = use_i18n();
    let heard = Memo::new(move |_| deck.side.get() == side);
    let heading = format!("compare-{}-title", side.letter());
    let labelled = heading.clone();
    let (peaks, duration_secs, name) = (song.peaks.clone(), song.duration_secs, song.title.clone());
    let meta = {
        let song = song.clone();
        move || words::meta(i18n, &song)
    };
    let plain = format!(
        "<audio controls preload=\"none\" src=\"{}\"></audio>",
        audio_url(&song.id)
    );
    view! {
        <article
            class="compare__side"
            aria-labelledby=labelled
            data-heard=move || heard.get().then_some("")
        >
            <header class="compare__head">
                <span class="compare__letter" aria-hidden="true">
                    {side.letter()}
                </span>
                <h2 class="compare__name" id=heading>
                    <span class="visually-hidden">{side.letter()} " "</span>
                    <a href=format!("{LIBRARY}/{}", song.id)>
                        <bdi>{song.title.clone()}</bdi>
                    </a>
                </h2>
                <span class="compare__meta">{meta}</span>
            </header>
            <div class="needs-script">
                <Wave
                    peaks
                    duration_secs
                    position=deck.position
                    label=Signal::derive(move || t_string!(i18n, generate.position_in, title = name.clone()))
                    on_seek=move |secs| {
                        deck.side.set(side);
                        deck.seek(secs);
                    }
                />
            </div>
            <noscript inner_html=plain></noscript>
            <dl class="report">
                <Loudness report=song.report />
                <Peak report=song.report />
            </dl>
        </article>
    }
    .into_any()
}

/// What was set differently.
#[component]
fn Differences(a: Song, b: Song) -> impl IntoView {
    let i18n = use_i18n();
    let pair = StoredValue::new((a, b));
    let rows = move || {
        let locale = i18n.get_locale();
        pair.with_value(|(a, b)| differences(a, b, locale))
    };
    view! {
        <section class="panel" aria-labelledby="differences">
            <header class="panel__head">
                <h2 class="panel__title" id="differences">
                    {t!(i18n, compare.differences)}
                </h2>
            </header>
            {move || {
                let rows = rows();
                if rows.is_empty() {
                    return view! {
                        <p class="panel__body">{t!(i18n, compare.same)}</p>
                    }
                        .into_any();
                }
                view! {
                    <table class="params compare__table">
                        <thead>
                            <tr>
                                <th scope="col">{t!(i18n, library.setting)}</th>
                                <th scope="col">"A"</th>
                                <th scope="col">"B"</th>
                            </tr>
                        </thead>
                        <tbody>
                            {rows
                                .into_iter()
                                .map(|row| {
                                    view! {
                                        <tr>
                                            <th scope="row">{row.name}</th>
                                            <td>
                                                <bdi>{row.a}</bdi>
                                            </td>
                                            <td>
                                                <bdi>{row.b}</bdi>
                                            </td>
                                        </tr>
                                    }
                                })
                                .collect_view()}
                        </tbody>
                    </table>
                }
                    .into_any()
            }}
        </section>
    }
    .into_any()
}
