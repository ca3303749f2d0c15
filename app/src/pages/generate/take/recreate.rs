//! Makes a song once more, to the same sound.

use acestep_domain::library::Song;
use leptos::prelude::*;

use crate::{
    api::{
        call::{Call, CallForm},
        jobs::Recreate,
    },
    components::{menu::open_round, note::Refused},
    i18n::{t, t_string, use_i18n},
    pages::generate::runs::after,
    state::{
        StudioStore,
        loras::{Adapters, Obstacle},
    },
};

/// The line of a menu. Another model would make another song, so it must be the one that is loaded, and
/// the adapters must be there.
#[component]
pub fn RecreateItem(
    /// The song.
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let recreate = Call::<Recreate>::new();
    after(recreate, store);
    let adapters = Adapters::expect();
    let (made_by, loras) = (song.provenance.model, song.provenance.loras);
    let off = Memo::new(move |_| {
        let loaded = store
            .status
            .with(|status| status.model.as_ref().map(|model| model.name.clone()));
        match loaded {
            None => Some(t_string!(i18n, generate.start_first).to_owned()),
            Some(loaded) if loaded != made_by => Some(t_string!(
                i18n,
                tasks.action.other_model,
                name = made_by.clone(),
                loaded = loaded
            )),
            Some(_) => match adapters.obstacle(&loras)? {
                Obstacle::Missing(name) => {
                    Some(t_string!(i18n, tasks.action.adapter_gone, name = name))
                }
                Obstacle::Unfit(name) => {
                    Some(t_string!(i18n, tasks.action.adapter_unfit, name = name))
                }
            },
        }
    });
    let why = format!("recreate-{}", song.id);
    let (described, told) = (why.clone(), why.clone());
    // The menu closed with the choice; why there is none stands in it.
    Effect::new(move |_| {
        if matches!(recreate.value().get(), Some(Err(_))) {
            open_round(&told);
        }
    });
    view! {
        <CallForm call=recreate>
            <input type="hidden" name="song_id" value=song.id />
            <button
                class="menu__item"
                type="submit"
                aria-describedby=described
                disabled=move || off.with(Option::is_some) || recreate.pending().get()
            >
                {t!(i18n, tasks.action.recreate)}
            </button>
        </CallForm>
        <p class="menu__why" id=why>
            {move || {
                off.get()
                    .unwrap_or_else(|| t_string!(i18n, tasks.action.recreate_hint).to_owned())
            }}
        </p>
        {move || {
            recreate
                .value()
                .get()
                .map(|answer| match answer {
                    Ok(_) => {
                        view! {
                            <p class="menu__text" role="status">
                                {t!(i18n, tasks.action.recreate_queued)}
                            </p>
                        }
                            .into_any()
                    }
                    Err(error) => {
                        view! {
                            <Refused text=error.0.to_string() alert=true />
                        }
                            .into_any()
                    }
                })
        }}
    }
    .into_any()
}
