//! Jobs: asking for songs, following them, stopping them.

use acestep_domain::{
    GenerationParams, Note,
    event::EventKind,
    generation::{clamp::Clamped, read::params_from_json},
    job::{Job, JobState},
};
use serde_json::Value;
use tracing::Span;

use super::Studio;
use crate::{
    error::{Error, Result},
    events::Subscription,
    jobs::{self, NewJob},
    queue::{CancelFlag, Cancelled, Ticket},
    seeds,
};

impl Studio {
    /// Reads `params` over the defaults, brings them inside the limits, settles the seeds, stores the
    /// job and queues it.
    ///
    /// # Errors
    /// When nothing is loaded, the queue is full, or the parameters cannot be used.
    pub fn submit(&self, params: &Value) -> Result<Job> {
        let shared = self.shared();
        shared.service.model()?;
        let (asked, mut notes) = params_from_json(params, self.defaults())?.strict()?;
        if asked.thinking && asks_to_think(params) {
            notes.push(Note::new(
                "thinking_without_lm",
                "thinking",
                "Thinking: asked on, but no language model is loaded, so the song is made without it.",
            ));
        }
        let Clamped {
            params,
            notes: clamp_notes,
        } = shared.service.settle(asked)?;
        notes.extend(clamp_notes);
        let seeds = seeds::settle(&params.seeds, params.batch_size)?;
        self.queue_job(params, &seeds, &notes)
    }

    /// Queues a job again that did not finish, as a new job with the same seeds.
    ///
    /// # Errors
    /// When it is still under way, has finished, or cannot run on what is loaded.
    pub fn rerun(&self, job_id: &str) -> Result<Job> {
        let shared = self.shared();
        let old = shared.job(job_id)?;
        match old.state {
            JobState::Failed | JobState::Cancelled | JobState::Interrupted => {}
            JobState::Queued | JobState::Running => {
                return Err(Error::Conflict {
                    what: format!("The job is {}.", old.state.as_str()),
                    hint: "Wait for it, or cancel it first.",
                });
            }
            JobState::Done => {
                return Err(Error::Conflict {
                    what: "The job is done; its songs are in the library.".to_owned(),
                    hint: "Restore a song's parameters to make it again.",
                });
            }
        }
        let clamped = shared.service.settle(old.params)?;
        let mut notes = old.notes;
        for note in clamped.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let seeds = seeds::settle(&old.seeds, clamped.params.batch_size)?;
        self.queue_job(clamped.params, &seeds, &notes)
    }

    fn queue_job(
        &self,
        mut params: GenerationParams,
        seeds: &[u32],
        notes: &[Note],
    ) -> Result<Job> {
        let shared = self.shared();
        let id = uuid::Uuid::now_v7().to_string();
        let created_at = jiff::Timestamp::now().to_string();
        params.seeds = seeds.to_vec();
        let ticket = Ticket {
            job_id: id.clone(),
            model: shared.service.model()?.name,
            cancel: CancelFlag::default(),
            span: Span::current(),
        };
        let job = NewJob {
            id: &id,
            created_at: &created_at,
            params: &params,
            seeds,
            notes,
        };
        shared.queue.submit(ticket, || {
            shared.events.record(&id, |db| {
                jobs::insert(db, &job)?;
                let state = JobState::Queued;
                let mut kinds = vec![EventKind::State { state }];
                kinds.extend(notes.iter().cloned().map(|note| EventKind::Note { note }));
                Ok(kinds)
            })
        })?;
        shared.touch();
        shared.job(&id)
    }

    /// The job.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn job(&self, id: &str) -> Result<Job> {
        self.shared().job(id)
    }

    /// The newest jobs first.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn jobs(&self, limit: usize) -> Result<Vec<Job>> {
        let shared = self.shared();
        let mut jobs = shared.store.read(|db| jobs::newest(db, limit))?;
        for job in &mut jobs {
            shared.place(job);
        }
        Ok(jobs)
    }

    /// Cancels a job: a waiting one at once, the running one within a step or tile.
    ///
    /// # Errors
    /// When there is none of that id, or it is over.
    pub fn cancel(&self, id: &str) -> Result<Job> {
        let shared = self.shared();
        match shared.queue.cancel(id) {
            Cancelled::Waiting => {
                shared.events.advance(id, JobState::Cancelled)?;
                shared.touch();
            }
            // The running one may have ended a moment ago.
            Cancelled::Running | Cancelled::Unknown => {
                let job = shared.job(id)?;
                if job.state.is_final() {
                    return Err(Error::Conflict {
                        what: format!("The job is {} already.", job.state.as_str()),
                        hint: "There is nothing left to cancel.",
                    });
                }
            }
        }
        shared.job(id)
    }

    /// The job's events after number `after`, then live.
    ///
    /// # Errors
    /// When there is no job of that id.
    pub fn events(&self, id: &str, after: u64) -> Result<Subscription> {
        self.shared().events.subscribe(id, after)
    }
}

/// Whether the caller wrote `thinking` himself: it is on by default.
fn asks_to_think(params: &Value) -> bool {
    ["thinking", "think"]
        .iter()
        .any(|key| params.get(key).is_some())
}
