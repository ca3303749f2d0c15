//! Follows the job whose text goes into the form, across a reload of the tab that asked for it.

use acestep_domain::job::JobState;
use leptos::prelude::*;

use super::{StudioStore, draft::storage, fill::Awaited, form::Form};

/// Where a tab keeps the job's id, and how much of it is wanted.
const KEY: &str = "awaited";

/// Starts following.
pub(super) fn follow(form: Form) {
    let store = StudioStore::expect();
    Effect::new(move |_| {
        let kept = storage()
            .and_then(|storage| storage.get_item(KEY).ok().flatten())
            .and_then(|kept| crate::wire::read::<Awaited>(&kept).ok());
        if form.awaited.get_untracked().is_none() && kept.is_some() {
            form.awaited.set(kept);
        }
    });
    Effect::new(move |before: Option<Option<Awaited>>| {
        let now = form.awaited.get();
        if before.is_some_and(|before| before != now)
            && let Some(storage) = storage()
        {
            // A refusing storage costs the automatic filling after a reload; the job's card still offers it.
            let _ = match &now {
                Some(awaited) => {
                    storage.set_item(KEY, &serde_json::to_string(awaited).unwrap_or_default())
                }
                None => storage.remove_item(KEY),
            };
        }
        now
    });
    Effect::new(move |_| {
        let Some(awaited) = form.awaited.get() else {
            return;
        };
        let job = store
            .jobs
            .with(|jobs| jobs.iter().find(|job| job.id == awaited.id).cloned());
        let Some(job) = job.filter(|job| job.state.is_final()) else {
            return;
        };
        form.awaited.set(None);
        if job.state == JobState::Done
            && let Some((by, fields)) = awaited.fields(&job)
        {
            form.fill(by, &fields);
        }
    });
}
