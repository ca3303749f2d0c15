//! This computer: tier, card, where it stands on the guide's scale, what the tier allows.

use acestep_domain::{
    capabilities::DeviceKind,
    service::ServiceStatus,
    tier::{GpuTier, Limits, TIERS, limits},
};
use leptos::prelude::*;

use crate::i18n::{Locale, t, t_string, td_string, use_i18n};
use crate::live::live;

/// The card; `children` stand at its head (the choice of device).
#[component]
pub fn TierCard(
    /// The service.
    #[prop(into)]
    status: Signal<ServiceStatus>,
    /// The language model is switched on in the panel: its limits are in bold.
    #[prop(into)]
    with_lm: Signal<bool>,
    /// Above the tier.
    children: Children,
) -> impl IntoView {
    let i18n = use_i18n();
    let tier = Memo::new(move |_| status.with(|status| status.tier));
    // Lifted by the operator: the card stays what it is, and its limits do not count.
    let lifted = Memo::new(move |_| {
        let most = limits(GpuTier::Unlimited, status.with(|status| status.lm_loaded));
        tier.get() != GpuTier::Unlimited && status.with(|status| status.limits == Some(most))
    });
    let counts = Memo::new(move |_| {
        if lifted.get() {
            GpuTier::Unlimited
        } else {
            tier.get()
        }
    });
    let name = move || match tier.get() {
        GpuTier::Unlimited => t_string!(i18n, service.tier_unlimited).to_owned(),
        tier if lifted.get() => {
            t_string!(i18n, service.tier_lifted, number = tier as usize + 1)
        }
        tier => t_string!(i18n, service.tier, number = tier as usize + 1),
    };
    view! {
        <section class="tier-card service__tier" aria-label=move || t_string!(i18n, service.computer)>
            {children()}
            <div class="tier-card__head">
                <p class="tier-card__tier">{live(name)}</p>
                <p class="tier-card__device">
                    <strong>
                        <bdi>{move || status.with(|status| status.capabilities.device_name.clone())}</bdi>
                    </strong>
                    {move || status.with(|status| memory_text(status, i18n.get_locale()))}
                </p>
            </div>
            <Scale tier=tier />
            <LimitsTable tier=counts with_lm=with_lm />
        </section>
    }
    .into_any()
}

/// What is known about memory, as read or as simulated.
fn memory_text(status: &ServiceStatus, locale: Locale) -> String {
    let machine = &status.capabilities;
    let total = machine.vram.total_gib;
    let free = machine.free_gib.map(|free| format!("{free:.1}"));
    if machine.vram.simulated {
        let total = format!("{total}");
        return td_string!(locale, service.vram_simulated, total = total);
    }
    match (machine.device, free) {
        (DeviceKind::Cpu, Some(free)) => td_string!(locale, service.vram_none, free = free),
        (DeviceKind::Cpu, None) => td_string!(locale, service.vram_none_bare).to_owned(),
        (_, Some(free)) => {
            let total = format!("{total:.1}");
            td_string!(locale, service.vram_read_free, total = total, free = free)
        }
        (_, None) => {
            let total = format!("{total:.1}");
            td_string!(locale, service.vram_read, total = total)
        }
    }
}

/// The seven tiers side by side, smallest first.
#[component]
fn Scale(tier: Memo<GpuTier>) -> impl IntoView {
    let i18n = use_i18n();
    let steps = TIERS.iter().enumerate().map(move |(index, row)| {
        let this = row.tier;
        let next = TIERS.get(index + 1).map(|next| next.from_gb);
        let number = move || match this {
            GpuTier::Unlimited => t_string!(i18n, service.scale_all).to_owned(),
            tier => (tier as usize + 1).to_string(),
        };
        let range = move || match (this, next) {
            (GpuTier::Tier1, Some(next)) => t_string!(i18n, service.scale_to, gb = next),
            (_, Some(next)) => format!("{}–{next}", row.from_gb),
            (_, None) => format!("{}+ GB", row.from_gb),
        };
        view! {
            <li
                class="tier-scale__step"
                aria-current=move || (tier.get() == this).then_some("true")
            >
                {live(number)}
                <br />
                {live(range)}
            </li>
        }
    });
    view! {
        <ol class="tier-scale" dir="ltr" aria-label=move || t_string!(i18n, service.scale)>
            {steps.collect_view()}
        </ol>
    }
}

/// Lengths and takes with and without a language model.
#[component]
fn LimitsTable(tier: Memo<GpuTier>, with_lm: Signal<bool>) -> impl IntoView {
    let i18n = use_i18n();
    let minutes = move |limits: Limits| {
        t_string!(
            i18n,
            service.minutes,
            minutes = limits.max_duration_secs / 60
        )
    };
    let row = move |lm: bool| {
        let limits = move || {
            let row = tier.get().row();
            if lm { row.with_lm } else { row.without_lm }
        };
        let name = move || {
            if lm {
                t_string!(i18n, service.with_lm)
            } else {
                t_string!(i18n, service.without_lm)
            }
        };
        view! {
            <tr aria-current=move || (with_lm.get() == lm).then_some("true")>
                <th scope="row">{live(name)}</th>
                <td>{move || minutes(limits())}</td>
                <td>{move || limits().max_batch_size}</td>
            </tr>
        }
    };
    view! {
        <table class="limits">
            <thead>
                <tr>
                    <th scope="col">{t!(i18n, service.limits)}</th>
                    <th scope="col">{t!(i18n, service.limits_length)}</th>
                    <th scope="col">{t!(i18n, service.limits_takes)}</th>
                </tr>
            </thead>
            <tbody>{row(true)} {row(false)}</tbody>
        </table>
    }
}
