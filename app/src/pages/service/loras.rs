//! LoRA in the panel: adapters that act on every song which does not choose its own. Each button acts at
//! once, from the next song on; nothing of it waits for Apply.

use acestep_domain::lora::{DEFAULT_SCALE, LoraList, SCALE_RANGE};
use leptos::prelude::*;

use crate::{
    api::{
        ApiError,
        call::{Call, CallForm},
        loras::{LoadLora, UnloadLora},
    },
    components::{
        adapter::{AdapterFacts, AdapterProblem, RescanFolder, id_of},
        icon::Icon,
        note::{Notes, Refused},
    },
    i18n::{t, t_string, use_i18n},
    live::{For, Show},
    state::{StudioStore, loras::Adapters},
};

/// The group.
#[component]
pub fn Loras() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let adapters = Adapters::expect();
    let load = Call::<LoadLora>::new();
    let unload = Call::<UnloadLora>::new();
    let answer = RwSignal::new(None::<Result<LoraList, ApiError>>);
    let take = move |value: Option<Result<LoraList, ApiError>>| {
        let Some(value) = value else { return };
        if let Ok(list) = &value {
            adapters.set(list.clone());
            store.refresh();
        }
        answer.set(Some(value));
    };
    Effect::new(move |_| take(load.value().get()));
    Effect::new(move |_| take(unload.value().get()));
    let notes = Signal::derive(move || {
        answer.with(|answer| match answer {
            Some(Ok(list)) => list.notes.clone(),
            _ => Vec::new(),
        })
    });
    let names = Memo::new(move |_| {
        let all = adapters.all().into_iter().map(|own| own.name);
        all.collect::<Vec<String>>()
    });
    view! {
        <section class="service__group" aria-labelledby="service-loras">
            <h2 class="service__group-title" id="service-loras">
                {t!(i18n, loras.title)}
                <span class="field__aside">{t!(i18n, loras.also)}</span>
            </h2>
            <p class="adapters__whose">{t!(i18n, loras.lead)}</p>
            <div class="adapters adapters--cards">
                <For each=move || names.get() key=Clone::clone let:name>
                    <Adapter name load unload />
                </For>
                <Show when=move || names.with(Vec::is_empty)>
                    <p class="empty__text">{t!(i18n, loras.empty)}</p>
                </Show>
            </div>
            <div role="alert">
                {move || {
                    answer
                        .get()
                        .and_then(Result::err)
                        .map(|error| {
                            view! {
                                <Refused text=error.0.to_string() />
                            }
                        })
                }}
            </div>
            <Notes notes />
            <div class="adapters__tools needs-script">
                <RescanFolder />
            </div>
        </section>
    }
    .into_any()
}

/// One adapter: what it is, its scale, Load or Unload.
#[component]
fn Adapter(name: String, load: Call<LoadLora>, unload: Call<UnloadLora>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let adapters = Adapters::expect();
    let id = format!("service-lora-{}", id_of(&name));
    let why = format!("{id}-why");
    let (heading, field) = (format!("{id}-name"), format!("{id}-scale"));
    let (labelled, described, labels) = (heading.clone(), why.clone(), field.clone());
    let name = StoredValue::new(name);
    let entry = Memo::new(move |_| name.with_value(|name| adapters.find(name)));
    let loaded =
        Memo::new(move |_| entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.loaded)));
    let scale = Memo::new(move |_| {
        let scale = entry.with(|entry| entry.as_ref().and_then(|entry| entry.scale));
        scale.unwrap_or(DEFAULT_SCALE)
    });
    let reason = Memo::new(move |_| {
        let problem = entry.with(|entry| entry.as_ref().and_then(|entry| entry.problem.clone()));
        problem.or_else(|| {
            (!store.is_ready()).then(|| t_string!(i18n, generate.start_first).to_owned())
        })
    });
    let off = move || reason.with(Option::is_some) && !loaded.get();
    let (min, max) = SCALE_RANGE;
    view! {
        <div class="adapter adapter--service" role="group" aria-labelledby=labelled>
            <span class="adapter__name" id=heading>
                <bdi>{name.get_value()}</bdi>
                <Show when=move || loaded.get()>
                    <span class="badge">{t!(i18n, loras.loaded)}</span>
                </Show>
            </span>
            <AdapterFacts entry />
            <div class="adapter__buttons">
                <CallForm call=load attr:class="adapter__form">
                    <input type="hidden" name="name" value=name.get_value() />
                    <label class="field__label" for=labels>
                        {t!(i18n, loras.scale)}
                    </label>
                    <input
                        class="field__input adapter__number"
                        type="number"
                        id=field
                        name="scale"
                        min=min
                        max=max
                        step="0.05"
                        required
                        value=scale.get_untracked()
                        prop:value=move || {
                            loaded.track();
                            scale.get().to_string()
                        }
                    />
                    <button
                        class="button button--small"
                        type="submit"
                        aria-describedby=described
                        disabled=off
                    >
                        {move || {
                            if loaded.get() {
                                t_string!(i18n, loras.set_scale)
                            } else {
                                t_string!(i18n, loras.load)
                            }
                        }}
                    </button>
                </CallForm>
                <Show when=move || loaded.get()>
                    <CallForm call=unload>
                        <input type="hidden" name="name" value=name.get_value() />
                        <button class="button button--quiet button--small" type="submit">
                            <Icon name="x" />
                            {t!(i18n, loras.unload)}
                        </button>
                    </CallForm>
                </Show>
            </div>
            <AdapterProblem id=why reason />
        </div>
    }
    .into_any()
}
