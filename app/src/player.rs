//! The one player of the page: what is loaded, where it stands. The `<audio>` element lives in the
//! transport, which keeps [`Player::playing`] and [`Player::position`] true from the element's events.

use acestep_domain::library::Song;
use leptos::{html, prelude::*};

/// Shared signals of the player.
#[derive(Debug, Clone, Copy)]
pub struct Player {
    /// The song in the transport; none before the first play.
    pub song: RwSignal<Option<Song>>,
    /// Sound is coming out.
    pub playing: RwSignal<bool>,
    /// Seconds from the start.
    pub position: RwSignal<f64>,
    /// The element, in the transport.
    pub audio: NodeRef<html::Audio>,
}

impl Player {
    /// A player with nothing loaded.
    pub fn new() -> Self {
        Self {
            song: RwSignal::new(None),
            playing: RwSignal::new(false),
            position: RwSignal::new(0.0),
            audio: NodeRef::new(),
        }
    }

    /// The player of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// Whether `id` is the song in the transport.
    pub fn is_current(self, id: &str) -> bool {
        self.song
            .with(|song| song.as_ref().is_some_and(|song| song.id == id))
    }

    /// Plays `song` from its start, or pauses and goes on when it is loaded already.
    pub fn toggle(self, song: &Song) {
        if self
            .song
            .with_untracked(|now| now.as_ref().is_some_and(|now| now.id == song.id))
        {
            self.toggle_current();
        } else {
            self.position.set(0.0);
            self.song.set(Some(song.clone()));
            // The transport draws the element with the new source; it plays once it stands.
            request_animation_frame(move || self.play());
        }
    }

    /// Pauses or goes on.
    pub fn toggle_current(self) {
        if self.playing.get_untracked() {
            self.pause();
        } else {
            self.play();
        }
    }

    /// Starts the loaded song.
    pub fn play(self) {
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            // A refusal (no gesture yet, file gone) shows as "not playing".
            let _ = audio.play();
        }
    }

    /// Pauses.
    pub fn pause(self) {
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            let _ = audio.pause();
        }
    }

    /// Goes to `secs` of `song`, loading it first when needed.
    pub fn seek(self, song: &Song, secs: f64) {
        if !untrack(|| self.is_current(&song.id)) {
            self.song.set(Some(song.clone()));
        }
        self.position.set(secs);
        request_animation_frame(move || self.move_to(secs));
    }

    /// Goes to `secs` of the loaded song.
    pub fn move_to(self, secs: f64) {
        self.position.set(secs);
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_current_time(secs);
        }
    }
}

impl Default for Player {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a song's sound is.
pub fn audio_url(song_id: &str) -> String {
    format!("/api/v1/songs/{song_id}/audio")
}
