//! How a song was scored: figures from 0 to 1, each with what it means.

use acestep_domain::timed_lyrics::Scores;
use leptos::prelude::*;

use crate::{
    i18n::{t, t_string, use_i18n},
    pages::generate::words,
    word,
};

/// Two digits say what can be told apart.
pub fn figure(score: f64) -> String {
    format!("{score:.2}")
}

/// Every score there is.
#[component]
pub fn ScoreList(
    /// The scores.
    scores: Scores,
) -> impl IntoView {
    let i18n = use_i18n();
    let Scores {
        global,
        caption,
        lyrics,
        metadata,
        alignment,
        ..
    } = scores;
    let mean =
        (!metadata.is_empty()).then(|| metadata.values().sum::<f64>() / metadata.len() as f64);
    let parts = move || {
        metadata
            .iter()
            .map(|(name, score)| format!("{} {}", words::part(i18n, name), figure(*score)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let item = |value: Option<f64>, name: Signal<String>, help: Signal<String>| {
        value.map(|value| view! { <Score value name help /> })
    };
    view! {
        <dl class="scores">
            {item(global, word!(i18n, heard.global), word!(i18n, heard.global_help))}
            {item(caption, word!(i18n, heard.caption), word!(i18n, heard.caption_help))}
            {item(lyrics, word!(i18n, heard.lyrics), word!(i18n, heard.lyrics_help))}
            {item(
                mean,
                word!(i18n, heard.metadata),
                Signal::derive(move || t_string!(i18n, heard.metadata_help, parts = parts())),
            )}
            {item(
                alignment.map(|it| it.dit_score),
                word!(i18n, heard.sung),
                word!(i18n, heard.sung_help),
            )}
            {item(
                alignment.map(|it| it.lm_score),
                word!(i18n, heard.followed),
                word!(i18n, heard.followed_help),
            )}
        </dl>
        <p class="field__help">
            {t!(i18n, heard.scores_text)} " "
            {move || who(scores.lm.as_deref(), scores.model.as_deref())
                .map(|who| t_string!(i18n, heard.by, who = who))}
        </p>
    }
    .into_any()
}

/// The models that listened.
fn who(lm: Option<&str>, model: Option<&str>) -> Option<String> {
    let named: Vec<&str> = model.into_iter().chain(lm).collect();
    (!named.is_empty()).then(|| named.join(" + "))
}

#[component]
fn Score(value: f64, name: Signal<String>, help: Signal<String>) -> impl IntoView {
    view! {
        <div class="scores__item">
            <dt class="scores__name">{move || name.get()}</dt>
            <dd class="scores__figure" dir="ltr">
                {figure(value)}
            </dd>
            <dd class="scores__help">{move || help.get()}</dd>
        </div>
    }
}
