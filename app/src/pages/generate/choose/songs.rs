//! Songs of the library, as a place that takes recordings offers them.

use std::time::Duration;

use acestep_domain::library::Song;
use leptos::{ev, leptos_dom::helpers::TimeoutHandle, prelude::*};

use super::{close, focus_place};
use crate::{
    api::{ApiError, recordings::Recording},
    components::{figures, note::Refused},
    i18n::{t, t_string, use_i18n},
    live::live,
    pages::generate::{take::PlayKey, uploading::Uploading, words},
    player::clock,
};

/// Quiet time before a search starts while typing.
const QUIET: Duration = Duration::from_millis(250);

/// Searches the library.
pub type FindSongs = Action<String, Result<Vec<Song>, ApiError>>;

/// The search over the list.
#[component]
pub(super) fn Search(id: &'static str, find: FindSongs) -> impl IntoView {
    let i18n = use_i18n();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let typed = move |event: ev::Event| {
        let query = event_target_value(&event);
        if let Some(timer) = timer.get_value() {
            timer.clear();
        }
        let search = move || {
            find.dispatch(query);
        };
        timer.set_value(set_timeout_with_handle(search, QUIET).ok());
    };
    let field = format!("{id}-search");
    view! {
        <div class="field">
            <label class="field__label" for=field.clone()>
                {t!(i18n, library.search)}
            </label>
            <input
                class="field__input"
                id=field
                type="search"
                dir="auto"
                autocomplete="off"
                placeholder=move || t_string!(i18n, library.search_hint)
                on:input=typed
                // Enter would send the form round it.
                on:keydown=move |event| {
                    if event.key() == "Enter" {
                        event.prevent_default();
                    }
                }
            />
        </div>
    }
    .into_any()
}

/// What tells a song from others of the same title.
fn about(i18n: words::Words, song: &Song) -> impl Fn() -> String + Clone + Send + 'static {
    let (n, seed) = (song.item + 1, song.seed);
    let mut rest = words::music(song);
    rest.push(figures::made_at(&song.created_at));
    let rest: Vec<String> = rest.iter().map(|part| words::isolated(part)).collect();
    move || {
        let take = t_string!(i18n, generate.take_n, n = n);
        let seed = format!("{} {seed}", t_string!(i18n, params.seed.label));
        format!("{take} · {seed} · {}", rest.join(" · "))
    }
}

/// What was found.
#[component]
pub(super) fn FoundSongs(
    found: Result<Vec<Song>, ApiError>,
    dialog: &'static str,
    uploading: Uploading,
) -> impl IntoView {
    let i18n = use_i18n();
    match found {
        Err(error) => view! {
            <Refused text=error.0.to_string() alert=true />
        }
        .into_any(),
        Ok(songs) if songs.is_empty() => {
            view! { <p class="section__count">{t!(i18n, tasks.no_song)}</p> }.into_any()
        }
        Ok(songs) => songs
            .into_iter()
            .map(|song| {
                let recording = Recording::from(&song);
                let (name, length) = (recording.name.clone(), clock(recording.duration_secs));
                let about = about(i18n, &song);
                view! {
                    <div class="choose__row">
                    <PlayKey song />
                    <button
                        type="button"
                        class="menu__item choose__take"
                        on:click=move |_| {
                            close(dialog);
                            uploading.take(&recording);
                            focus_place(dialog);
                        }
                    >
                        <span class="choose__words">
                            <bdi class="choose__name">{name}</bdi>
                            <span class="menu__hint">{live(about)}</span>
                        </span>
                        <span class="menu__hint" dir="ltr">
                            {length}
                        </span>
                    </button>
                    </div>
                }
            })
            .collect_view()
            .into_any(),
    }
}
