//! The Service Configuration panel: what to load and how.
//!
//! First on the Generation page while the service was not initialised at start; never on it when it was.
//! Reconfigure… opens it as a page of its own, with Apply and Close. It is one form: without a script it is
//! posted whole, with one the same choices are sent as they stand.

pub mod downloads;
pub mod form;
pub mod language_model;
pub mod loras;
pub mod models;
pub mod options;
pub mod outcome;
pub mod start;

use acestep_domain::Note;
use leptos::{prelude::*, server_fn::ServerFn};

use self::{form::Draft, language_model::LanguageModel, models::Models, options::Options};
use crate::{
    api::{
        call::Call,
        service::{Initialize, InitializeForm},
    },
    components::{icon::Icon, notice::Notice, tier_card::TierCard},
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::StudioStore,
};

/// Id of the panel's form; buttons outside it name it.
pub const FORM: &str = "service-form";

/// The panel as a page of its own, opened by Reconfigure….
#[component]
pub fn ServicePage() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let fixed = Memo::new(move |_| store.status.with(|status| status.service_mode));
    view! {
        <main class="service-page" id="main">
            <Show
                when=move || !fixed.get()
                fallback=move || {
                    view! {
                        <Notice
                            title=Signal::derive(move || t_string!(i18n, service.fixed_title).to_owned())
                            text=Signal::derive(move || t_string!(i18n, service.fixed_text).to_owned())
                        >
                            ""
                        </Notice>
                    }
                }
            >
                <ServicePanel reconfigure=true />
            </Show>
        </main>
    }
}

/// The panel itself; the Generation page shows it first while nothing is loaded.
#[component]
pub fn ServicePanel(
    /// Opened over a service that runs: Apply and Close in place of Initialize service.
    #[prop(optional)]
    reconfigure: bool,
) -> impl IntoView {
    let store = StudioStore::expect();
    let done =
        Memo::new(move |_| !reconfigure && store.status.with(|status| status.model.is_some()));
    view! {
        <Show when=move || done.get() fallback=move || view! { <Panel reconfigure /> }>
            <outcome::Done />
        </Show>
    }
    .into_any()
}

#[component]
fn Panel(reconfigure: bool) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let draft = Draft::new(store.status);
    let initialize = Call::<Initialize>::new();
    let explain = RwSignal::new(false);
    Effect::new(move |_| {
        if initialize.version().get() > 0 {
            store.refresh();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        initialize.dispatch(Initialize {
            config: draft.request(),
        });
    };
    view! {
        <form
            class="service"
            id=FORM
            method="post"
            action=InitializeForm::url()
            aria-labelledby="service-title"
            data-explain=move || if explain.get() { "on" } else { "off" }
            on:submit=submit
        >
            <header class="service__head">
                <PanelTitle reconfigure />
                <p class="service__lead">
                    {move || {
                        if reconfigure {
                            t_string!(i18n, service.lead_change)
                        } else {
                            t_string!(i18n, service.lead_new)
                        }
                    }}
                </p>
                <button
                    type="button"
                    class="button button--quiet needs-script"
                    aria-pressed=move || explain.get().to_string()
                    on:click=move |_| explain.update(|explain| *explain = !*explain)
                >
                    <Icon name="help" />
                    {t!(i18n, service.explain)}
                </button>
            </header>
            <outcome::Failure draft initialize />
            <outcome::Notes notes=machine_notes(draft) />
            {reconfigure.then(|| view! { <outcome::Loaded /> })}
            <div class="service__grid">
                <TierCard status=store.status with_lm=draft.wants_lm()>
                    <options::Device draft />
                </TierCard>
                <div class="service__group service__group--loose service__models">
                    <Models draft />
                    <LanguageModel draft />
                </div>
                <div class="service__group service__group--loose service__options">
                    <Options draft />
                </div>
                <start::Start draft initialize reconfigure />
            </div>
        </form>
        {reconfigure
            .then(|| {
                view! {
                    <div class="service">
                        <loras::Loras />
                    </div>
                }
            })}
        <language_model::Dialogs draft />
    }
    .into_any()
}

/// Notes about this computer, and about the last attempt where the panel does not say the same already.
fn machine_notes(draft: Draft) -> Memo<Vec<Note>> {
    let store = StudioStore::expect();
    Memo::new(move |_| {
        draft.settled.with(|(_, said)| {
            store.status.with(|status| {
                let new = |note: &&Note| !said.contains(note);
                status.notes.iter().filter(new).cloned().collect()
            })
        })
    })
}

/// The one `h1` of its own page; below the `h1` of the Generation page, an `h2`.
#[component]
fn PanelTitle(reconfigure: bool) -> impl IntoView {
    let i18n = use_i18n();
    if reconfigure {
        view! {
            <h1 class="service__title" id="service-title">
                {t!(i18n, service.title)}
            </h1>
        }
        .into_any()
    } else {
        view! {
            <h2 class="service__title" id="service-title">
                {t!(i18n, service.title)}
            </h2>
        }
        .into_any()
    }
}
