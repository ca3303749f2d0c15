//! Runs that ended without their songs: failed, cancelled, or cut off when the program stopped. Each stays
//! until it is queued again or dismissed.

use acestep_domain::job::{Job, JobKind, JobState};
use leptos::prelude::*;

use super::{runs::after, words};
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::{Dismiss, Rerun},
    },
    components::{
        icon::Icon,
        notice::{Notice, Tone},
    },
    i18n::{t, t_string, use_i18n},
    live::{For, live},
    state::StudioStore,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Failed,
    Cancelled,
    Interrupted,
    /// The program stopped before its turn.
    Waited,
}

/// How `job` ended, where that is still to be seen. What was taken out of the queue was meant so.
fn end(job: &Job) -> Option<End> {
    if job.dismissed {
        return None;
    }
    match (job.state, job.begun) {
        (JobState::Failed, _) => Some(End::Failed),
        (JobState::Cancelled, true) => Some(End::Cancelled),
        (JobState::Interrupted, true) => Some(End::Interrupted),
        (JobState::Interrupted, false) => Some(End::Waited),
        _ => None,
    }
}

/// All of them, the latest first.
#[component]
pub fn Stopped() -> impl IntoView {
    let store = StudioStore::expect();
    let rerun = Call::<Rerun>::new();
    let dismiss = Call::<Dismiss>::new();
    after(rerun, store);
    after(dismiss, store);
    let stopped = Memo::new(move |_| {
        store.jobs.with(|jobs| {
            jobs.iter()
                .filter_map(|job| Some((job.clone(), end(job)?)))
                .collect::<Vec<_>>()
        })
    });
    view! {
        <For each=move || stopped.get() key=|(job, _)| job.id.clone() let:ended>
            <StoppedJob job=ended.0 end=ended.1 rerun dismiss />
        </For>
    }
    .into_any()
}

#[component]
fn StoppedJob(job: Job, end: End, rerun: Call<Rerun>, dismiss: Call<Dismiss>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let makes_songs = job.kind == JobKind::Generate;
    let cause = job
        .error
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let (id, seen, saved) = (job.id.clone(), job.id.clone(), job.song_ids.len());
    let name = Memo::new(move |_| {
        let title = words::job_title(i18n, store, &job);
        match words::kind(i18n, job.kind) {
            Some(kind) => format!("{kind}, {title}"),
            None => title,
        }
    });
    let title = Signal::derive(move || {
        let title = name.get();
        match end {
            End::Failed => t_string!(i18n, generate.failed_title, title = title),
            End::Cancelled => t_string!(i18n, generate.cancelled_title, title = title),
            End::Interrupted => t_string!(i18n, generate.interrupted_title, title = title),
            End::Waited => t_string!(i18n, generate.waited_title, title = title),
        }
    });
    let text = Signal::derive(move || {
        let kept = if end == End::Waited {
            t_string!(i18n, generate.waited_text).to_string()
        } else if !makes_songs {
            t_string!(i18n, lm.kept_request).to_string()
        } else if saved == 0 {
            t_string!(i18n, generate.kept_seeds).to_string()
        } else {
            t_string!(i18n, generate.kept_takes, takes = words::takes(i18n, saved))
        };
        format!("{cause} {kept}").trim_start().to_owned()
    });
    let tone = match end {
        End::Failed | End::Interrupted => Tone::Error,
        // What was asked for is no failure, and what had not begun lost nothing.
        End::Cancelled | End::Waited => Tone::Quiet,
    };
    let again = move || match end {
        End::Failed | End::Interrupted => t_string!(i18n, generate.run_again),
        End::Cancelled | End::Waited => t_string!(i18n, generate.queue_again),
    };
    view! {
        <Notice title text tone>
            <CallForm call=rerun>
                <input type="hidden" name="id" value=id />
                <button class="button" type="submit">
                    {live(again)}
                </button>
            </CallForm>
            <CallForm call=dismiss>
                <input type="hidden" name="id" value=seen />
                <button
                    class="button button--quiet"
                    type="submit"
                    aria-label=move || t_string!(i18n, generate.dismiss_named, title = name.get())
                >
                    <Icon name="x" />
                    {t!(i18n, generate.dismiss)}
                </button>
            </CallForm>
        </Notice>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState, begun: bool) -> Job {
        serde_json::from_value(serde_json::json!({
            "id": "1", "state": state, "begun": begun, "created_at": "", "queue_position": null,
            "params": {}, "seeds": [1], "notes": [], "progress": null, "song_ids": [], "error": null,
            "last_seq": 1
        }))
        .unwrap()
    }

    #[test]
    fn what_ended_badly_is_seen_until_it_is_dismissed() {
        use JobState::{Cancelled, Done, Failed, Interrupted, Queued, Running};
        for (state, begun, seen) in [
            (Failed, true, Some(End::Failed)),
            (Failed, false, Some(End::Failed)),
            (Cancelled, true, Some(End::Cancelled)),
            // Removed from the queue: a press on Remove needs no card.
            (Cancelled, false, None),
            (Interrupted, true, Some(End::Interrupted)),
            (Interrupted, false, Some(End::Waited)),
            (Done, true, None),
            (Running, true, None),
            (Queued, false, None),
        ] {
            let mut own = job(state, begun);
            assert_eq!(end(&own), seen, "{state:?} {begun}");
            own.dismissed = true;
            assert_eq!(end(&own), None);
        }
    }
}
