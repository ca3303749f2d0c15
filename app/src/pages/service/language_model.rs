//! The 5 Hz language model: its switch, the models the tier allows, and the way past the tier.

use acestep_domain::{
    capabilities::{DeviceKind, LmEntry},
    generation::clamp::minutes,
    tier::{GpuTier, TIERS},
};
use leptos::prelude::*;

use super::{
    FORM,
    downloads::{DownloadControl, download_of, now},
    form::{Draft, OVER_TIER},
    models::size_text,
};
use crate::{
    components::{
        dialog::Dialog,
        icon::Icon,
        model_list::{ModelList, ModelRow},
        note::Notes as NoteLines,
    },
    i18n::{Locale, t, t_string, td_string, use_i18n},
    live::{Show, live},
    pages::service::options::{Switch, SwitchSpec},
    state::StudioStore,
};

/// Switch and list.
#[component]
pub fn LanguageModel(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let lms = Memo::new(move |_| store.status.with(|status| status.lms.clone()));
    let wants = draft.wants_lm();
    let none = Memo::new(move |_| lms.with(|lms| !lms.iter().any(|lm| lm.installed)));
    let loaded = Memo::new(move |_| store.loaded_lm());
    // What is so now, and what the switch will make of it.
    let state = move |locale: Locale| match loaded.get() {
        Some(lm) if wants.get() => Some(td_string!(locale, service.lm_loaded, name = lm.name)),
        Some(lm) => Some(td_string!(locale, service.lm_unloads, name = lm.name)),
        None if wants.get() && none.get() => {
            Some(td_string!(locale, service.lm_none_here).to_owned())
        }
        None => None,
    };
    // Above the tier is said at the model's own line.
    let notes = Memo::new(move |_| {
        let mut notes = draft.notes("lm_model_path").get();
        notes.retain(|note| note.code != "lm_over_tier");
        notes
    });
    let spec = SwitchSpec {
        field: "init_llm",
        on: wants.into(),
        off_because: Signal::derive(|| None),
        set: Callback::new(move |on| draft.config.update(|config| config.init_llm = Some(on))),
    };
    view! {
        <section class="service__group" aria-labelledby="language-model">
            <div class="service__group-title">
                <h2 id="language-model">{t!(i18n, service.lm_title)}</h2>
                <span class="field__aside">{t!(i18n, service.lm_aside)}</span>
            </div>
            <Switch spec label=Signal::derive(move || t_string!(i18n, service.init_llm).to_owned()) />
            <p class="field__help">{t!(i18n, service.init_llm_help)}</p>
            {move || {
                state(i18n.get_locale())
                    .map(|text| {
                        view! {
                            <p class="note note--info">
                                <Icon name="info" />
                                <span>{text}</span>
                            </p>
                        }
                    })
            }}
            <NoteLines notes />
            <ModelList label=Signal::derive(move || t_string!(i18n, service.lm_title).to_owned())>
                {move || {
                    lms.get()
                        .into_iter()
                        .enumerate()
                        .map(|(index, lm)| view! { <Row draft index lm /> })
                        .collect_view()
                }}
            </ModelList>
        </section>
    }
    .into_any()
}

/// Id of the dialog about line `index`.
fn dialog_id(index: usize) -> String {
    format!("lm-anyway-{index}")
}

#[component]
fn Row(draft: Draft, index: usize, lm: LmEntry) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let name = lm.name.clone();
    let chosen = Memo::new(move |_| {
        draft
            .settled
            .with(|(resolved, _)| resolved.lm_model_path.as_deref() == Some(name.as_str()))
    });
    let tier = Memo::new(move |_| store.status.with(|status| status.tier));
    let (installed, within, bytes) = (lm.installed, lm.within_tier, lm.size_bytes);
    let built_in = lm.built_in;
    let own = lm.name.clone();
    let confirmed = Memo::new(move |_| draft.config.with(|config| is_confirmed(config, &own)));
    let choose = move |name: String| {
        draft.config.update(|config| {
            config.lm_model_path = Some(name);
            config.lm_over_tier_confirmed = !within;
        });
    };
    let entry = StoredValue::new(lm.clone());
    let about = Signal::derive(move || {
        entry.with_value(|lm| about(lm, tier.get(), confirmed.get(), i18n.get_locale()))
    });
    let download = download_of(lm.name.clone());
    let off = Signal::derive(move || {
        let locale = i18n.get_locale();
        let coming = download.with(|download| Some(now(download.as_ref()?, locale)));
        entry.with_value(|lm| {
            let because = off_because(lm, confirmed.get(), locale)?;
            Some(coming.unwrap_or(because))
        })
    });
    let badge = move || {
        if built_in {
            t_string!(i18n, service.built_in)
        } else if installed {
            t_string!(i18n, service.installed)
        } else {
            t_string!(i18n, service.not_installed)
        }
    };
    let to_download = Memo::new(move |_| {
        let absent = entry.with_value(|lm| (!lm.installed).then(|| lm.name.clone()))?;
        store.status.with(|status| {
            let mut releases = status.downloadable.iter();
            let release = releases.find(|release| release.name == absent)?;
            Some(release.bytes)
        })
    });
    view! {
        <ModelRow id=format!("lm-{index}") group="lm_model_path" name=lm.name chosen on_choose=choose about off>
            <Show when=move || installed>
                <bdi dir="ltr">{move || size_text(bytes, i18n.get_locale())}</bdi>
            </Show>
            {move || match to_download.get() {
                Some(bytes) => {
                    let name = entry.with_value(|lm| lm.name.clone());
                    view! { <DownloadControl name bytes /> }.into_any()
                }
                None => view! { <span class="badge">{live(badge)}</span> }.into_any(),
            }}
            <Show when=move || installed && !within && !confirmed.get()>
                <button
                    type="button"
                    class="button button--quiet button--small"
                    popovertarget=dialog_id(index)
                >
                    {t!(i18n, service.use_anyway)}
                </button>
            </Show>
        </ModelRow>
    }
    .into_any()
}

fn is_confirmed(config: &acestep_domain::service::ServiceConfig, name: &str) -> bool {
    config.lm_over_tier_confirmed && config.lm_model_path.as_deref() == Some(name)
}

/// What a model that can be chosen needs.
fn about(lm: &LmEntry, tier: GpuTier, confirmed: bool, locale: Locale) -> String {
    if lm.built_in {
        return td_string!(locale, service.lm_small).to_owned();
    }
    let memory = lm.size.memory_gb();
    if let Some(secs) = lm.codes_secs_per_minute {
        return td_string!(
            locale,
            service.lm_needs_cpu,
            memory = memory,
            time = minutes(secs.ceil())
        );
    }
    let tier_name = tier_text(tier, locale);
    if confirmed && !lm.within_tier {
        td_string!(
            locale,
            service.lm_over_confirmed,
            memory = memory,
            tier = tier_name
        )
    } else if tier.row().lm_sizes.last() == Some(&lm.size) {
        td_string!(
            locale,
            service.lm_recommended,
            memory = memory,
            tier = tier_name
        )
    } else {
        td_string!(locale, service.lm_needs, memory = memory)
    }
}

/// Why a model cannot be chosen: above the tier, or not there.
fn off_because(lm: &LmEntry, confirmed: bool, locale: Locale) -> Option<String> {
    let memory = lm.size.memory_gb();
    if !lm.within_tier && !confirmed {
        let first = TIERS.iter().find(|row| row.lm_sizes.contains(&lm.size))?;
        let (tier, from) = (first.tier as usize + 1, first.from_gb);
        return Some(td_string!(
            locale,
            service.lm_over,
            memory = memory,
            tier = tier,
            from = from
        ));
    }
    (!lm.installed).then(|| match lm.codes_secs_per_minute {
        Some(secs) => td_string!(
            locale,
            service.lm_missing_cpu,
            memory = memory,
            time = minutes(secs.ceil())
        ),
        None => td_string!(locale, service.lm_missing, memory = memory),
    })
}

/// A tier inside a sentence.
pub fn tier_text(tier: GpuTier, locale: Locale) -> String {
    match tier {
        GpuTier::Unlimited => td_string!(locale, service.in_unlimited).to_owned(),
        tier => td_string!(locale, service.in_tier, number = tier as usize + 1),
    }
}

/// One dialog a model above the tier. They stand outside the form's grid; the button inside belongs to
/// the form, so it works without a script as well.
#[component]
pub fn Dialogs(draft: Draft) -> impl IntoView {
    let store = StudioStore::expect();
    let over = Memo::new(move |_| {
        store.status.with(|status| {
            let over = |(_, lm): &(usize, LmEntry)| lm.installed && !lm.within_tier;
            status
                .lms
                .iter()
                .cloned()
                .enumerate()
                .filter(over)
                .collect::<Vec<_>>()
        })
    });
    live(move || {
        over.get()
            .into_iter()
            .map(|(index, lm)| view! { <Anyway draft index lm /> })
            .collect_view()
    })
}

#[component]
fn Anyway(draft: Draft, index: usize, lm: LmEntry) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let id = dialog_id(index);
    let tier = Memo::new(move |_| store.status.with(|status| status.tier));
    let card = Memo::new(move |_| {
        store
            .status
            .with(|status| status.capabilities.device != DeviceKind::Cpu || status.vram.simulated)
    });
    let (name, memory) = (StoredValue::new(lm.name.clone()), lm.size.memory_gb());
    let title = Signal::derive(move || {
        let (name, tier) = (name.get_value(), tier_text(tier.get(), i18n.get_locale()));
        t_string!(i18n, service.anyway_title, name = name, tier = tier)
    });
    let consequence = move || {
        let range = tier.get().range_label();
        if card.get() {
            t_string!(i18n, service.anyway_card, memory = memory, range = range)
        } else {
            t_string!(i18n, service.anyway_cpu, memory = memory)
        }
    };
    let dialog = id.clone();
    let confirm = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        draft.config.update(|config| {
            config.lm_model_path = Some(name.get_value());
            config.lm_over_tier_confirmed = true;
            config.init_llm = Some(true);
        });
        hide(&dialog);
    };
    view! {
        <Dialog id=id.clone() title>
            <p>{live(consequence)}</p>
            <div class="notice__actions">
                <button
                    class="button button--primary"
                    form=FORM
                    name=OVER_TIER
                    value=name.get_value()
                    on:click=confirm
                >
                    {t!(i18n, service.anyway_use)}
                </button>
                <button
                    type="button"
                    class="button"
                    popovertarget=id
                    popovertargetaction="hide"
                >
                    {t!(i18n, service.anyway_keep)}
                </button>
            </div>
        </Dialog>
    }
    .into_any()
}

fn hide(id: &str) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast as _;
        let dialog = document()
            .get_element_by_id(id)
            .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
        if let Some(dialog) = dialog {
            // It is open: its own button was pressed.
            let _ = dialog.hide_popover();
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = id;
}
