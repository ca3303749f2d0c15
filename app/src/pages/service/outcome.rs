//! What came of the last attempt: the status lines after success, the notice after a failure.

use acestep_domain::{
    Note, UserError,
    service::{DEMO_MODEL, LoadedModel, ServiceState},
};
use leptos::prelude::*;

use super::{
    downloads::DownloadControl,
    form::{Draft, USE_DEMO},
};
use crate::{
    api::{call::Call, service::Initialize},
    components::{icon::Icon, note::Notes as NoteLines},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    pages::service::models::size_text,
    state::StudioStore,
};

/// After success the panel is this line; Reconfigure… in the status line opens its settings.
#[component]
pub fn Done() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let model = Memo::new(move |_| store.status.with(|status| status.model.clone()));
    let notes = Memo::new(move |_| store.status.with(|status| status.notes.clone()));
    view! {
        <section class="service" aria-labelledby="service-title">
            <header class="service__head service__head--done">
                <h2 class="service__title" id="service-title">
                    {t!(i18n, service.title)}
                </h2>
                <p class="service__lead">{t!(i18n, service.done_title)}</p>
                {move || model.get().map(|model| view! { <Lines model /> })}
            </header>
            <Notes notes />
        </section>
    }
    .into_any()
}

/// The same lines at the head of the open panel, while a model is loaded.
#[component]
pub fn Loaded() -> impl IntoView {
    let store = StudioStore::expect();
    let model = Memo::new(move |_| store.status.with(|status| status.model.clone()));
    live(move || model.get().map(|model| view! { <Lines model /> }))
}

/// Model, device, numbers, attention, weights, sound, language model.
#[component]
fn Lines(model: LoadedModel) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let device = move || {
        store
            .status
            .with(|status| status.capabilities.device_name.clone())
    };
    let lm = move || {
        store.loaded_lm().map_or_else(
            || t_string!(i18n, service.done_lm_none).to_owned(),
            |lm| {
                let size = size_text(lm.weights_bytes, i18n.get_locale());
                format!("{}, {size}, {}", lm.name, lm.dtype)
            },
        )
    };
    let khz = format!("{}", f64::from(model.sample_rate_hz) / 1000.0);
    let channels = model.channels;
    let sound = move || {
        t_string!(
            i18n,
            service.done_sound_value,
            khz = khz.clone(),
            channels = channels
        )
    };
    let bytes = model.weights_bytes;
    let weights = move || size_text(bytes, i18n.get_locale());
    view! {
        <div role="status">
        <dl class="report">
            <Line label=Signal::derive(move || t_string!(i18n, service.done_model)) value=Signal::stored(model.name) />
            <Line label=Signal::derive(move || t_string!(i18n, service.done_device)) value=Signal::derive(device) />
            <Line label=Signal::derive(move || t_string!(i18n, service.done_dtype)) value=Signal::stored(model.dtype) />
            <Line
                label=Signal::derive(move || t_string!(i18n, service.done_attention))
                value=Signal::stored(model.attention)
            />
            <Line label=Signal::derive(move || t_string!(i18n, service.done_weights)) value=Signal::derive(weights) />
            <Line label=Signal::derive(move || t_string!(i18n, service.done_sound)) value=Signal::derive(sound) />
            <Line label=Signal::derive(move || t_string!(i18n, service.done_lm)) value=Signal::derive(lm) />
        </dl>
        </div>
    }
    .into_any()
}

#[component]
fn Line(label: Signal<&'static str>, value: Signal<String>) -> impl IntoView {
    view! {
        <div class="report__item">
            <dt>{label}</dt>
            <dd>
                <bdi>{value}</bdi>
            </dd>
        </div>
    }
}

/// Clamps and fallbacks of the service.
#[component]
pub fn Notes(notes: Memo<Vec<Note>>) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Show when=move || !notes.with(Vec::is_empty)>
            <section class="service__notes" aria-label=move || t_string!(i18n, service.notes)>
                <NoteLines notes />
            </section>
        </Show>
    }
}

/// Why the last attempt failed: stays until the next one.
#[component]
pub fn Failure(draft: Draft, initialize: Call<Initialize>) -> impl IntoView {
    let store = StudioStore::expect();
    let refusal = initialize.value();
    let failure = Memo::new(move |_| {
        let refused = refusal.with(|value| match value {
            Some(Err(error)) => Some(error.0.clone()),
            _ => None,
        });
        refused.or_else(|| {
            store.status.with(|status| {
                let failed = status.state == ServiceState::Failed;
                status.error.clone().filter(|_| failed)
            })
        })
    });
    live(move || {
        failure
            .get()
            .map(|error| view! { <FailureNotice draft initialize error /> })
    })
}

#[component]
fn FailureNotice(draft: Draft, initialize: Call<Initialize>, error: UserError) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let kept = Memo::new(move |_| store.status.with(|status| status.model.is_some()));
    let demo = Memo::new(move |_| {
        let there = store
            .status
            .with(|status| status.models.iter().any(|model| model.built_in));
        there
            && draft
                .settled
                .with(|(resolved, _)| resolved.config_path != DEMO_MODEL)
    });
    // What was asked for and is not whole: a download mends it.
    let of_lm = error.field.as_deref() == Some("lm_model_path");
    let missing = Memo::new(move |_| {
        let asked = draft.settled.with(|(resolved, _)| {
            if of_lm {
                resolved.lm_model_path.clone()
            } else {
                Some(resolved.config_path.clone())
            }
        });
        store.status.with(|status| {
            let mut releases = status.downloadable.iter();
            let release = releases.find(|release| Some(&release.name) == asked.as_ref())?;
            Some((release.name.clone(), release.bytes))
        })
    });
    let use_demo = move |event: leptos::ev::MouseEvent| {
        // The choice takes this button away, and a button that is gone submits no form.
        event.prevent_default();
        draft.other_path.set(String::new());
        draft
            .config
            .update(|config| config.config_path = Some(DEMO_MODEL.to_owned()));
        initialize.dispatch(Initialize {
            config: draft.request(),
        });
    };
    view! {
        <div class="notice notice--error" role="alert">
            <Icon name="error" />
            <div class="notice__body">
                <p class="notice__title">{t!(i18n, service.failed_title)}</p>
                <p class="notice__text">{error.message} " " {error.hint}</p>
                <Show when=move || kept.get()>
                    <p class="notice__text">{t!(i18n, service.failed_kept)}</p>
                </Show>
                <div class="notice__actions">
                    <button class="button button--primary">{t!(i18n, service.try_again)}</button>
                    {move || {
                        missing
                            .get()
                            .map(|(name, bytes)| view! { <DownloadControl name bytes /> })
                    }}
                    <Show when=move || demo.get()>
                        <button class="button" name=USE_DEMO value="true" on:click=use_demo>
                            {t!(i18n, service.use_demo)}
                        </button>
                    </Show>
                </div>
            </div>
        </div>
    }
    .into_any()
}
