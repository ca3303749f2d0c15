//! The tracks of lego, extract and complete, as chips: radios for one, ticks for several.

use acestep_domain::task::{TRACKS, TaskType};
use leptos::prelude::*;

use super::{
    numbers::{error_for, notes_for},
    words::Words,
};
use crate::{
    components::note::{Invalid, Notes},
    i18n::{t, t_string, use_i18n},
    live::live,
    state::{
        fields::{TRACKS_KEY, list, tick},
        form::Form,
    },
};

/// The name of a track.
pub fn name(i18n: Words, track: &str) -> &'static str {
    match track {
        "woodwinds" => t_string!(i18n, tasks.track.woodwinds),
        "brass" => t_string!(i18n, tasks.track.brass),
        "fx" => t_string!(i18n, tasks.track.fx),
        "synth" => t_string!(i18n, tasks.track.synth),
        "strings" => t_string!(i18n, tasks.track.strings),
        "percussion" => t_string!(i18n, tasks.track.percussion),
        "keyboard" => t_string!(i18n, tasks.track.keyboard),
        "guitar" => t_string!(i18n, tasks.track.guitar),
        "bass" => t_string!(i18n, tasks.track.bass),
        "drums" => t_string!(i18n, tasks.track.drums),
        "backing_vocals" => t_string!(i18n, tasks.track.backing_vocals),
        _ => t_string!(i18n, tasks.track.vocals),
    }
}

/// The chips. Voices and rhythm come first, as people look for them.
#[component]
pub fn Tracks(task: Memo<TaskType>) -> impl IntoView {
    let i18n = use_i18n();
    let several = Memo::new(move |_| task.get().needs().tracks);
    live(move || {
        let (key, label) = if several.get() {
            (
                TRACKS_KEY,
                t_string!(i18n, params.complete_track_classes.label),
            )
        } else {
            ("track_name", t_string!(i18n, params.track_name.label))
        };
        let chips = TRACKS
            .into_iter()
            .rev()
            .map(|track| {
                if several.get() {
                    view! { <Tick track /> }.into_any()
                } else {
                    view! { <Radio track /> }.into_any()
                }
            })
            .collect_view();
        view! {
            <section class="section" id="s-tracks">
                <fieldset class="section" aria-describedby=format!("{key}-error")>
                    <legend class="section__label">
                        {label} " "
                        {several
                            .get()
                            .then(|| {
                                view! {
                                    <span class="section__count">{t!(i18n, tasks.several)}</span>
                                }
                            })}
                    </legend>
                    // Sent also when nothing is ticked, so that nothing means nothing.
                    {several.get().then(|| view! { <input type="hidden" name=TRACKS_KEY value="" /> })}
                    <div class="chips">{chips}</div>
                </fieldset>
                <Invalid id=key error=error_for(key) />
                <Notes notes=notes_for(key) />
            </section>
        }
    })
}

#[component]
fn Radio(track: &'static str) -> impl IntoView {
    let i18n = use_i18n();
    let value = Form::expect().text("track_name");
    view! {
        <label class="chip">
            <input
                class="chip__input"
                type="radio"
                name="track_name"
                id=format!("track_name-{track}")
                value=track
                checked=value.with_untracked(|value| value == track)
                prop:checked=move || value.with(|value| value == track)
                on:change=move |_| value.set(track.to_owned())
            />
            {move || name(i18n, track)}
        </label>
    }
    .into_any()
}

#[component]
fn Tick(track: &'static str) -> impl IntoView {
    let i18n = use_i18n();
    let value = Form::expect().text(TRACKS_KEY);
    let ticked = move || value.with(|value| list(value).any(|own| own == track));
    let change = move |on: bool| {
        value.update(|value| {
            let all: Vec<&str> = list(value)
                .filter(|own| *own != track)
                .chain(on.then_some(track))
                .collect();
            *value = all.join(", ");
        });
    };
    view! {
        <label class="chip">
            <input
                class="chip__input"
                type="checkbox"
                name=tick(track)
                id=tick(track)
                value="true"
                checked=untrack(ticked)
                prop:checked=ticked
                on:change:target=move |event| change(event.target().checked())
            />
            {move || name(i18n, track)}
        </label>
    }
    .into_any()
}
