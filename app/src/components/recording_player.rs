//! Listens to a recording where it stands: key, wave, time. What else sounds on the page falls silent.

use leptos::{html, prelude::*};

use super::{icon::Icon, wave::Wave};
use crate::{
    api::recordings::Recording,
    i18n::{t_string, use_i18n},
    live::live,
    player::{Player, clock},
};

/// The sound of one recording. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    audio: NodeRef<html::Audio>,
    /// It sounds now.
    pub playing: RwSignal<bool>,
    /// Seconds from the start.
    pub position: RwSignal<f64>,
    /// It falls silent here.
    until_secs: RwSignal<Option<f64>>,
    player: Player,
}

impl Default for Listening {
    fn default() -> Self {
        Self::new()
    }
}

impl Listening {
    /// Silent, at the start.
    pub fn new() -> Self {
        let player = Player::expect();
        let own = Self {
            player,
            audio: NodeRef::new(),
            playing: RwSignal::new(false),
            position: RwSignal::new(0.0),
            until_secs: RwSignal::new(None),
        };
        Effect::new(move |_| {
            if player.playing.get() {
                own.pause();
            }
        });
        own
    }

    /// Pauses, or goes on to the end of the recording.
    pub fn toggle(self) {
        if self.playing.get_untracked() {
            self.pause();
        } else {
            self.until_secs.set(None);
            self.play();
        }
    }

    /// Plays from one second to another.
    pub fn play_part(self, from_secs: f64, until_secs: f64) {
        self.seek(from_secs.max(0.0));
        self.until_secs.set(Some(until_secs));
        self.play();
    }

    /// Goes to a second of the recording.
    pub fn seek(self, secs: f64) {
        self.position.set(secs);
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_current_time(secs);
        }
    }

    /// Falls silent.
    pub fn pause(self) {
        if let Some(audio) = self.audio.get_untracked() {
            // Nothing to pause is what was wanted.
            let _ = audio.pause();
        }
    }

    fn play(self) {
        self.player.pause();
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked()
            && let Ok(promise) = audio.play()
        {
            // A refusal shows as "not playing".
            crate::browser::let_refuse(&promise);
        }
    }

    fn moved(self, secs: f64) {
        self.position.set(secs);
        if self
            .until_secs
            .get_untracked()
            .is_some_and(|until| secs >= until)
        {
            self.pause();
        }
    }
}

/// The element that sounds; nothing of it is seen.
#[component]
pub fn Sound(
    /// What sounds.
    listening: Listening,
    /// Where it is.
    url: String,
) -> impl IntoView {
    view! {
        <audio
            src=url
            preload="metadata"
            node_ref=listening.audio
            on:play=move |_| listening.playing.set(true)
            on:pause=move |_| listening.playing.set(false)
            on:ended=move |_| listening.playing.set(false)
            on:timeupdate:target=move |event| listening.moved(event.target().current_time())
        ></audio>
    }
}

/// Key, wave and time.
#[component]
pub fn RecordingPlayer(
    /// What is heard.
    recording: Recording,
    /// Drawn low.
    #[prop(optional)]
    slim: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let listening = Listening::new();
    let length = recording.duration_secs;
    let url = recording.audio_url();
    let (spoken, name) = (recording.name.clone(), recording.name);
    let word = move || {
        if listening.playing.get() {
            t_string!(i18n, common.pause)
        } else {
            t_string!(i18n, common.play)
        }
    };
    view! {
        <div class="take__player needs-script">
            <Sound listening url />
            <button
                type="button"
                class="key"
                aria-pressed=move || listening.playing.get().to_string()
                aria-label=move || format!("{} {spoken}", word())
                on:click=move |_| listening.toggle()
            >
                <Icon name=Signal::derive(move || {
                    if listening.playing.get() { "pause" } else { "play" }
                }) />
                {live(word)}
            </button>
            <Wave
                peaks=recording.peaks
                duration_secs=length
                position=listening.position
                label=Signal::derive(move || {
                    t_string!(i18n, generate.position_in, title = name.clone())
                })
                on_seek=move |secs| listening.seek(secs)
                slim
            />
            <span class="take__time" dir="ltr">
                {move || format!("{} / {}", clock(listening.position.get()), clock(length))}
            </span>
        </div>
    }
    .into_any()
}
