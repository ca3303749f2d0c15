//! What the language model had to do with a song, and what it can hear in it.

use acestep_domain::library::Song;
use leptos::prelude::*;

use crate::{
    components::menu::Menu,
    i18n::{t, t_string, use_i18n},
    pages::generate::{
        take::listen::ListenItems,
        written::{CodesText, PlanText},
    },
};

/// Caption, words and codes it wrote; nothing is drawn where it took no part.
#[component]
pub fn Wrote(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let took_part = song.plan.is_some() || !song.audio_codes.is_empty();
    took_part.then(|| {
        view! {
            <section class="panel" aria-labelledby="wrote-title">
                <header class="panel__head">
                    <h3 class="panel__title" id="wrote-title">
                        {t!(i18n, lm.written)}
                    </h3>
                </header>
                <div class="panel__body written__content">
                    {song.plan.map(|plan| view! { <PlanText plan /> })}
                    <CodesText codes=song.audio_codes />
                </div>
            </section>
        }
    })
}

/// Transcribe, codes of the song, its codes into the form.
#[component]
pub fn ListenMenu(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Menu
            label=Signal::derive(move || t_string!(i18n, lm.fold).to_owned())
            icon="format"
            button_class="button button--quiet button--small"
        >
            <ListenItems song />
        </Menu>
    }
    .into_any()
}
