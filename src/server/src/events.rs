//! Server-sent events, the same for page and API.
//!
//! A job's stream starts after the number the client saw last (`Last-Event-ID`, which a browser sends
//! when it comes back, else `?after=`) and ends after the job's final state.

use std::{convert::Infallible, time::Duration};

use acestep_domain::{
    UserError,
    event::{EventKind, JobEvent},
};
use acestep_studio::{Studio, Subscription};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::sync::{broadcast::error::RecvError, watch};

use crate::api::{
    error::{ApiError, Result},
    json::{Path, Query},
};

/// Silence after which a comment is sent; proxies give up after 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// The query of [`of_job`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: Option<u64>,
}

/// `GET /api/v1/jobs/{id}/events`.
pub async fn of_job(
    State(studio): State<Studio>,
    State(closing): State<watch::Receiver<bool>>,
    Path(id): Path<String>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response> {
    let resumed = last_event_id(&headers)?;
    let after = resumed.or(query.after).unwrap_or(0);
    let subscription = studio.events(&id, after)?;
    // A browser comes back after every end of a stream; 204 tells it that there is no more.
    if resumed.is_some() && subscription.backlog.is_empty() && studio.job(&id)?.state.is_final() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower {
        studio,
        id,
        last: after,
        backlog: subscription.backlog.into_iter(),
        live: subscription.live,
        over: false,
    };
    let events = stream::unfold(follower, Follower::next)
        .map(|event| sse_from_job_event(&event))
        .take_until(closed(closing));
    Ok(answer(events))
}

/// `GET /api/v1/events`: `{"revision": n}` now and whenever anything changed.
pub async fn of_studio(
    State(studio): State<Studio>,
    State(closing): State<watch::Receiver<bool>>,
) -> Response {
    let mut revision = studio.watch();
    revision.mark_changed();
    let events = stream::unfold(revision, |mut revision| async move {
        revision.changed().await.ok()?;
        let number = *revision.borrow_and_update();
        let event = Event::default()
            .event("revision")
            .data(format!("{{\"revision\":{number}}}"));
        Some((event, revision))
    })
    .take_until(closed(closing));
    answer(events)
}

fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let first = stream::once(async { Event::default().retry(RETRY) });
    let mut response = Sse::new(first.chain(events).map(Ok::<_, Infallible>))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    // Proxies that collect answers would hold the events back.
    response.headers_mut().insert(
        axum::http::HeaderName::from_static("x-accel-buffering"),
        axum::http::HeaderValue::from_static("no"),
    );
    response
}

pub(crate) async fn closed(mut closing: watch::Receiver<bool>) {
    // A dropped sender means the same.
    closing.wait_for(|closing| *closing).await.ok();
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    match value.to_str().map(str::trim) {
        Ok("") => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|_| not_a_number()),
        Err(_) => Err(not_a_number()),
    }
}

fn not_a_number() -> ApiError {
    UserError::invalid(
        "Last-Event-ID",
        "Last-Event-ID is not a number.",
        "Send the id of the last event that was received.",
    )
    .into()
}

fn sse_from_job_event(event: &JobEvent) -> Event {
    let name = match &event.kind {
        EventKind::State { .. } => "state",
        EventKind::Progress(_) => "progress",
        EventKind::Note { .. } => "note",
        EventKind::Plan { .. } => "plan",
        EventKind::Song { .. } => "song",
        EventKind::Error { .. } => "error",
    };
    let sse = Event::default().id(event.seq.to_string()).event(name);
    match sse.json_data(event) {
        Ok(sse) => sse,
        // A number that JSON cannot hold; the client still gets the id to resume from.
        Err(error) => Event::default()
            .id(event.seq.to_string())
            .comment(error.to_string()),
    }
}

/// Walks from the backlog into what is live.
struct Follower {
    studio: Studio,
    id: String,
    last: u64,
    backlog: std::vec::IntoIter<JobEvent>,
    live: tokio::sync::broadcast::Receiver<JobEvent>,
    over: bool,
}

impl Follower {
    async fn next(mut self) -> Option<(JobEvent, Self)> {
        if self.over {
            return None;
        }
        let event = loop {
            if let Some(event) = self.backlog.next() {
                break event;
            }
            match self.live.recv().await {
                Ok(event) if event.seq <= self.last => {}
                Ok(event) => break event,
                Err(RecvError::Closed) => return None,
                // Too slow for the live feed: what was missed is in the log.
                Err(RecvError::Lagged(_)) => {
                    let Subscription { backlog, live } =
                        self.studio.events(&self.id, self.last).ok()?;
                    self.backlog = backlog.into_iter();
                    self.live = live;
                }
            }
        };
        self.last = event.seq;
        self.over = matches!(&event.kind, EventKind::State { state } if state.is_final());
        Some((event, self))
    }
}
