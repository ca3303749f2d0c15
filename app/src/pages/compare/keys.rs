//! The keys of a comparison: Play, which one is heard, how loud.

use acestep_domain::library::Song;
use leptos::prelude::*;

use super::{OTHER, PLAY};
use crate::{
    components::{icon::Icon, note::Refused, switch::Toggle},
    deck::{Deck, Side, matched_gains},
    i18n::{t, t_string, use_i18n},
    live::live,
    player::clock,
};

/// Play, the switch, the loudness.
#[component]
pub fn Keys(a: Song, b: Song, deck: Deck) -> impl IntoView {
    let i18n = use_i18n();
    let can_match = matched_gains(&a, &b).is_some();
    let length = deck.length_secs();
    let word = move || {
        if deck.playing.get() {
            t_string!(i18n, common.pause)
        } else {
            t_string!(i18n, common.play)
        }
    };
    let side = move |own: Side| {
        view! {
            <button
                type="button"
                class="key compare__switch"
                id=move || (deck.side.get() != own).then_some(OTHER)
                aria-pressed=move || (deck.side.get() == own).to_string()
                aria-label=move || t_string!(i18n, compare.hear, letter = own.letter())
                on:click=move |_| deck.side.set(own)
            >
                {own.letter()}
            </button>
        }
    };
    view! {
        <section class="compare__deck needs-script" aria-label=move || t_string!(i18n, compare.deck)>
            <div class="compare__keys" dir="ltr">
                <button
                    type="button"
                    class="key"
                    id=PLAY
                    aria-pressed=move || deck.playing.get().to_string()
                    on:click=move |_| deck.toggle()
                >
                    <Icon name=Signal::derive(move || {
                        if deck.loading.get() {
                            "spin"
                        } else if deck.playing.get() {
                            "pause"
                        } else {
                            "play"
                        }
                    }) />
                    {live(word)}
                </button>
                <div class="compare__ab" role="group" aria-label=move || t_string!(i18n, compare.which)>
                    {side(Side::A)}
                    {side(Side::B)}
                </div>
                <span class="take__time">
                    {move || format!("{} / {}", clock(deck.position.get()), clock(length))}
                </span>
            </div>
            <div class="compare__options">
                <Toggle
                    on=deck.matched
                    set=move |on| deck.matched.set(on)
                    id="compare-matched"
                    off=!can_match
                    described_by="compare-matched-why"
                >
                    {t!(i18n, compare.matched)}
                </Toggle>
                <p class="compare__hint" id="compare-matched-why">
                    {move || {
                        if can_match {
                            t_string!(i18n, compare.matched_hint)
                        } else {
                            t_string!(i18n, compare.unmeasured)
                        }
                    }}
                </p>
                <p class="compare__hint">{t!(i18n, compare.keys)}</p>
            </div>
            <div role="alert">
                {move || {
                    deck.trouble
                        .get()
                        .map(|error| {
                            view! {
                                <Refused text=error.to_string() />
                            }
                        })
                }}
            </div>
        </section>
    }
    .into_any()
}
