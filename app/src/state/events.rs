//! The browser's ear: two event streams, one for the studio, one for the running job.

use std::time::Duration;

use acestep_domain::{UserError, event::Progress, job::JobState};
use leptos::{prelude::*, task::spawn_local};
use serde::Deserialize;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventSource, MessageEvent};

use super::{StudioStore, form::Form};
use crate::api::{call::ask, error::UNREACHABLE, snapshot::GetSnapshot};

/// Time until a stream that was refused is asked for again.
const AGAIN: Duration = Duration::from_secs(3);

/// The event `state`.
#[derive(Deserialize)]
struct Changed {
    state: JobState,
}

/// Opens both streams and keeps them.
pub fn follow(store: StudioStore) {
    let form = Form::expect();
    Effect::new(move |_| hear_the_studio(store, form));
    let running = Memo::new(move |_| store.running().map(|job| job.id));
    Effect::new(move |before: Option<Option<EventSource>>| {
        if let Some(Some(stream)) = before {
            stream.close();
        }
        store.progress.set(None);
        let id = running.get()?;
        let after = store
            .jobs
            .with_untracked(|jobs| jobs.iter().find(|job| job.id == id).map(|job| job.last_seq))
            .unwrap_or_default();
        let stream = EventSource::new(&format!("/api/v1/jobs/{id}/events?after={after}")).ok()?;
        for kind in ["progress", "state", "note", "plan", "song", "error"] {
            let (id, source) = (id.clone(), stream.clone());
            listen(&stream, kind, move |event| {
                // The browser's own "error" (a broken line) carries no data; it reconnects by itself.
                let Ok(message) = event.dyn_into::<MessageEvent>() else {
                    return;
                };
                let event = message.data().as_string().unwrap_or_default();
                if kind == "progress" {
                    if let Ok(progress) = crate::wire::read::<Progress>(&event) {
                        store.progress.set(Some((id.clone(), progress)));
                    }
                    return;
                }
                if kind == "state"
                    && crate::wire::read::<Changed>(&event).is_ok_and(|now| now.state.is_final())
                {
                    source.close();
                }
                refresh(store);
            });
        }
        Some(stream)
    });
}

/// Opens the studio's stream; says so when it breaks, and when it is back.
fn hear_the_studio(store: StudioStore, form: Form) {
    let Ok(stream) = EventSource::new("/api/v1/events") else {
        return;
    };
    listen(&stream, "revision", move |_| refresh(store));
    listen(&stream, "open", move |_| {
        if store.lost.get_untracked() {
            store.lost.set(false);
            store.returned.update(|times| *times += 1);
            // What could not be sent then can be sent now.
            let unsent = |refusal: &UserError| refusal.code == UNREACHABLE;
            if form
                .refusal
                .with_untracked(|now| now.as_ref().is_some_and(unsent))
            {
                form.refusal.set(None);
            }
        }
        // After a break something may have changed that no message told.
        refresh(store);
    });
    let own = stream.clone();
    listen(&stream, "error", move |_| {
        store.lost.set(true);
        // A break is mended by the browser; an answer that is no stream is not.
        if own.ready_state() == EventSource::CLOSED {
            set_timeout(move || hear_the_studio(store, form), AGAIN);
        }
    });
}

fn listen(stream: &EventSource, kind: &str, heard: impl FnMut(Event) + 'static) {
    let heard = Closure::<dyn FnMut(Event)>::new(heard).into_js_value();
    // The stream lives as long as the page or is closed by us; the closure goes with it.
    let _ = stream.add_event_listener_with_callback(kind, heard.unchecked_ref());
}

thread_local! {
    /// Number of the latest fetch that was sent, and of the latest one taken over.
    static FETCHES: std::cell::Cell<(u64, u64)> = const { std::cell::Cell::new((0, 0)) };
}

/// Fetches a snapshot. Answers may overtake each other: one that was asked for earlier than what is shown is dropped.
pub fn refresh(store: StudioStore) {
    let (sent, taken) = FETCHES.get();
    let number = sent + 1;
    FETCHES.set((number, taken));
    spawn_local(async move {
        let answer = ask(GetSnapshot {}).await;
        let (sent, taken) = FETCHES.get();
        if taken > number {
            return;
        }
        FETCHES.set((sent, number));
        match answer {
            Ok(fresh) => store.apply(fresh),
            Err(error) => store.trouble.set(Some(error.0)),
        }
    });
}
