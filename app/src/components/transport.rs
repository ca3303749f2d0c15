//! The player of the page. It holds the one `<audio>` element and keeps [`Player`] true.

use leptos::prelude::*;

use crate::player::{Player, audio_url};

/// Hidden before the first play.
#[component]
pub fn Transport() -> impl IntoView {
    let player = Player::expect();
    let source = Memo::new(move |_| {
        player
            .song
            .with(|song| song.as_ref().map(|song| audio_url(&song.id)))
    });
    view! {
        <audio
            node_ref=player.audio
            src=move || source.get()
            preload="metadata"
            on:play=move |_| player.playing.set(true)
            on:pause=move |_| player.playing.set(false)
        ></audio>
    }
}
