//! What was put into the form, in one note with Undo.

use leptos::prelude::*;

use super::{dropped::Dropped, words::isolated};
use crate::{
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{fill::FilledBy, form::Form, song_action::SongAction},
};

/// The note; it stays until it is closed, undone or followed by the next.
#[component]
pub fn FilledNote() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let by = Memo::new(move |_| {
        form.filled
            .with(|filled| filled.as_ref().map(|filled| filled.by))
    });
    let dropped = Dropped::expect();
    let text = move |by| {
        let words = match by {
            FilledBy::File => {
                // Named, since the file after it may have been one that could not be used.
                let name = isolated(&dropped.settings_of());
                return t_string!(i18n, takes.filled, name = name);
            }
            FilledBy::Format => t_string!(i18n, lm.filled.format),
            FilledBy::Sample => t_string!(i18n, lm.filled.sample),
            FilledBy::Lyrics => t_string!(i18n, lm.filled.lyrics),
            FilledBy::Understand => t_string!(i18n, lm.filled.understand),
            FilledBy::Codes => t_string!(i18n, lm.filled.codes),
            FilledBy::Song => t_string!(i18n, lm.filled.song),
            FilledBy::Reset => t_string!(i18n, generate.unseen.was_reset),
            FilledBy::Action(SongAction::Remix) => t_string!(i18n, tasks.filled.remix),
            FilledBy::Action(SongAction::Repaint) => t_string!(i18n, tasks.filled.repaint),
            FilledBy::Action(SongAction::Extend) => t_string!(i18n, tasks.filled.extend),
            FilledBy::Action(SongAction::Extract) => t_string!(i18n, tasks.filled.extract),
            FilledBy::Action(SongAction::Reference) => t_string!(i18n, tasks.filled.reference),
        };
        words.to_owned()
    };
    view! {
        <div class="composer__filled" role="status">
            <Show when=move || form.awaited.with(Option::is_some)>
                <p class="note note--info">
                    <Icon name="spin" class="icon--spin" />
                    <span>{t!(i18n, lm.filled.awaited)}</span>
                </p>
            </Show>
            {move || {
                by.get()
                    .map(|by| {
                        view! {
                            <p class="note note--info">
                                <Icon name="info" />
                                <span>{text(by)}</span>
                                <button
                                    type="button"
                                    class="note__action"
                                    on:click=move |_| form.undo()
                                >
                                    {t!(i18n, lm.undo)}
                                </button>
                                <button
                                    type="button"
                                    class="note__action"
                                    on:click=move |_| form.filled.set(None)
                                >
                                    {t!(i18n, lm.close)}
                                </button>
                            </p>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}
