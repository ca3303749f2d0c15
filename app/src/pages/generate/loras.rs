//! The fold LoRA: the adapters of the folder, each with a switch and a scale for the song to come.

use acestep_domain::lora::{DEFAULT_SCALE, LoraUse, SCALE_RANGE};
use leptos::prelude::*;

use super::{
    fold::Fold,
    folds::Fields,
    numbers::{error_for, notes_for},
};
use crate::{
    components::{
        adapter::{AdapterFacts, AdapterProblem, RescanFolder, id_of},
        icon::Icon,
        note::{Invalid, Notes},
        slider::{Range, Slider},
        switch::Toggle,
    },
    i18n::{t, t_string, use_i18n},
    live::{For, Show, live},
    state::{
        StudioStore,
        form::Form,
        loras::{Adapters, BY_HAND, KEY, in_words, scale_of, tick},
    },
    word,
};

/// Smallest move of a scale (ui.md 2.4).
const STEP: f64 = 0.05;

/// The fold.
#[component]
pub fn LoraFold() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let uses = Memo::new(move |_| form.loras_used(store));
    let now = Signal::derive(move || {
        uses.with(|uses| in_words(uses))
            .unwrap_or_else(|| t_string!(i18n, loras.none).to_owned())
    });
    view! {
        <Fold id="f-lora" keys=&["loras"] name=word!(i18n, loras.title) now fields=Fields::Lora />
    }
    .into_any()
}

/// The fold's fields.
#[component]
pub fn LoraFields() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let adapters = Adapters::expect();
    let text = form.text(KEY);
    let uses = Memo::new(move |_| form.loras_used(store));
    // Those of the folder, and those that the form names and nobody has.
    let names = Memo::new(move |_| {
        let mut names: Vec<String> = adapters.all().into_iter().map(|own| own.name).collect();
        let missing = uses.get().into_iter().map(|used| used.name);
        let missing: Vec<String> = missing.filter(|name| !names.contains(name)).collect();
        names.extend(missing);
        names
    });
    let empty = Memo::new(move |_| names.with(Vec::is_empty));
    let own = Memo::new(move |_| form.loras().is_some());
    let fixed = Memo::new(move |_| store.status.with(|status| status.service_mode));
    view! {
        <input type="hidden" id=KEY name=KEY value=text.get_untracked() prop:value=text />
        <noscript inner_html=format!(
            "<input type=\"hidden\" name=\"{BY_HAND}\" value=\"1\">",
        )></noscript>
        <div class="adapters fold__wide" role="group" aria-label=move || t_string!(i18n, loras.title)>
            <For each=move || names.get() key=Clone::clone let:name>
                <Adapter name uses fixed />
            </For>
            <Show when=move || empty.get()>
                <p class="empty__text">{t!(i18n, loras.empty)}</p>
            </Show>
        </div>
        <div class="adapters__foot fold__wide">
            <p class="adapters__whose">
                {move || {
                    if fixed.get() {
                        t_string!(i18n, loras.fixed)
                    } else if own.get() {
                        t_string!(i18n, loras.own)
                    } else {
                        t_string!(i18n, loras.as_loaded)
                    }
                }}
            </p>
            <div class="adapters__tools needs-script">
                <Show when=move || own.get()>
                    <button
                        type="button"
                        class="button button--quiet button--small"
                        on:click=move |_| form.follow_loras()
                    >
                        <Icon name="loop" />
                        {t!(i18n, loras.follow)}
                    </button>
                </Show>
                <RescanFolder />
            </div>
        </div>
        <div class="fold__wide">
            <Invalid id=KEY error=error_for(KEY) />
            <Notes notes=notes_for(KEY) />
            <p class="field__help">{t!(i18n, loras.help)}</p>
        </div>
    }
    .into_any()
}

/// One adapter: switch, what it is, scale.
#[component]
fn Adapter(name: String, uses: Memo<Vec<LoraUse>>, fixed: Memo<bool>) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let adapters = Adapters::expect();
    let id = format!("lora-{}", id_of(&name));
    let why = format!("{id}-why");
    let (tick, scale_name) = (tick(&name), scale_of(&name));
    let described = why.clone();
    let (scale_id, switch_id) = (format!("{id}-scale"), id);
    let name = StoredValue::new(name);
    let entry = Memo::new(move |_| name.with_value(|name| adapters.find(name)));
    let used = Memo::new(move |_| {
        name.with_value(|name| uses.with(|uses| uses.iter().find(|own| own.name == *name).cloned()))
    });
    let on = Memo::new(move |_| used.with(Option::is_some));
    // Off and on again keeps the scale.
    let last = RwSignal::new(DEFAULT_SCALE);
    let scale = Memo::new(move |_| used.with(|used| used.as_ref().map(|used| used.scale)));
    let shown = Memo::new(move |_| scale.get().unwrap_or_else(|| last.get()));
    let problem = Memo::new(move |_| match entry.get() {
        None => Some(t_string!(i18n, loras.missing).to_owned()),
        Some(entry) => entry.problem,
    });
    let off = Memo::new(move |_| fixed.get() || (problem.with(Option::is_some) && !on.get()));
    let switch = move |wanted: bool| {
        let mut all = uses.get_untracked();
        if let Some(scale) = scale.get_untracked() {
            last.set(scale);
        }
        name.with_value(|name| {
            all.retain(|own| own.name != *name);
            if wanted {
                all.push(LoraUse::new(name, last.get_untracked()));
            }
        });
        form.choose_loras(&all);
    };
    let moved = move |scale: f64| {
        let mut all = uses.get_untracked();
        name.with_value(|name| {
            for own in all.iter_mut().filter(|own| own.name == *name) {
                own.scale = scale;
            }
        });
        last.set(scale);
        form.choose_loras(&all);
    };
    let (min, max) = SCALE_RANGE;
    let figure = move || format!("{:.2}", shown.get());
    view! {
        <div class="adapter">
            <Toggle
                on
                set=switch
                id=switch_id
                name=tick
                off
                described_by=described
            >
                <bdi>{name.get_value()}</bdi>
            </Toggle>
            <AdapterFacts entry />
            <div class="adapter__scale">
                <Slider
                    id=scale_id
                    name=scale_name
                    label=Signal::derive(move || {
                        t_string!(i18n, loras.scale_of, name = name.get_value())
                    })
                    spoken=Signal::derive(figure)
                    range=Range { min, max, step: STEP }
                    value=shown
                    on_move=moved
                />
                <span class="adapter__figure" dir="ltr">
                    {live(figure)}
                </span>
            </div>
            <AdapterProblem id=why reason=problem />
        </div>
    }
    .into_any()
}
