//! One song: player, figures, what can be done with it.

pub mod actions;
pub mod begin;
pub mod find_out;
pub mod listen;
pub mod recreate;

use acestep_domain::{
    audio_codes,
    generation::{InferMethod, clamp::minutes},
    library::Song,
};
use leptos::prelude::*;

use self::{
    actions::{Favourite, More, file_name},
    begin::BeginItems,
    find_out::FoundOut,
};
use super::words;
use crate::{
    components::{
        figures::{Loudness, Peak},
        icon::Icon,
        note::Notes,
        wave::Wave,
    },
    i18n::{t, t_string, use_i18n},
    live::live,
    player::{Player, audio_url},
    state::{StudioStore, loras::in_words, song_action::SongAction},
};

/// Play or Pause of one song.
#[component]
pub fn PlayKey(
    /// The song.
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let store = StudioStore::expect();
    let id = song.id.clone();
    let playing = Memo::new(move |_| player.is_current(&id) && player.playing.get());
    let word = move || {
        if playing.get() {
            t_string!(i18n, common.pause)
        } else {
            t_string!(i18n, common.play)
        }
    };
    let name = song.title.clone();
    view! {
        <button
            type="button"
            class="key needs-script"
            aria-pressed=move || playing.get().to_string()
            aria-label=move || format!("{} {name}", word())
            on:click=move |_| {
                player.queue.set(store.songs.get_untracked());
                player.toggle(&song);
            }
        >
            <Icon name=Signal::derive(move || if playing.get() { "pause" } else { "play" }) />
            {live(word)}
        </button>
    }
    .into_any()
}

#[component]
fn SongWave(song: Song, #[prop(optional)] slim: bool) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let id = song.id.clone();
    let position = Memo::new(move |_| {
        if player.is_current(&id) {
            player.position.get()
        } else {
            0.0
        }
    });
    let (peaks, duration_secs, name) = (song.peaks.clone(), song.duration_secs, song.title.clone());
    view! {
        <Wave
            peaks
            duration_secs
            position
            label=Signal::derive(move || t_string!(i18n, generate.position_in, title = name.clone()))
            on_seek=move |secs| player.seek(&song, secs)
            slim
        />
    }
    .into_any()
}

/// A song whole.
#[component]
pub fn Take(
    /// The song.
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let player = Player::expect();
    let heading = format!("take-{}", song.id);
    let label = heading.clone();
    let own = song.clone();
    let meta = move || words::meta(i18n, &own);
    let (id, length) = (song.id.clone(), song.duration_secs);
    let time = move || {
        let at = if player.is_current(&id) {
            player.position.get()
        } else {
            0.0
        };
        format!("{} / {}", minutes(at.floor()), minutes(length.round()))
    };
    let url = audio_url(&song.id);
    view! {
        <article class="take" aria-labelledby=label>
            <header class="take__head">
                <h3 class="take__title" id=heading>
                    <bdi>{song.title.clone()}</bdi>
                </h3>
                <span class="take__meta">{live(meta)}</span>
                <div class="take__head-tools">
                    <Favourite song=song.clone() />
                </div>
            </header>
            <div class="take__player needs-script">
                <PlayKey song=song.clone() />
                <SongWave song=song.clone() />
                <span class="take__time" dir="ltr">
                    {live(time)}
                </span>
            </div>
            <noscript inner_html=format!(
                "<audio controls preload=\"none\" src=\"{url}\"></audio>",
            )></noscript>
            <div class="take__foot">
                <Report song=song.clone() />
                <FoundOut song=song.clone() />
                <Notes notes=song.notes.clone() />
                <div class="take__actions" role="group" aria-label=move || t_string!(i18n, generate.use_take)>
                    <BeginItems
                        song=song.clone()
                        actions=SongAction::ON_A_TAKE
                    />
                    <a class="button button--small" href=url.clone() download=file_name(&song)>
                        <Icon name="download" />
                        {t!(i18n, generate.download)}
                    </a>
                    <More song=song.clone() />
                </div>
            </div>
        </article>
    }
    .into_any()
}

/// A song in one row.
#[component]
pub fn TakeRow(
    /// The song.
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let heading = format!("take-{}", song.id);
    let label = heading.clone();
    let own = song.clone();
    let meta = move || words::meta(i18n, &own);
    view! {
        <article class="take take--row" aria-labelledby=label>
            <PlayKey song=song.clone() />
            <div class="take__words">
                <h3 class="take__title" id=heading>
                    <bdi>{song.title.clone()}</bdi>
                </h3>
                <span class="take__meta">{live(meta)}</span>
            </div>
            <SongWave song=song.clone() slim=true />
            <dl class="report">
                <Peak report=song.report />
            </dl>
            <More song whole=true />
        </article>
    }
    .into_any()
}

/// Seed, level, peak and the values that were used.
#[component]
fn Report(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let seed = song.seed;
    let method = match song.params.infer_method {
        InferMethod::Ode => "ODE",
        InferMethod::Sde => "SDE",
    };
    let wrote = song
        .plan
        .as_ref()
        .map(|plan| words::plan_facts_beside(plan, &song.params))
        .filter(|facts| !facts.is_empty())
        .map(|facts| facts.join(", "));
    let codes = audio_codes::parse(&song.audio_codes).map_or(0, |codes| codes.len());
    let text = StoredValue::new(song.audio_codes);
    let models = match song.provenance.lm {
        Some(lm) => format!("{} + {lm}", song.provenance.model),
        None => song.provenance.model,
    };
    let (steps, shift) = (song.provenance.steps, format!("{:.1}", song.params.shift));
    let used = move || {
        t_string!(
            i18n,
            generate.sampler_now,
            n = steps,
            shift = shift.clone(),
            method = method
        )
    };
    view! {
        <dl class="report">
            <div class="report__item">
                <dt>{t!(i18n, params.seed.label)}</dt>
                <dd>
                    {seed}
                    " "
                    <button
                        type="button"
                        class="report__copy needs-script"
                        aria-label=move || t_string!(i18n, generate.copy_seed, seed = seed)
                        on:click=move |_| copy(&seed.to_string())
                    >
                        {t!(i18n, common.copy)}
                    </button>
                </dd>
            </div>
            <Loudness report=song.report />
            <Peak report=song.report />
            <div class="report__item">
                <dt>{t!(i18n, generate.used)}</dt>
                <dd>{live(used)}</dd>
            </div>
            {wrote
                .map(|what| {
                    view! {
                        <div class="report__item">
                            <dt>{t!(i18n, lm.wrote_label)}</dt>
                            <dd>
                                <bdi>{what}</bdi>
                            </dd>
                        </div>
                    }
                })}
            {(codes > 0)
                .then(|| {
                    view! {
                        <div class="report__item">
                            <dt>{t!(i18n, lm.codes)}</dt>
                            <dd>
                                {codes} " "
                                <button
                                    type="button"
                                    class="report__copy needs-script"
                                    aria-label=move || t_string!(i18n, lm.copy_codes)
                                    on:click=move |_| text.with_value(|text| copy(text))
                                >
                                    {t!(i18n, common.copy)}
                                </button>
                            </dd>
                        </div>
                    }
                })}
            {in_words(&song.provenance.loras)
                .map(|words| {
                    view! {
                        <div class="report__item">
                            <dt>{t!(i18n, loras.title)}</dt>
                            <dd>
                                <bdi>{words}</bdi>
                            </dd>
                        </div>
                    }
                })}
            <div class="report__item">
                <dt>{t!(i18n, generate.model)}</dt>
                <dd>
                    <bdi dir="ltr">{models}</bdi>
                </dd>
            </div>
        </dl>
    }
    .into_any()
}

fn copy(text: &str) {
    #[cfg(feature = "hydrate")]
    {
        // A browser that refuses leaves the clipboard as it is.
        let _ = window().navigator().clipboard().write_text(text);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = text;
}
