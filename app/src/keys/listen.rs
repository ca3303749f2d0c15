//! The browser's side of the keys: one listener on the window.

use std::time::Duration;

use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlFormElement, HtmlInputElement, KeyboardEvent};

use super::{Press, SingleKeys, Taken, Wish, wish};
use crate::{
    address::{Address, COMPARE, LIBRARY},
    api::{call::ask, jobs::Cancel, songs::UpdateSong},
    components::app_bar::KEYS_DIALOG,
    pages::{
        compare::{OTHER, PLAY},
        generate::part::{END_HERE, START_HERE},
    },
    player::Player,
    state::StudioStore,
};

/// How long the second key may follow the first.
const PREFIX: Duration = Duration::from_millis(1500);
/// Form of the Generation page.
const COMPOSER: &str = "composer";
/// Search field of the library.
const SEARCH: &str = "library-search";

/// Listens until the page goes.
pub(super) fn listen(keys: SingleKeys) {
    let player = Player::expect();
    let store = StudioStore::expect();
    let address = Address::expect();
    let prefix = StoredValue::new(false);
    let handle = window_event_listener(ev::keydown, move |event| {
        if event.default_prevented() || event.is_composing() {
            return;
        }
        let key = event.key();
        let found = wish(Press {
            key: &key,
            command: event.ctrl_key() || event.meta_key(),
            shift: event.shift_key(),
            alt: event.alt_key(),
            taken: taken(&event),
            after_prefix: prefix.get_value(),
            single: keys.on.get_untracked(),
        });
        prefix.set_value(found == Some(Wish::Prefix));
        let Some(found) = found else {
            return;
        };
        if act(found, player, store, address) {
            event.prevent_default();
        }
        if found == Wish::Prefix {
            set_timeout(
                move || {
                    prefix.try_set_value(false);
                },
                PREFIX,
            );
        }
    });
    on_cleanup(move || handle.remove());
}

/// Carries out a wish; false when there was nothing to do.
fn act(wish: Wish, player: Player, store: StudioStore, address: Address) -> bool {
    match wish {
        Wish::Generate => submit_composer(),
        Wish::Cancel => untrack(|| store.running()).is_some_and(|job| {
            spawn_local(async move {
                // A job that ended meanwhile needs no cancelling; the page shows its end.
                let _ = ask(Cancel { id: job.id }).await;
                store.refresh();
            });
            true
        }),
        Wish::Toggle if element(PLAY).is_some() => press(PLAY),
        Wish::Compare => {
            if !press(OTHER) {
                address.go(COMPARE);
            }
            true
        }
        Wish::Toggle if player.has_song() => {
            player.toggle_current();
            true
        }
        // Before the first play the latest take is the one that is meant.
        Wish::Toggle => begin(player, store),
        Wish::Step(1) if !player.has_song() => begin(player, store),
        Wish::Nudge(secs) => {
            player.has_song() && {
                player.nudge(secs);
                true
            }
        }
        Wish::Step(by) => player.step(by),
        Wish::PartStart => press(START_HERE),
        Wish::PartEnd => press(END_HERE),
        Wish::Favourite => player.song.get_untracked().is_some_and(|song| {
            spawn_local(async move {
                let mark = UpdateSong {
                    id: song.id,
                    title: None,
                    favourite: Some(!song.favourite),
                };
                if let Ok(song) = ask(mark).await {
                    player.song.set(Some(song));
                }
                store.refresh();
            });
            true
        }),
        Wish::Focus(id) => focus(id),
        Wish::Search => {
            if !focus(SEARCH) {
                address.go(LIBRARY);
                // The page is drawn by then; if not, the key is pressed again.
                set_timeout(
                    || {
                        focus(SEARCH);
                    },
                    Duration::from_millis(120),
                );
            }
            true
        }
        Wish::Help => element(KEYS_DIALOG)
            .and_then(|dialog| dialog.show_popover().ok())
            .is_some(),
        Wish::Prefix => false,
    }
}

/// Plays the latest song; false when there is none.
fn begin(player: Player, store: StudioStore) -> bool {
    let songs = store.songs.get_untracked();
    let Some(latest) = songs.first().cloned() else {
        return false;
    };
    player.queue.set(songs);
    player.toggle(&latest);
    true
}

fn element(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Presses the button of that id.
fn press(id: &str) -> bool {
    element(id).is_some_and(|element| {
        element.click();
        true
    })
}

fn focus(id: &str) -> bool {
    element(id).is_some_and(|element| element.focus().is_ok())
}

fn submit_composer() -> bool {
    element(COMPOSER)
        .and_then(|form| form.dyn_into::<HtmlFormElement>().ok())
        .is_some_and(|form| form.request_submit().is_ok())
}

/// What the focused element does with keys.
fn taken(event: &KeyboardEvent) -> Taken {
    let Some(target) = event
        .target()
        .and_then(|target| target.dyn_into::<HtmlElement>().ok())
    else {
        return Taken::Free;
    };
    if target.is_content_editable() {
        return Taken::Text;
    }
    if target.get_attribute("role").as_deref() == Some("slider") {
        return Taken::Arrows;
    }
    match target.tag_name().as_str() {
        "TEXTAREA" | "SELECT" => Taken::Text,
        "BUTTON" | "A" | "SUMMARY" => Taken::Pressable,
        "INPUT" => match target
            .dyn_ref::<HtmlInputElement>()
            .map(HtmlInputElement::type_)
            .as_deref()
        {
            Some("checkbox") => Taken::Pressable,
            Some("radio" | "range") => Taken::Arrows,
            _ => Taken::Text,
        },
        _ => Taken::Free,
    }
}
