//! The log of each job: numbered, kept in the database, told live.
//!
//! Writing, numbering and telling happen under one lock, and so does subscribing; therefore a
//! listener gets every event once. Of progress the database keeps only the last entry: a client that
//! resumes gets the states, notes and songs it missed and where the job stands now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use acestep_domain::{
    event::{EventKind, JobEvent},
    job::JobState,
};
use rusqlite::Transaction;
use tokio::sync::{broadcast, watch};
use tracing::warn;

use crate::{
    error::{Error, Result},
    jobs,
    store::{End, Store},
};

/// Events a slow listener may be behind before it has to resume.
const CAPACITY: usize = 1024;

/// A job's events from some point on.
#[derive(Debug)]
pub struct Subscription {
    /// What happened up to now.
    pub backlog: Vec<JobEvent>,
    /// What happens from now on; closed after the final state, or at once when the job is over. A
    /// listener that is told it lagged subscribes again after the last event it saw.
    pub live: broadcast::Receiver<JobEvent>,
}

type Live = HashMap<String, broadcast::Sender<JobEvent>>;

/// The logs of all jobs.
#[derive(Debug)]
pub(crate) struct Events {
    store: Arc<Store>,
    /// One channel for each job that is not over.
    live: Mutex<Live>,
    /// Raised by everything but progress.
    revision: Arc<watch::Sender<u64>>,
}

impl Events {
    pub(crate) fn new(store: Arc<Store>, revision: Arc<watch::Sender<u64>>) -> Self {
        Self {
            store,
            live: Mutex::default(),
            revision,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change of the job `id` and logs what it returns, together or not at all; then tells
    /// the listeners.
    pub(crate) fn record(
        &self,
        id: &str,
        change: impl FnOnce(&Transaction<'_>) -> Result<Vec<EventKind>>,
    ) -> Result<()> {
        let mut live = self.lock();
        let events = self.store.write(|db| {
            let kinds = change(db)?;
            jobs::log(db, id, kinds)
        })?;
        self.tell(&mut live, id, events);
        Ok(())
    }

    /// Ends the job. Where the database cannot be written the end is kept and told all the same, and
    /// recorded once it can (see [`crate::store::Unrecorded`]).
    pub(crate) fn end(&self, id: &str, end: End) -> Result<()> {
        let failure = match self.record(id, |db| end.write(db, id)) {
            Err(Error::Database(failure)) => failure,
            other => return other,
        };
        let mut live = self.lock();
        let events = self
            .store
            .read(|db| self.store.unrecorded().keep(db, id, end))?;
        warn!(
            error = &failure as &dyn std::error::Error,
            "the end of job {id} is kept until the library can be written"
        );
        self.tell(&mut live, id, events);
        Ok(())
    }

    fn tell(&self, live: &mut Live, id: &str, events: Vec<JobEvent>) {
        let over = events
            .iter()
            .any(|event| matches!(&event.kind, EventKind::State { state } if state.is_final()));
        let notable = events
            .iter()
            .any(|event| !matches!(event.kind, EventKind::Progress(_)));
        let channel = live
            .entry(id.to_owned())
            .or_insert_with(|| broadcast::channel(CAPACITY).0);
        for event in events {
            // Nobody listening is no failure.
            channel.send(event).ok();
        }
        if over {
            live.remove(id);
        }
        if notable {
            self.revision.send_modify(|revision| *revision += 1);
        }
    }

    /// Moves the job to `state` and logs it.
    pub(crate) fn advance(&self, id: &str, state: JobState) -> Result<()> {
        self.record(id, |db| {
            jobs::advance(db, id, state)?;
            Ok(vec![EventKind::State { state }])
        })
    }

    /// The job's events after number `after`, and those to come.
    pub(crate) fn subscribe(&self, id: &str, after: u64) -> Result<Subscription> {
        let live = self.lock();
        let backlog = self.store.read(|db| {
            jobs::state(db, id)?;
            let mut backlog = jobs::log_after(db, id, after)?;
            backlog.extend(self.store.unrecorded().events_after(id, after));
            Ok(backlog)
        })?;
        Ok(Subscription {
            backlog,
            live: live
                .get(id)
                .map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe),
        })
    }
}
