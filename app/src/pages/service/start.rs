//! The end of the panel: start, progress, and the launcher's line.

use acestep_domain::{event::Progress, service::ServiceState};
use leptos::{prelude::*, server_fn::ServerFn};

use super::form::{Draft, OVER_TIER};
use crate::{
    address::GENERATE,
    api::{
        call::Call,
        service::{CancelInitialize, Initialize},
    },
    components::{
        icon::Icon,
        launch_line::{LaunchLine, launch_line},
    },
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    state::StudioStore,
};

/// Third column, below the card of the computer.
#[component]
pub fn Start(draft: Draft, initialize: Call<Initialize>, reconfigure: bool) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let pending = initialize.pending();
    let loading = Memo::new(move |_| {
        pending.get()
            || store
                .status
                .with(|status| status.state == ServiceState::Loading)
    });
    let line = Signal::derive(move || {
        draft
            .settled
            .with(|(settled, _)| draft.config.with(|config| launch_line(config, settled)))
    });
    let over_tier = move || {
        draft.config.with(|config| {
            config
                .lm_model_path
                .clone()
                .filter(|_| config.lm_over_tier_confirmed)
        })
    };
    view! {
        <div class="service__group service__group--loose service__estimate">
            <section class="service__go" id="start" aria-label=move || t_string!(i18n, service.initialize)>
                {move || over_tier().map(|name| view! { <input type="hidden" name=OVER_TIER value=name /> })}
                <Show when=move || loading.get() fallback=move || view! { <Go reconfigure /> }>
                    <Loading draft />
                </Show>
                <h2 class="visually-hidden">{t!(i18n, service.launch_title)}</h2>
                <LaunchLine line />
                <p class="service__hint">{t!(i18n, service.launch_note)}</p>
            </section>
        </div>
    }
    .into_any()
}

/// The button that starts, alone or with Close.
#[component]
fn Go(reconfigure: bool) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let working = Memo::new(move |_| store.running().is_some());
    if !reconfigure {
        return view! {
            <button class="button button--primary button--large service__start">{t!(i18n, service.initialize)}</button>
        }
        .into_any();
    }
    view! {
        <div class="service__pair">
            <button class="button button--primary button--large">{t!(i18n, service.apply)}</button>
            <a class="button button--large" href=GENERATE>
                {t!(i18n, service.close)}
            </a>
        </div>
        <Show when=move || working.get()>
            <p class="note note--info">
                <Icon name="wait" />
                <span>{t!(i18n, service.apply_waits)}</span>
            </p>
        </Show>
    }
    .into_any()
}

/// How far it is, and Cancel.
#[component]
fn Loading(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let cancel = Call::<CancelInitialize>::new();
    let progress = Memo::new(move |_| store.status.with(|status| status.progress.clone()));
    // Where the main model stays, the language model is what loads.
    let name = Memo::new(move |_| {
        let (main, lm) = draft
            .settled
            .with(|(settled, _)| (settled.config_path.clone(), settled.lm_model_path.clone()));
        let stays = store.status.with(|status| {
            status
                .model
                .as_ref()
                .is_some_and(|model| model.name == main)
        });
        lm.filter(|_| stays).unwrap_or(main)
    });
    let working = Memo::new(move |_| store.running().is_some());
    let percent = move || {
        progress
            .with(|progress| {
                progress
                    .as_ref()
                    .map_or(0.0, |progress| progress.fraction * 100.0)
            })
            .clamp(0.0, 100.0)
    };
    let detail = move || match progress.get() {
        None if working.get() => t_string!(i18n, service.loading_waits).to_owned(),
        None | Some(Progress { total: 0, .. }) => String::new(),
        Some(Progress {
            done,
            total,
            eta_secs: Some(secs),
            ..
        }) => {
            let secs = format!("{:.0}", secs.max(1.0));
            t_string!(
                i18n,
                service.loading_eta,
                done = done,
                total = total,
                secs = secs
            )
        }
        Some(Progress { done, total, .. }) => {
            t_string!(i18n, service.loading_parts, done = done, total = total)
        }
    };
    let stop = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        cancel.dispatch(CancelInitialize {});
    };
    let without_script = move || {
        format!(
            "<p class=\"service__hint\">{}</p>",
            t_string!(i18n, service.loading_reload)
        )
    };
    view! {
        <div class="stage" data-state="now" style=move || format!("--_done: {:.0}%", percent())>
            <span class="stage__name" role="status">
                <Icon name="spin" class="icon--spin" />
                {t!(i18n, service.loading, name = name.get())}
            </span>
            <span
                class="stage__bar"
                role="progressbar"
                aria-label=move || t_string!(i18n, service.initialize)
                aria-valuemin="0"
                aria-valuemax="100"
                aria-valuenow=move || format!("{:.0}", percent())
            ></span>
            <span class="stage__detail">{live(detail)}</span>
        </div>
        <noscript inner_html=without_script></noscript>
        <button class="button" formaction=CancelInitialize::url() on:click=stop>
            <Icon name="x" />
            {t!(i18n, service.cancel)}
        </button>
    }
    .into_any()
}
