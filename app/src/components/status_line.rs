//! What is loaded, where, with which limits. Read only, with one action.

use acestep_domain::{
    capabilities::DeviceKind,
    service::{ServiceState, ServiceStatus},
    tier::GpuTier,
};
use leptos::prelude::*;

use crate::{
    address::{Address, GENERATE, LIBRARY, SERVICE},
    components::icon::Icon,
    i18n::{Locale, t, t_string, td_string, use_i18n},
    live::{Show, live},
    player::clock,
    state::StudioStore,
};

/// The line below the bar.
#[component]
pub fn StatusLine() -> impl IntoView {
    let i18n = use_i18n();
    let open = RwSignal::new(false);
    view! {
        <section
            class="status-line"
            aria-label=move || t_string!(i18n, frame.service)
            data-open=move || open.get().then_some("")
        >
            <State />
            <Facts />
            <span class="status-line__more">
                <button
                    type="button"
                    class="button button--quiet button--small"
                    aria-expanded=move || open.get().to_string()
                    on:click=move |_| open.update(|open| *open = !*open)
                >
                    <Icon name="down" />
                    {t!(i18n, frame.details)}
                </button>
            </span>
            <Action />
        </section>
    }
    .into_any()
}

/// The state in one word, with a sign.
#[component]
fn State() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let path = Address::expect().path;
    let state = Memo::new(move |_| store.status.with(|status| status.state));
    let working = Memo::new(move |_| store.running().is_some());
    let ready = Memo::new(move |_| store.is_ready());
    let icon = Signal::derive(move || match state.get() {
        _ if store.lost.get() => "offline",
        _ if working.get() => "spin",
        ServiceState::Loading => "spin",
        _ if ready.get() => "check",
        ServiceState::Failed => "error",
        _ => "power",
    });
    let word = move || match state.get() {
        _ if store.lost.get() => t_string!(i18n, frame.state_lost),
        ServiceState::Loading => t_string!(i18n, frame.state_starting),
        _ if working.get() => t_string!(i18n, frame.state_working),
        _ if ready.get() && path.with(|path| path == SERVICE) => {
            t_string!(i18n, frame.state_changing)
        }
        _ if ready.get() => t_string!(i18n, frame.state_ready),
        ServiceState::Failed => t_string!(i18n, frame.state_failed),
        _ => t_string!(i18n, frame.state_not_started),
    };
    let waiting = move || store.queue().len();
    let turning = Signal::derive(move || {
        if icon.get() == "spin" {
            "icon--spin"
        } else {
            ""
        }
    });
    view! {
        <span class="status-line__state" aria-live="polite">
            <Icon name=icon class=turning />
            <span>{live(word)}</span>
        </span>
        <Show when=move || { waiting() > 0 }>
            <span class="status-line__item">
                {move || match waiting() {
                    1 => t_string!(i18n, frame.waiting_single).to_owned(),
                    count => t_string!(i18n, frame.waiting_several, count = count),
                }}
            </span>
        </Show>
    }
    .into_any()
}

/// One fact; drawn only when known.
#[component]
fn Fact(
    /// What it is.
    label: Signal<&'static str>,
    /// Its value; empty = not drawn.
    #[prop(into)]
    value: Signal<String>,
) -> impl IntoView {
    view! {
        <Show when=move || !value.with(String::is_empty)>
            <div class="status-line__item">
                <dt>{label}</dt>
                <dd>
                    <bdi>{value}</bdi>
                </dd>
            </div>
        </Show>
    }
}

#[component]
fn Facts() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let of = move |read: fn(&ServiceStatus, Locale) -> String| {
        Memo::new(move |_| {
            let locale = i18n.get_locale();
            store.status.with(|status| read(status, locale))
        })
    };
    let with_lm = Memo::new(move |_| store.status.with(|status| status.lm_loaded));
    let limits = Signal::derive(move || {
        if with_lm.get() {
            t_string!(i18n, frame.limits_with_lm)
        } else {
            t_string!(i18n, frame.limits_without_lm)
        }
    });
    view! {
        <dl class="status-line__list">
            <Fact label=Signal::derive(move || t_string!(i18n, frame.model)) value=of(model_text) />
            <Fact label=Signal::derive(move || t_string!(i18n, frame.lm)) value=of(lm_text) />
            <Fact label=Signal::derive(move || t_string!(i18n, loras.title)) value=of(lora_text) />
            <Fact label=Signal::derive(move || t_string!(i18n, frame.device)) value=of(device_text) />
            <Fact label=limits value=of(limits_text) />
            <Memory />
        </dl>
    }
    .into_any()
}

fn model_text(status: &ServiceStatus, locale: Locale) -> String {
    match &status.model {
        Some(model) if model.built_in => {
            td_string!(locale, frame.model_built_in, name = model.name.clone()).clone()
        }
        Some(model) => model.name.clone(),
        None => td_string!(locale, frame.model_none).to_owned(),
    }
}

fn lm_text(status: &ServiceStatus, locale: Locale) -> String {
    match &status.lm {
        Some(lm) if lm.built_in => {
            td_string!(locale, frame.model_built_in, name = lm.name.clone()).clone()
        }
        Some(lm) => lm.name.clone(),
        None => td_string!(locale, frame.lm_off).to_owned(),
    }
}

/// Adapters that act where a song does not choose its own; nothing is said of none.
fn lora_text(status: &ServiceStatus, _: Locale) -> String {
    crate::state::loras::in_words(&status.loras).unwrap_or_default()
}

fn device_text(status: &ServiceStatus, locale: Locale) -> String {
    let tier = match status.tier {
        GpuTier::Unlimited => td_string!(locale, frame.tier_unlimited).to_owned(),
        tier => td_string!(locale, frame.tier_number, number = tier as usize + 1),
    };
    let tier = if status.vram.simulated {
        format!("{tier} ({})", td_string!(locale, frame.simulated))
    } else {
        tier
    };
    let name = status.capabilities.device_name.clone();
    if name.is_empty() {
        return tier;
    }
    td_string!(locale, frame.device_value, name = name, tier = tier)
}

fn limits_text(status: &ServiceStatus, locale: Locale) -> String {
    let Some(limits) = status.limits else {
        return String::new();
    };
    let length = clock(f64::from(limits.max_duration_secs));
    let count = limits.max_batch_size;
    if count == 1 {
        td_string!(locale, frame.limits_single, length = length)
    } else {
        td_string!(locale, frame.limits_several, length = length, count = count)
    }
}

/// Memory of the card, with a gauge; a machine without one shares its memory with everything else.
#[component]
fn Memory() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let card = Memo::new(move |_| {
        store.status.with(|status| {
            let machine = &status.capabilities;
            let total = machine.vram.total_gib;
            let read = machine.device != DeviceKind::Cpu && !machine.vram.simulated && total > 0.0;
            machine
                .free_gib
                .filter(|_| read)
                .map(|free| ((total - free).clamp(0.0, total), total))
        })
    });
    live(move || {
        card.get().map(|(used, total)| {
            let (used_text, total_text) = (format!("{used:.1}"), format!("{total:.1}"));
            view! {
                <div class="status-line__item">
                    <dt>{t!(i18n, frame.gpu_memory)}</dt>
                    <dd>
                        <bdi dir="ltr">
                            {t!(i18n, frame.memory_used, used = used_text.clone(), total = total_text.clone())}
                        </bdi>
                    </dd>
                    <dd class="status-line__gauge">
                        <div class="meter meter--slim" aria-hidden="true">
                            <div class="meter__bar">
                                <span
                                    class="meter__part"
                                    style=format!("--_w: {:.0}%", used / total * 100.0)
                                ></span>
                            </div>
                        </div>
                    </dd>
                </div>
            }
        })
    })
}

/// Reconfigure… while a model is loaded; Start… where the panel is not on the page.
#[component]
fn Action() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let path = Address::expect().path;
    let ready = Memo::new(move |_| store.is_ready());
    let off_page = Memo::new(move |_| store.status.with(|status| !status.shows_panel()));
    let fixed = Memo::new(move |_| store.status.with(|status| status.service_mode));
    let link = move || match path.get().as_str() {
        SERVICE => None,
        _ if fixed.get() => None,
        _ if ready.get() || off_page.get() => Some((SERVICE, t_string!(i18n, frame.reconfigure))),
        here if here.starts_with(LIBRARY) => Some((GENERATE, t_string!(i18n, frame.start))),
        _ => None,
    };
    live(move || {
        link().map(|(to, word)| {
            view! {
                <a class="button button--small status-line__action" href=to>
                    {word}
                </a>
            }
        })
    })
}
