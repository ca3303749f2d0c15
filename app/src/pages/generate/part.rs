//! The part of the source that is made anew: on the wave, in numbers, and how firmly the rest is held.

use acestep_domain::{region::RepaintMode, task::TaskType};
use leptos::prelude::*;

use super::{
    numbers::{error_for, notes_for},
    sampler::Number,
};
use crate::{
    api::recordings::Recording,
    components::{
        field::TextInput,
        icon::Icon,
        note::{Invalid, Notes, Reason},
        recording_player::{Listening, Sound},
        region::{Region, Scale},
        segmented::Segmented,
        select::Choice,
    },
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    state::{StudioStore, fields::place_text, form::Form, song_action::extension_secs},
    word,
};

/// Id of the button that begins the part where the source is heard; the key `[` presses it.
pub const START_HERE: &str = "part-start-here";
/// The same of its end, and `]`.
pub const END_HERE: &str = "part-end-here";

/// Wave, handles, numbers; for a repaint also its mode.
#[component]
pub fn Part(source: Recording, task: Memo<TaskType>) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let store = StudioStore::expect();
    let listening = Listening::new();
    let (start, end) = (form.text("repainting_start"), form.text("repainting_end"));
    let max_secs = Memo::new(move |_| store.bounds().limits().0);
    let (url, length) = (source.audio_url(), source.duration_secs);
    let own = source.clone();
    let part = Memo::new(move |_| form.part(&own));
    // An extension has nothing to be heard before it is made.
    let behind = Memo::new(move |_| {
        let (from, to) = part.get();
        from.max(0.0) >= to.min(length)
    });
    let move_to = Callback::new(move |(from, to): (f64, f64)| {
        let before = part.get_untracked();
        if from != before.0 {
            start.set(place_text(from));
        }
        if to != before.1 {
            end.set(place_text(to));
        }
    });
    let peaks = StoredValue::new(source.peaks);
    view! {
        <Sound listening url />
        {move || {
            let extension_secs = extension_secs(length, max_secs.get());
            view! {
                <Region
                    label=word!(i18n, tasks.part.label)
                    from_label=word!(i18n, params.repainting_start.label)
                    to_label=word!(i18n, params.repainting_end.label)
                    peaks=peaks.get_value()
                    scale=Scale { secs: length, extension_secs }
                    part
                    text=place_text
                    position=listening.position
                    on_move=move_to
                />
            }
        }}
        <div class="region__row">
            <Place key="repainting_start" label=word!(i18n, params.repainting_start.label) value=start placeholder="0:00".to_owned() />
            <Place
                key="repainting_end"
                label=word!(i18n, params.repainting_end.label)
                value=end
                placeholder=place_text(length)
            />
            <Play listening part behind length />
            <button
                type="button"
                id=START_HERE
                class="button button--quiet needs-script"
                on:click=move |_| start.set(place_text(listening.position.get_untracked()))
            >
                {t!(i18n, tasks.part.start_here)}
            </button>
            <button
                type="button"
                id=END_HERE
                class="button button--quiet needs-script"
                on:click=move |_| end.set(place_text(listening.position.get_untracked()))
            >
                {t!(i18n, tasks.part.end_here)}
            </button>
            <button
                type="button"
                class="button button--quiet needs-script"
                on:click=move |_| {
                    start.set(place_text(0.0));
                    end.set(String::new());
                }
            >
                {t!(i18n, tasks.part.whole)}
            </button>
        </div>
        <PlaceNotes />
        <Show when=move || behind.get()>
            <Reason id="part-behind" text=word!(i18n, tasks.part.behind) />
        </Show>
        <p class="composer__note">
            <Icon name="extend" />
            <span>
                {move || {
                    if extension_secs(length, max_secs.get()) > 0.0 {
                        t_string!(i18n, tasks.part.extend_hint)
                    } else {
                        t_string!(i18n, tasks.part.longest)
                    }
                }}
            </span>
        </p>
        <Show when=move || task.get() == TaskType::Repaint>
            <Hold />
        </Show>
    }
    .into_any()
}

/// Plays the part of the source.
#[component]
fn Play(
    listening: Listening,
    part: Memo<(f64, f64)>,
    /// The part has nothing to be heard.
    behind: Memo<bool>,
    /// Seconds of the source.
    length: f64,
) -> impl IntoView {
    let i18n = use_i18n();
    let words = move || {
        if listening.playing.get() {
            t_string!(i18n, common.pause)
        } else {
            t_string!(i18n, tasks.part.play)
        }
    };
    view! {
        <button
            type="button"
            class="button needs-script"
            disabled=move || behind.get() && !listening.playing.get()
            aria-describedby="part-behind"
            aria-pressed=move || listening.playing.get().to_string()
            on:click=move |_| {
                if listening.playing.get_untracked() {
                    listening.pause();
                } else {
                    let (from, to) = part.get_untracked();
                    listening.play_part(from, to.min(length));
                }
            }
        >
            <Icon name=Signal::derive(move || {
                if listening.playing.get() { "pause" } else { "play" }
            }) />
            {live(words)}
        </button>
    }
    .into_any()
}

/// What is said about the two places.
#[component]
fn PlaceNotes() -> impl IntoView {
    view! {
        <div class="region__notes">
            {["repainting_start", "repainting_end"]
                .map(|key| {
                    view! {
                        <Invalid id=key error=error_for(key) />
                        <Notes notes=notes_for(key) />
                    }
                })
                .collect_view()}
        </div>
    }
}

/// A place of the source as a number. What is said about it stands under both, where there is room.
#[component]
fn Place(
    key: &'static str,
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    placeholder: String,
) -> impl IntoView {
    let error = error_for(key);
    view! {
        <div class="field">
            <label class="field__label" for=key>
                {move || label.get()}
            </label>
            <TextInput id=key value placeholder error />
        </div>
    }
    .into_any()
}

/// How firmly a repaint holds what lies outside the part.
#[component]
fn Hold() -> impl IntoView {
    let i18n = use_i18n();
    let mode = Form::expect().text("repaint_mode");
    let choices = Signal::derive(move || {
        RepaintMode::ALL
            .map(|own| {
                let words = match own {
                    RepaintMode::Conservative => t_string!(i18n, tasks.hold.conservative),
                    RepaintMode::Balanced => t_string!(i18n, tasks.hold.balanced),
                    RepaintMode::Aggressive => t_string!(i18n, tasks.hold.aggressive),
                };
                (own.as_str().to_owned(), words.to_owned())
            })
            .to_vec() as Vec<Choice>
    });
    let balanced = Memo::new(move |_| {
        mode.with(|mode| {
            RepaintMode::from_name(mode).is_none_or(|mode| mode == RepaintMode::Balanced)
        })
    });
    view! {
        <div class="source__faders">
            <div class="field">
                <Segmented
                    id="repaint_mode"
                    value=mode
                    choices
                    legend=word!(i18n, params.repaint_mode.label)
                    with_legend=true
                />
                <Notes notes=notes_for("repaint_mode") />
                <p class="field__help">{t!(i18n, params.repaint_mode.help)}</p>
            </div>
            <Show when=move || balanced.get()>
                <Number
                    key="repaint_strength"
                    label=word!(i18n, params.repaint_strength.label)
                    help=word!(i18n, params.repaint_strength.help)
                />
            </Show>
        </div>
    }
    .into_any()
}
