//! The Generation page: composer on one side, runs and takes on the other.

pub mod audio_in;
pub mod bottom;
pub mod choose;
pub mod codes_tools;
pub mod composer;
pub mod dice;
pub mod dropped;
#[cfg(feature = "hydrate")]
pub mod files;
pub mod filled;
pub mod find_out;
pub mod fold;
pub mod folds;
pub mod job;
pub mod keep_going;
pub mod key;
pub mod language_model;
pub mod latest;
pub mod lm_needed;
pub mod load;
pub mod loras;
pub mod lyrics;
pub mod numbers;
pub mod param_words;
pub mod part;
pub mod plan;
pub mod queue;
pub mod runs;
pub mod sampler;
pub mod simple;
pub mod source;
pub mod stopped;
pub mod take;
pub mod tasks;
pub mod text;
pub mod tracks;
pub mod unseen;
pub mod uploading;
pub mod wish_button;
pub mod words;
pub mod writing;
pub mod written;

use acestep_domain::{job::JobKind, service::ServiceStatus};
use leptos::prelude::*;

use crate::{
    address::Address,
    api::{
        call::Call,
        jobs::{Cancel, Submit},
    },
    i18n::{t, use_i18n},
    live::Show,
    parts::ServicePanel,
    state::{StudioStore, fill::Awaited, form::Form},
};

/// Id of the form; the phone's bar and Ctrl Enter (see [`crate::keys`]) submit it.
pub const FORM: &str = "composer";

/// The page.
#[component]
pub fn GeneratePage() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    refusal_of_a_plain_form();
    let submit = Call::<Submit>::new();
    let cancel = Call::<Cancel>::new();
    answer(submit, store);
    let has_panel = Memo::new(move |_| store.status.with(ServiceStatus::shows_panel));
    // Once a model is loaded the panel is a line.
    let is_open = Memo::new(move |_| store.status.with(|status| status.model.is_none()));
    view! {
        <main class="generate" id="main">
            <Show when=move || has_panel.get()>
                <div class=move || if is_open.get() { "generate__panel" } else { "generate__done" }>
                    <ServicePanel />
                </div>
            </Show>
            <h1 class="visually-hidden">{t!(i18n, generate.title)}</h1>
            <bottom::ViewSwitch />
            <composer::Composer submit />
            <runs::Runs cancel />
        </main>
        <bottom::BottomBar />
    }
    .into_any()
}

/// A form sent without scripts comes back with its refusal in the address; the actions read it from context.
fn refusal_of_a_plain_form() {
    let query = Address::expect().query.get_untracked();
    if let (Some(path), Some(error)) = (query.get("__path"), query.get("__err")) {
        provide_context(ServerActionError::new(&path, &error));
    }
}

/// What a submission leads to: a fresh list of jobs, or the reason at its field.
fn answer(submit: Call<Submit>, store: StudioStore) {
    let form = Form::expect();
    if let Some(Err(error)) = submit.value().get_untracked() {
        form.refusal.set(Some(error.0));
    }
    Effect::new(move |_| match submit.value().get() {
        Some(Ok(job)) => {
            form.refusal.set(None);
            let comes_back = match job.kind {
                JobKind::Format | JobKind::Understand => true,
                JobKind::Sample => !job.then_generate,
                _ => false,
            };
            if comes_back {
                // In Custom what is written for a caption are its lyrics.
                let lyrics_only = job.kind == JobKind::Sample && !untrack(|| form.is_simple());
                form.awaited.set(Some(Awaited {
                    id: job.id,
                    lyrics_only,
                }));
            }
            store.refresh();
        }
        Some(Err(error)) => form.refusal.set(Some(error.0)),
        None => {}
    });
}
