//! The column of runs: what is wrong, what runs, what waits, what was made.

use acestep_domain::job::{Job, JobKind, JobState};
use leptos::{form::ActionForm, prelude::*};

use super::{job::RunningJob, latest::Songs, words, written::WrittenJobs};
use crate::{
    api::jobs::{Cancel, Rerun},
    components::{
        icon::Icon,
        notice::{Notice, Tone},
    },
    i18n::{t, t_string, use_i18n},
    state::StudioStore,
    word,
};

/// The column.
#[component]
pub fn Runs(
    /// Stops a job.
    cancel: ServerAction<Cancel>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let running = Memo::new(move |_| store.running().map(|job| job.id));
    after(cancel, store);
    view! {
        <section class="runs" aria-label=move || t_string!(i18n, generate.takes_label)>
            <Spoken />
            <Trouble />
            <DemoNotice />
            <Stopped />
            {move || running.get().map(|id| view! { <RunningJob id cancel /> })}
            <Queue cancel />
            <WrittenJobs />
            <Songs />
        </section>
    }
    .into_any()
}

/// Fetches a fresh list once an action was answered.
pub(super) fn after<S>(action: ServerAction<S>, store: StudioStore)
where
    S: leptos::server_fn::ServerFn + Clone + Send + Sync + 'static,
    S::Output: Send + Sync + 'static,
    S::Error: Send + Sync + 'static,
{
    let version = action.version();
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

/// The studio does not answer.
#[component]
fn Trouble() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    move || {
        store.trouble.get().map(|error| {
            view! {
                <Notice
                    title=word!(i18n, generate.unreachable)
                    text=error.to_string()
                    tone=Tone::Error
                    icon="offline"
                >
                    <button type="button" class="button" on:click=move |_| store.refresh()>
                        {t!(i18n, generate.try_again)}
                    </button>
                </Notice>
            }
        })
    }
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
                <a class="button" href="https://huggingface.co/ACE-Step/Ace-Step1.5">
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

/// Runs that failed or were cut off and were not followed by one that went well.
#[component]
fn Stopped() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let rerun = ServerAction::<Rerun>::new();
    after(rerun, store);
    let stopped = Memo::new(move |_| {
        store.jobs.with(|jobs| {
            jobs.iter()
                .take_while(|job| job.state != JobState::Done)
                .filter(|job| matches!(job.state, JobState::Failed | JobState::Interrupted))
                .cloned()
                .collect::<Vec<Job>>()
        })
    });
    view! {
        <For each=move || stopped.get() key=|job| job.id.clone() let:job>
            {
                let own = job.clone();
                let name = Memo::new(move |_| {
                    let title = words::job_title(i18n, store, &own);
                    match words::kind(i18n, own.kind) {
                        Some(kind) => format!("{kind}, {title}"),
                        None => title,
                    }
                });
                let makes_songs = job.kind == JobKind::Generate;
                let failed = job.state == JobState::Failed;
                let cause = job.error.map(|error| error.to_string()).unwrap_or_default();
                let saved = job.song_ids.len();
                let title = Signal::derive(move || {
                    if failed {
                        t_string!(i18n, generate.failed_title, title = name.get())
                    } else {
                        t_string!(i18n, generate.interrupted_title, title = name.get())
                    }
                });
                let text = Signal::derive(move || {
                    let kept = if !makes_songs {
                        t_string!(i18n, lm.kept_request).to_string()
                    } else if saved == 0 {
                        t_string!(i18n, generate.kept_seeds).to_string()
                    } else {
                        t_string!(i18n, generate.kept_takes, takes = words::takes(i18n, saved))
                    };
                    format!("{cause} {kept}").trim_start().to_owned()
                });
                view! {
                    <Notice title text tone=Tone::Error>
                        <ActionForm action=rerun>
                            <input type="hidden" name="id" value=job.id />
                            <button class="button button--primary" type="submit">
                                {t!(i18n, generate.run_again)}
                            </button>
                        </ActionForm>
                    </Notice>
                }
            }
        </For>
    }
    .into_any()
}

#[component]
fn JobTitle(job: Job) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    view! { <bdi>{move || words::job_title(i18n, store, &job)}</bdi> }
}

/// What waits, next first.
#[component]
fn Queue(cancel: ServerAction<Cancel>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let queue = Memo::new(move |_| store.queue());
    let count = Memo::new(move |_| queue.with(Vec::len));
    view! {
        <Show when=move || { count.get() > 0 }>
            <div class="runs__head">
                <h2 class="runs__title">{t!(i18n, generate.up_next)}</h2>
                <span class="runs__aside">
                    {move || t_string!(i18n, generate.waiting, n = count.get())}
                </span>
            </div>
            <ol class="queue">
                <For
                    each=move || queue.get()
                    key=|job| (job.id.clone(), job.queue_position)
                    let:job
                >
                    <li class="queue__item">
                        <span class="queue__place">{job.queue_position}</span>
                        <span class="queue__what">
                            <JobTitle job=job.clone() />
                        </span>
                        <span class="queue__when">
                            {move || {
                                words::kind(i18n, job.kind)
                                    .map_or_else(
                                        || words::takes(i18n, job.params.batch_size),
                                        str::to_owned,
                                    )
                            }}
                            {(job.repeat > 0)
                                .then(|| {
                                    view! {
                                        {move || t_string!(i18n, takes.badge, n = job.repeat)}
                                    }
                                })}
                        </span>
                        <span class="queue__tools">
                            <ActionForm action=cancel>
                                <input type="hidden" name="id" value=job.id.clone() />
                                <button class="button button--quiet button--small" type="submit">
                                    <Icon name="x" />
                                    {t!(i18n, generate.remove)}
                                </button>
                            </ActionForm>
                        </span>
                    </li>
                </For>
            </ol>
        </Show>
    }
    .into_any()
}
