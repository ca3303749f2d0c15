//! Keeps the draft: on the server while typing, in the tab at the last moment before it closes.

use std::time::Duration;

use acestep_domain::generation::GenerationParams;
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};

use super::{StudioStore, early, form::Form};
use crate::api::{call::ask, form::SaveDraft};

/// Quiet time before a draft is sent.
const QUIET: Duration = Duration::from_millis(500);
/// Where a tab keeps what was not sent yet.
const KEY: &str = "draft";

/// Starts keeping. What the server drew is the draft it has; whatever differs is sent.
pub(super) fn keep(form: Form) {
    let served = untrack(|| form.json()).to_string();
    follow_defaults(form);
    Effect::new(move |_| {
        let typed = early::take();
        if !typed.is_empty() {
            form.apply(&serde_json::to_value(typed).unwrap_or_default());
        }
        if let Some(late) = storage()
            .and_then(|storage| storage.get_item(KEY).ok().flatten())
            .and_then(|text| crate::wire::read(&text).ok())
        {
            form.apply(&late);
        }
        forget();
    });
    Effect::new(move |before: Option<(String, Option<TimeoutHandle>)>| {
        let now = form.json().to_string();
        let (then, timer) = before.unwrap_or_else(|| (served.clone(), None));
        if then == now {
            return (now, timer);
        }
        form.refusal.set(None);
        if let Some(timer) = timer {
            timer.clear();
        }
        if let Some(storage) = storage() {
            // Full or refused storage costs at most half a second of typing.
            let _ = storage.set_item(KEY, &now);
        }
        let draft = now.clone();
        let timer = set_timeout_with_handle(
            move || {
                spawn_local(async move {
                    if ask(SaveDraft { form: draft }).await.is_ok() {
                        forget();
                    }
                });
            },
            QUIET,
        );
        (now, timer.ok())
    });
}

/// Another model has other defaults; fields that still hold the old ones follow.
fn follow_defaults(form: Form) {
    let store = StudioStore::expect();
    Effect::new(move |before: Option<GenerationParams>| {
        let now = store.defaults.get();
        if let Some(before) = before
            && before != now
        {
            form.follow(&before, &now);
        }
        now
    });
}

/// What a tab remembers.
pub(super) fn storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

fn forget() {
    if let Some(storage) = storage() {
        // Nothing kept, nothing to forget.
        let _ = storage.remove_item(KEY);
    }
}
