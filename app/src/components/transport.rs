//! The player of the page. It holds the one `<audio>` element and keeps [`Player`] true from its events;
//! keys and title appear with the first play.

use acestep_domain::number::decimal;
use leptos::prelude::*;

use crate::{
    components::{icon::Icon, wave::Wave},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    parts::PlayerBar,
    player::{Player, audio_url, clock},
};

/// Element and keys. Stands outside the pages, so a change of page does not stop the sound.
#[component]
pub fn Transport() -> impl IntoView {
    let player = Player::expect();
    player.wake();
    let read_position = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(audio) = player.audio.get_untracked() {
            player.position.set(audio.current_time());
        }
    };
    view! {
        <audio
            node_ref=player.audio
            preload="metadata"
            on:play=move |_| player.playing.set(true)
            on:pause=move |_| player.playing.set(false)
            on:ended=move |_| player.playing.set(false)
            on:timeupdate=read_position
            on:error=move |_| {
                player.playing.set(false);
                player.failed.set(true);
            }
        ></audio>
        <Show when=move || player.song.with(Option::is_some)>
            <PlayerBar />
        </Show>
    }
    .into_any()
}

/// The keys.
#[component]
pub fn Bar() -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let length = Memo::new(move |_| {
        player
            .song
            .with(|song| song.as_ref().map_or(0.0, |song| song.duration_secs))
    });
    // A new name or mark of the same song leaves its wave alone.
    let peaks = Memo::new(move |_| {
        player.song.with(|song| {
            song.as_ref()
                .map(|song| song.peaks.clone())
                .unwrap_or_default()
        })
    });
    let wave = move || {
        view! {
            <Wave
                slim=true
                peaks=peaks.get()
                duration_secs=length.get()
                position=player.position
                label=Signal::derive(move || t_string!(i18n, frame.position).to_owned())
                on_seek=move |secs| player.move_to(secs)
            />
        }
    };
    view! {
        <section class="transport" aria-label=move || t_string!(i18n, frame.player)>
            <Keys />
            <Now />
            {live(wave)}
            <span class="transport__time" dir="ltr">
                {move || format!("{} / {}", clock(player.position.get()), clock(length.get()))}
            </span>
            <Tools />
        </section>
    }
    .into_any()
}

#[component]
fn Keys() -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let playing = player.playing;
    view! {
        <div class="transport__keys" dir="ltr">
            <button
                type="button"
                class="key key--bare key--wide"
                disabled=move || !player.can_step(-1)
                on:click=move |_| {
                    player.step(-1);
                }
            >
                <Icon name="prev" />
                {t!(i18n, frame.previous)}
            </button>
            <button
                type="button"
                class="key key--bare transport__main"
                aria-pressed=move || playing.get().to_string()
                on:click=move |_| player.toggle_current()
            >
                <Icon name=Signal::derive(move || if playing.get() { "pause" } else { "play" }) />
                {move || {
                    if playing.get() {
                        t_string!(i18n, frame.pause)
                    } else {
                        t_string!(i18n, frame.play)
                    }
                }}
            </button>
            <button
                type="button"
                class="key key--bare"
                disabled=move || !player.can_step(1)
                on:click=move |_| {
                    player.step(1);
                }
            >
                <Icon name="next" />
                {t!(i18n, frame.next)}
            </button>
        </div>
    }
    .into_any()
}

/// Title and caption, or why nothing is heard.
#[component]
fn Now() -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let of = move |read: fn(&acestep_domain::library::Song) -> &str| {
        player.song.with(|song| {
            song.as_ref()
                .map(|song| read(song).to_owned())
                .unwrap_or_default()
        })
    };
    view! {
        <div class="transport__song">
            <p class="transport__title">
                <bdi>{move || of(|song| &song.title)}</bdi>
            </p>
            <Show
                when=move || player.failed.get()
                fallback=move || {
                    view! {
                        <p class="transport__line">
                            <bdi>{move || of(|song| &song.params.caption)}</bdi>
                        </p>
                    }
                }
            >
                <p class="note" role="alert">
                    <Icon name="warn" />
                    <span>{t!(i18n, frame.play_failed)}</span>
                </p>
            </Show>
        </div>
    }
}

#[component]
fn Tools() -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let percent = move || (player.volume.get() * 100.0).round();
    let file = move || {
        player.song.with(|song| {
            song.as_ref()
                .map(|song| audio_url(&song.id))
                .unwrap_or_default()
        })
    };
    view! {
        <div class="transport__tools">
            <button
                type="button"
                class="key key--bare"
                aria-pressed=move || player.looping.get().to_string()
                on:click=move |_| player.set_looping(!player.looping.get_untracked())
            >
                <Icon name="loop" />
                {t!(i18n, frame.loop_song)}
            </button>
            <a class="key key--bare key--wide" href=file download="" rel="external">
                <Icon name="download" />
                {t!(i18n, frame.download)}
            </a>
            <label class="field field--inline">
                <span class="field__label">
                    <Icon name="volume" />
                    {t!(i18n, frame.volume)}
                </span>
                <span class="slider transport__volume" style=move || format!("--_fill: {}%", percent())>
                    <input
                        class="slider__input"
                        type="range"
                        min="0"
                        max="100"
                        prop:value=move || percent().to_string()
                        value="100"
                        on:input=move |event| {
                            if let Some(percent) = decimal(&event_target_value(&event)) {
                                player.set_volume(percent / 100.0);
                            }
                        }
                    />
                </span>
            </label>
        </div>
    }
    .into_any()
}
