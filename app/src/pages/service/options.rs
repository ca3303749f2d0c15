//! Device, the four switches and the number format, each with what it does here or why it cannot act.

use acestep_domain::{
    capabilities::{Availability, Capabilities, DeviceKind},
    service::{DeviceChoice, Quantization, Resolved, ServiceConfig},
};
use leptos::{html, prelude::*};

use super::form::Draft;
use crate::{
    components::{icon::Icon, switch::Toggle},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    state::StudioStore,
};

/// What a switch of the panel shows and does.
#[derive(Clone, Copy)]
pub struct SwitchSpec {
    /// Name in the form, and id.
    pub field: &'static str,
    /// As shown.
    pub on: Signal<bool>,
    /// Why it cannot be moved.
    pub off_because: Signal<Option<String>>,
    /// Moves it.
    pub set: Callback<bool>,
}

/// One switch.
#[component]
pub fn Switch(
    spec: SwitchSpec,
    #[prop(into)] label: Signal<String>,
    /// Id of the text that describes it.
    #[prop(optional, into)]
    described_by: Option<String>,
) -> impl IntoView {
    view! {
        <Toggle
            on=spec.on
            set=spec.set
            id=spec.field
            name=spec.field
            off=Signal::derive(move || spec.off_because.with(Option::is_some))
            described_by=described_by.unwrap_or_default()
        >
            {label}
        </Toggle>
    }
}

/// A switch with what it does on this device.
#[component]
fn OptionRow(
    spec: SwitchSpec,
    label: Signal<&'static str>,
    help: Signal<&'static str>,
    detail: Signal<String>,
) -> impl IntoView {
    let id = format!("{}-note", spec.field);
    view! {
        <div class="option">
            <Switch
                spec
                label=Signal::derive(move || label.get().to_owned())
                described_by=id.clone()
            />
            <Detail id off_because=spec.off_because detail />
            <p class="field__help option__note">{help}</p>
        </div>
    }
    .into_any()
}

/// What it does, or with a lock why it cannot act.
#[component]
fn Detail(
    id: String,
    off_because: Signal<Option<String>>,
    detail: Signal<String>,
) -> impl IntoView {
    view! {
        <p class="option__note option__detail" id=id>
            <Show when=move || off_because.with(Option::is_some)>
                <Icon name="lock" />
            </Show>
            <span>{move || off_because.get().unwrap_or_else(|| detail.get())}</span>
        </p>
    }
}

/// Speed and memory.
#[component]
pub fn Options(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let flash = option(
        draft,
        "use_flash_attention",
        |resolved| resolved.use_flash_attention,
        |machine| &machine.flash_attention,
        |config, on| config.use_flash_attention = Some(on),
    );
    let offload = option(
        draft,
        "offload_to_cpu",
        |resolved| resolved.offload_to_cpu,
        |machine| &machine.offload_to_cpu,
        |config, on| config.offload_to_cpu = Some(on),
    );
    let dit = option(
        draft,
        "offload_dit_to_cpu",
        |resolved| resolved.offload_dit_to_cpu,
        |machine| &machine.offload_dit_to_cpu,
        |config, on| config.offload_dit_to_cpu = Some(on),
    );
    let compile = option(
        draft,
        "compile",
        |resolved| resolved.compile,
        |machine| &machine.compile,
        |config, on| config.compile = Some(on),
    );
    // The DiT's own switch has nothing to add while offloading is off.
    let dit_off = Signal::derive(move || {
        dit.0.off_because.get().or_else(|| {
            (!offload.0.on.get()).then(|| t_string!(i18n, service.offload_first).to_owned())
        })
    });
    let dit = (
        SwitchSpec {
            off_because: dit_off,
            ..dit.0
        },
        dit.1,
    );
    view! {
        <section class="service__group" aria-labelledby="speed-and-memory">
            <h2 class="service__group-title" id="speed-and-memory">
                {t!(i18n, service.speed)}
            </h2>
            <div class="options">
                <OptionRow
                    spec=flash.0
                    detail=flash.1
                    label=Signal::derive(move || t_string!(i18n, service.flash))
                    help=Signal::derive(move || t_string!(i18n, service.flash_help))
                />
                <OptionRow
                    spec=offload.0
                    detail=offload.1
                    label=Signal::derive(move || t_string!(i18n, service.offload))
                    help=Signal::derive(move || t_string!(i18n, service.offload_help))
                />
                <OptionRow
                    spec=dit.0
                    detail=dit.1
                    label=Signal::derive(move || t_string!(i18n, service.offload_dit))
                    help=Signal::derive(move || t_string!(i18n, service.offload_dit_help))
                />
                <OptionRow
                    spec=compile.0
                    detail=compile.1
                    label=Signal::derive(move || t_string!(i18n, service.compile))
                    help=Signal::derive(move || t_string!(i18n, service.compile_help))
                />
                <QuantizationRow draft />
            </div>
        </section>
    }
    .into_any()
}

/// Switch and detail of one option, by where it stands in the domain's types.
fn option(
    draft: Draft,
    field: &'static str,
    on: fn(&Resolved) -> bool,
    can: fn(&Capabilities) -> &Availability,
    set: fn(&mut ServiceConfig, bool),
) -> (SwitchSpec, Signal<String>) {
    let can = availability(can);
    let spec = SwitchSpec {
        field,
        on: draft.resolved(on).into(),
        off_because: Signal::derive(move || {
            can.with(|can| (!can.available).then(|| can.detail.clone()))
        }),
        set: Callback::new(move |on| draft.config.update(|config| set(config, on))),
    };
    (
        spec,
        Signal::derive(move || can.with(|can| can.detail.clone())),
    )
}

fn availability(can: fn(&Capabilities) -> &Availability) -> Memo<Availability> {
    let store = StudioStore::expect();
    Memo::new(move |_| {
        store
            .status
            .with(|status| can(&status.capabilities).clone())
    })
}

#[component]
fn QuantizationRow(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let can = availability(|machine| &machine.quantization);
    let chosen = draft.resolved(|resolved| resolved.quantization);
    let off_because =
        Signal::derive(move || can.with(|can| (!can.available).then(|| can.detail.clone())));
    let label = move |format: Quantization| match format {
        Quantization::None => t_string!(i18n, service.quant_none),
        Quantization::Int8 => t_string!(i18n, service.quant_int8),
        Quantization::Int4 => t_string!(i18n, service.quant_int4),
    };
    let formats = [Quantization::None, Quantization::Int8, Quantization::Int4].map(|format| {
        let on = Signal::derive(move || chosen.get() == format);
        let choose = move |_| {
            draft
                .config
                .update(|config| config.quantization = Some(format));
        };
        view! {
            <label class="segmented__option">
                <input
                    class="segmented__input"
                    type="radio"
                    name="quantization"
                    value=format.as_str()
                    checked=on
                    prop:checked=on
                    disabled=move || off_because.with(Option::is_some)
                    on:change=choose
                />
                <span class="segmented__text">{move || label(format)}</span>
            </label>
        }
    });
    view! {
        <div class="option">
            <fieldset class="field field--inline" aria-describedby="quantization-note">
                <legend class="visually-hidden">{t!(i18n, service.quantization)}</legend>
                <span class="switch__label" aria-hidden="true">
                    {t!(i18n, service.quantization)}
                </span>
                <div class="segmented">{formats.collect_view()}</div>
            </fieldset>
            <Detail
                id="quantization-note".to_owned()
                off_because
                detail=Signal::derive(move || can.with(|can| can.detail.clone()))
            />
            <p class="field__help option__note">{t!(i18n, service.quantization_help)}</p>
        </div>
    }
    .into_any()
}

/// Where it runs.
#[component]
pub fn Device(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let select = NodeRef::<html::Select>::new();
    let has = move |kind: DeviceKind| {
        store
            .status
            .with(|status| status.capabilities.devices.contains(&kind))
    };
    let name = move |choice: DeviceChoice| match choice {
        DeviceChoice::Auto => {
            let name = store
                .status
                .with(|status| status.capabilities.device_name.clone());
            t_string!(i18n, service.device_auto, name = name)
        }
        DeviceChoice::Cuda => t_string!(i18n, service.device_cuda).to_owned(),
        DeviceChoice::Mps => t_string!(i18n, service.device_mps).to_owned(),
        DeviceChoice::Cpu => t_string!(i18n, service.device_cpu).to_owned(),
    };
    let options = [
        (DeviceChoice::Auto, "auto", None),
        (DeviceChoice::Cuda, "cuda", Some(DeviceKind::Cuda)),
        (DeviceChoice::Mps, "mps", Some(DeviceKind::Metal)),
        (DeviceChoice::Cpu, "cpu", Some(DeviceKind::Cpu)),
    ]
    .map(|(choice, value, kind)| {
        let here = move || kind.is_none_or(has);
        let text = move || {
            let name = name(choice);
            if here() {
                name
            } else {
                t_string!(i18n, service.device_absent, name = name)
            }
        };
        view! {
            <option
                value=value
                disabled=move || !here()
                selected=move || draft.config.with(|config| config.device == choice)
            >
                {live(text)}
            </option>
        }
    });
    let choose = move |_| {
        let value = select.get_untracked().map(|select| select.value());
        draft.config.update(|config| {
            config.device = match value.as_deref() {
                Some("cuda") => DeviceChoice::Cuda,
                Some("mps") => DeviceChoice::Mps,
                Some("cpu") => DeviceChoice::Cpu,
                _ => DeviceChoice::Auto,
            };
        });
    };
    view! {
        <div class="field field--inline">
            <label class="field__label" for="device">
                {t!(i18n, service.device)}
            </label>
            <select class="field__input" id="device" name="device" node_ref=select on:change=choose>
                {options.collect_view()}
            </select>
        </div>
    }
    .into_any()
}
