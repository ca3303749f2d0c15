//! The column of runs: what is wrong, what runs, what waits, what was made.

use acestep_domain::job::{JobKind, JobState};
use leptos::prelude::*;

use super::{
    job::RunningJob,
    latest::{Nothing, Songs},
    queue::Queue,
    stopped::Stopped,
    words,
    written::WrittenJobs,
};
use crate::{
    api::{
        call::{Call, ServerCall},
        error::UNREACHABLE,
        jobs::Cancel,
    },
    components::notice::{Notice, Tone},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    parts,
    state::StudioStore,
    word,
};

/// The column.
#[component]
pub fn Runs(
    /// Stops a job.
    cancel: Call<Cancel>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let any =
        Memo::new(move |_| !(store.jobs.with(Vec::is_empty) && store.songs.with(Vec::is_empty)));
    after(cancel, store);
    view! {
        <section
            class="runs"
            data-any=move || any.get().then_some("")
            aria-label=move || t_string!(i18n, generate.takes_label)
        >
            <Spoken />
            <Trouble />
            <DemoNotice />
            <Show when=move || any.get() fallback=Nothing>
                <parts::RunList cancel />
            </Show>
        </section>
    }
    .into_any()
}

/// What ended badly, runs, waits and was made. Most of the code of the column, and a studio that has made nothing
/// shows none of it.
#[component]
pub fn RunList(
    /// Stops a job.
    cancel: Call<Cancel>,
) -> impl IntoView {
    let store = StudioStore::expect();
    let running = Memo::new(move |_| store.running().map(|job| job.id));
    view! {
        <Stopped />
        {move || running.get().map(|id| view! { <RunningJob id cancel /> })}
        <Queue cancel />
        <WrittenJobs />
        <Songs />
    }
    .into_any()
}

/// Fetches a fresh list once an action was answered.
pub(super) fn after<S: ServerCall>(call: Call<S>, store: StudioStore) {
    let version = call.version();
    Effect::new(move |before: Option<usize>| {
        let now = version.get();
        if before.is_some_and(|before| before != now) {
            store.refresh();
        }
        now
    });
}

/// Stage changes, takes ready, places: spoken once each; steps and percents are not.
#[component]
fn Spoken() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let line = Memo::new(move |_| {
        let job = store.running()?;
        let stage = words::progress(store).map(|progress| words::stage(i18n, progress.stage));
        let ready = job.song_ids.len();
        let stage = stage.unwrap_or_else(|| t_string!(i18n, generate.starting).to_string());
        let title = words::job_title(i18n, store, &job);
        if job.kind != JobKind::Generate {
            return Some(t_string!(i18n, lm.spoken, title = title, stage = stage));
        }
        Some(t_string!(
            i18n,
            generate.spoken,
            title = title,
            stage = stage,
            ready = ready,
            all = job.params.batch_size
        ))
    });
    let idle = move || {
        store.jobs.with(|jobs| {
            jobs.first().and_then(|job| {
                (job.state == JobState::Done).then(|| match words::kind(i18n, job.kind) {
                    Some(kind) => t_string!(i18n, lm.spoken_done, kind = kind),
                    None => t_string!(i18n, generate.spoken_done, n = job.song_ids.len()),
                })
            })
        })
    };
    view! {
        <p class="visually-hidden" role="status">
            {move || line.get().or_else(idle)}
        </p>
    }
    .into_any()
}

/// The studio does not answer, or did not do what the page asked.
#[component]
fn Trouble() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let told = Memo::new(move |_| {
        let trouble = store.trouble.get();
        (store.lost.get() || trouble.is_some()).then_some(trouble)
    });
    live(move || {
        told.get().map(|trouble| {
            let trouble = trouble.filter(|error| error.code != UNREACHABLE);
            let text = Signal::derive(move || match &trouble {
                Some(error) => error.to_string(),
                None => t_string!(i18n, generate.unreachable_text).to_owned(),
            });
            view! {
                <Notice
                    title=word!(i18n, generate.unreachable)
                    text
                    tone=Tone::Error
                    icon="offline"
                >
                    <button type="button" class="button" on:click=move |_| store.refresh()>
                        {t!(i18n, generate.try_again)}
                    </button>
                </Notice>
            }
        })
    })
}

/// What the built-in model is, and what it is not.
#[component]
fn DemoNotice() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let built_in = Memo::new(move |_| {
        store
            .status
            .with(|status| status.model.as_ref().is_some_and(|model| model.built_in))
    });
    let closed = RwSignal::new(false);
    view! {
        <Show when=move || built_in.get() && !closed.get()>
            <Notice
                title=word!(i18n, generate.demo_title)
                text=word!(i18n, generate.demo_text)
                icon="offline"
            >
                <a
                    class="button"
                    href="https://huggingface.co/ACE-Step/Ace-Step1.5"
                    target="_blank"
                    rel="noopener"
                >
                    {t!(i18n, generate.demo_get)}
                </a>
                <button
                    type="button"
                    class="button button--quiet needs-script"
                    on:click=move |_| closed.set(true)
                >
                    {t!(i18n, generate.not_now)}
                </button>
            </Notice>
        </Show>
    }
    .into_any()
}
