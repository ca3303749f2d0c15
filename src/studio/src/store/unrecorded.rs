//! Ends of jobs that the database would not take, for example on a full disk. A job that is over must
//! not look as if it ran, so its end is kept here and told from here, and written with the next write
//! that succeeds. A program that stops before leaves the job to the next start, which marks it as
//! interrupted, as after a crash.

use std::sync::{Mutex, MutexGuard, PoisonError};

use acestep_domain::{
    Note, UserError,
    event::{EventKind, JobEvent},
    job::{Job, JobState},
};
use rusqlite::Connection;

use crate::{
    error::{Error, Result},
    jobs,
};

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) state: JobState,
    pub(crate) error: Option<UserError>,
    pub(crate) notes: Vec<Note>,
}

impl End {
    /// Without a word more.
    pub(crate) fn plain(state: JobState) -> Self {
        Self {
            state,
            error: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn failed(error: UserError) -> Self {
        Self {
            error: Some(error),
            ..Self::plain(JobState::Failed)
        }
    }

    /// Records it and returns what the job's log is told.
    pub(crate) fn write(&self, db: &Connection, id: &str) -> Result<Vec<EventKind>> {
        jobs::advance(db, id, self.state)?;
        jobs::add_notes(db, id, &self.notes)?;
        if let Some(error) = &self.error {
            jobs::set_error(db, id, error)?;
        }
        Ok(self.events())
    }

    fn events(&self) -> Vec<EventKind> {
        let notes = self.notes.iter().cloned();
        let notes = notes.map(|note| EventKind::Note { note });
        let error = self.error.iter().cloned();
        let error = error.map(|error| EventKind::Error { error });
        let state = EventKind::State { state: self.state };
        notes.chain(error).chain([state]).collect()
    }
}

#[derive(Debug)]
struct Kept {
    id: String,
    end: End,
    /// Numbered as they will be in the database: nothing is logged of a job that is over.
    events: Vec<JobEvent>,
}

/// The ends that wait. Its lock is taken after the database's.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded(Mutex<Vec<Kept>>);

impl Unrecorded {
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Keeps the end of a job and returns the events that tell it. Refused where the job is over.
    pub(crate) fn keep(&self, db: &Connection, id: &str, end: End) -> Result<Vec<JobEvent>> {
        let job = jobs::find(db, id)?;
        let mut kept = self.lock();
        if !job.state.allows(end.state) || kept.iter().any(|kept| kept.id == id) {
            return Err(jobs::no_move(job.state, end.state));
        }
        let numbered = (job.last_seq + 1..).zip(end.events());
        let events: Vec<JobEvent> = numbered.map(|(seq, kind)| JobEvent { seq, kind }).collect();
        kept.push(Kept {
            id: id.to_owned(),
            end,
            events: events.clone(),
        });
        Ok(events)
    }

    /// Writes what waits, each by itself; the rest waits on. Returns the first failure.
    pub(super) fn write(&self, connection: &mut Connection) -> Result<()> {
        let mut kept = self.lock();
        while let Some(first) = kept.first() {
            let written = write_one(connection, first);
            if matches!(written, Err(Error::Database(_))) {
                return written;
            }
            // Whatever else stands against it (the job is gone) will not change.
            kept.remove(0);
        }
        Ok(())
    }

    /// What is told of the job `id` after event number `after`.
    pub(crate) fn events_after(&self, id: &str, after: u64) -> Vec<JobEvent> {
        let kept = self.lock();
        let of_job = kept.iter().filter(|kept| kept.id == id);
        of_job
            .flat_map(|kept| &kept.events)
            .filter(|event| event.seq > after)
            .cloned()
            .collect()
    }

    /// The job as it is, where the database has it as it was.
    pub(crate) fn lay_over(&self, job: &mut Job) {
        let kept = self.lock();
        let Some(Kept { end, events, .. }) = kept.iter().find(|kept| kept.id == job.id) else {
            return;
        };
        job.state = end.state;
        job.error.clone_from(&end.error);
        job.notes.extend_from_slice(&end.notes);
        job.progress = None;
        job.last_seq = events.last().map_or(job.last_seq, |event| event.seq);
    }
}

fn write_one(connection: &mut Connection, kept: &Kept) -> Result<()> {
    let transaction = connection.transaction()?;
    let events = kept.end.write(&transaction, &kept.id)?;
    jobs::log(&transaction, &kept.id, events)?;
    Ok(transaction.commit()?)
}
