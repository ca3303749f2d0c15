//! Jobs: asking for songs, following them, stopping them.

use acestep_domain::{
    GenerationParams, Note, UserError,
    event::EventKind,
    generation::{clamp::Clamped, inputs::idle_thinking, read::params_from_json},
    job::{Job, JobKind, JobState},
    memory::RunPlan,
};
use rusqlite::Connection;
use serde_json::Value;
use tracing::Span;

use super::{
    Shared, Studio,
    errand::{Errand, admit_repeat},
};
use crate::{
    error::{Error, Result},
    events::Subscription,
    jobs::{self, NewJob},
    loadout::Loadout,
    queue::{CancelFlag, Stood, Ticket},
    recordings::{self, SOURCE},
    seeds,
    store::End,
};

impl Studio {
    /// Reads `request` over the defaults, brings it inside the limits, settles the seeds, stores the job
    /// and queues it. Beside the parameters it may hold `kind` (see [`JobKind`]; songs when absent),
    /// `song_id` (what is listened to; `src_audio` does as well), `then_generate` (a sample or
    /// formatted texts go on to songs), `repeat` (so many runs follow, see [`Job::repeat`]) and `fit` (songs
    /// that need too much memory may be fewer or shorter, which is noted). What the parameters of a task on a
    /// recording hold is told in [`acestep_domain::generation::inputs`].
    ///
    /// # Errors
    /// When nothing is loaded, the queue is full, the kind needs a language model and none is loaded,
    /// or the parameters cannot be used.
    pub fn submit(&self, request: &Value) -> Result<Job> {
        let loadout = self.shared().service.loadout()?;
        let asked = self.read(&loadout, request)?;
        self.shared().queue_job(asked)
    }

    /// What `request` would need of memory and time with what is loaded, and what [`Self::submit`] would
    /// note about it; nothing is queued. Before anything is loaded it is planned for what would be, from
    /// the configs of its checkpoints, and a note of the plan says so.
    ///
    /// # Errors
    /// As [`Self::submit`], but for a full queue, and for a model that is not loaded yet.
    pub fn plan(&self, request: &Value) -> Result<(RunPlan, Vec<Note>)> {
        let shared = self.shared();
        let (loadout, ahead) = shared.loadout()?;
        let asked = self.read(&loadout, request)?;
        let song = asked.source_song_id.as_deref();
        let plan = shared.plan(&loadout, asked.kind, &asked.params, song);
        let mut plan = plan.ok_or_else(|| {
            UserError::new(
                "not_ready",
                "Nothing is known of the sizes of what is loaded.",
                "Initialise the service again.",
            )
        })?;
        plan.memory.notes.splice(..0, ahead);
        Ok((plan, asked.notes))
    }

    /// The job that `request` asks for, as it would be queued with `loadout`.
    pub(super) fn read(&self, loadout: &Loadout, request: &Value) -> Result<Asked<'static>> {
        let shared = self.shared();
        let errand = Errand::read(request)?;
        let idle = errand.idle_fields();
        let Errand {
            kind,
            mut source_song_id,
            then_generate,
            repeat,
            fit,
            params,
        } = errand;
        loadout.require_lm(kind)?;
        if kind.is_kept_with_song() {
            let mut asked = shared.about_song(loadout, kind, source_song_id, &params)?;
            asked.notes.extend(idle);
            return Ok(asked);
        }
        let (asked, mut notes) = params_from_json(&params, loadout.defaults())?.strict()?;
        notes.extend(idle);
        if !kind.listens() {
            source_song_id = None;
        }
        let mut field = "song_id";
        if kind.listens() && source_song_id.is_none() && asked.src_audio.is_some() {
            (source_song_id, field) = (asked.src_audio.clone(), SOURCE);
        }
        if let Some(id) = &source_song_id {
            let recording = shared.recording(id, field)?;
            if recording.audio_codes.is_empty() {
                loadout.require_audio_codes(field)?;
            }
            notes.extend(recording.beside(&asked.audio_codes, field));
        } else if kind == JobKind::Encode {
            return Err(UserError::invalid(
                "song_id",
                "Nothing is named to take audio codes from.",
                "Give the id of a song of the library or of an upload as song_id.",
            )
            .into());
        }
        if kind == JobKind::Generate && asks_to_think(&params) {
            notes.extend(idle_thinking(&asked));
        }
        if kind == JobKind::Generate
            && asked.lm_writes_codes()
            && asks_to_think(&params)
            && loadout.lm_has_codes.is_none()
        {
            notes.push(Note::new(
                "thinking_without_lm",
                "thinking",
                "Thinking: asked on, but no language model is loaded, so the song is made without it.",
            ));
        }
        let Clamped {
            params,
            notes: clamp_notes,
        } = shared.settle_within(loadout, kind, asked, fit)?;
        notes.extend(clamp_notes);
        loadout.require_room(kind, &params)?;
        notes.extend(shared.check_loras(&loadout.model, params.loras.as_deref())?);
        let seeds = seeds::settle(&params.seeds, params.batch_size)?;
        Ok(Asked {
            kind,
            params,
            seeds,
            notes,
            source_song_id,
            then_generate: then_generate && kind.may_go_on(),
            fit,
            repeat: Runs::Asked(repeat),
        })
    }

    /// The job.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn job(&self, id: &str) -> Result<Job> {
        self.shared().job(id)
    }

    /// The newest `limit` jobs, and with them every older one that is still to be seen: what waits or runs, and
    /// what ended without its songs until it is dismissed. Newest first.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn jobs(&self, limit: usize) -> Result<Vec<Job>> {
        let shared = self.shared();
        let mut jobs = shared.store.read(|db| {
            let mut jobs = jobs::newest(db, limit)?;
            for job in &mut jobs {
                shared.store.unrecorded().lay_over(job);
            }
            Ok(jobs)
        })?;
        for job in &mut jobs {
            shared.place(job);
        }
        Ok(jobs)
    }

    /// Cancels a job: a waiting one at once, the running one within a step or tile, and with it the one that
    /// it has queued to go on. One that is over stays what it became: whoever cancels cannot know whether it
    /// has just ended, and it runs no more either way.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn cancel(&self, id: &str) -> Result<Job> {
        let shared = self.shared();
        let stood = shared.cancel(id)?;
        if stood == Stood::Running
            && let Some(next) = shared.job(id)?.next_job_id
        {
            shared.cancel(&next)?;
        }
        // Of one that runs, that it was asked to stop is news too.
        shared.touch();
        shared.job(id)
    }

    /// Gives a waiting job another place in the queue, 1 = next.
    ///
    /// # Errors
    /// When there is none of that id, or it does not wait.
    pub fn move_job(&self, id: &str, position: usize) -> Result<Job> {
        let shared = self.shared();
        if !shared.queue.move_to(id, position) {
            let state = shared.job(id)?.state;
            return Err(Error::Conflict {
                what: format!("The job is {} and does not wait.", state.as_str()),
                hint: "Only a waiting job has a place.",
            });
        }
        shared.touch();
        shared.job(id)
    }

    /// Changes how many runs follow a job that waits or runs; 0 stops after it. Where the next run was
    /// queued meanwhile that one is meant: a stop may come a moment late.
    ///
    /// # Errors
    /// When there is none of that id, it makes no songs, it is over, or the number is out of range.
    pub fn set_repeat(&self, id: &str, repeat: u32) -> Result<Job> {
        let shared = self.shared();
        shared.store.catch_up()?;
        let changed = shared.store.write(|db| {
            let last = jobs::last_of(db, id)?;
            let job = jobs::find(db, &last)?;
            admit_repeat(repeat, job.kind, job.then_generate)?;
            jobs::set_repeat(db, &last, repeat)?;
            Ok(last)
        })?;
        shared.touch();
        shared.job(&changed)
    }

    /// The job's events after number `after`, then live.
    ///
    /// # Errors
    /// When there is no job of that id.
    pub fn events(&self, id: &str, after: u64) -> Result<Subscription> {
        self.shared().events.subscribe(id, after)
    }
}

/// A job that is about to be queued.
pub(crate) struct Asked<'a> {
    pub(crate) kind: JobKind,
    pub(crate) params: GenerationParams,
    pub(crate) seeds: Vec<u32>,
    pub(crate) notes: Vec<Note>,
    pub(crate) source_song_id: Option<String>,
    pub(crate) then_generate: bool,
    /// See [`Ticket::fit`].
    pub(crate) fit: bool,
    pub(crate) repeat: Runs<'a>,
}

/// How many runs follow a job that is about to be queued.
pub(crate) enum Runs<'a> {
    /// As many as were asked for. Whatever else keeps going ends then.
    Asked(u32),
    /// As many as its predecessor has left when this one is queued, and none after one that was cancelled: the
    /// user may do either until then.
    LeftOf(&'a Job, &'a CancelFlag),
}

impl Shared {
    fn cancel(&self, id: &str) -> Result<Stood> {
        let stood = self.queue.cancel(id);
        if stood == Stood::Waiting {
            self.events.end(id, End::plain(JobState::Cancelled))?;
        }
        Ok(stood)
    }

    /// Queues the run that follows `done`, whose ticket it had: its settings as they were `asked`, new seeds,
    /// one less to come. Nothing when none follows. It is queued only now, so there is never more than one
    /// ahead.
    pub(crate) fn follow_up(
        &self,
        done: &Job,
        asked: &GenerationParams,
        ticket: &Ticket,
    ) -> Result<Option<Job>> {
        if done.kind != JobKind::Generate || self.store.read(|db| jobs::repeat(db, &done.id))? == 0
        {
            return Ok(None);
        }
        let params = GenerationParams {
            seeds: Vec::new(),
            ..asked.clone()
        };
        // What cannot run is told now. What is clamped is a matter of what is loaded when its turn comes.
        self.settle(&self.service.loadout()?, done.kind, params.clone())?;
        let seeds = seeds::settle(&[], params.batch_size)?;
        let next = self.queue_job(Asked {
            kind: done.kind,
            params,
            seeds,
            notes: Vec::new(),
            source_song_id: None,
            then_generate: false,
            fit: ticket.fit,
            repeat: Runs::LeftOf(done, &ticket.cancel),
        });
        match next {
            Err(Error::NoneFollows) => Ok(None),
            next => next.map(Some),
        }
    }

    /// Stores and queues a job.
    pub(crate) fn queue_job(&self, asked: Asked<'_>) -> Result<Job> {
        let id = uuid::Uuid::now_v7().to_string();
        let created_at = jiff::Timestamp::now().to_string();
        let Asked {
            kind,
            mut params,
            seeds,
            notes,
            source_song_id,
            then_generate,
            fit,
            repeat,
        } = asked;
        params.seeds.clone_from(&seeds);
        if kind == JobKind::Generate || then_generate {
            // Whatever is loaded later, its songs keep what they were asked with.
            params.loras.get_or_insert_with(|| self.service.loras());
        }
        let ticket = Ticket {
            job_id: id.clone(),
            model: self.service.model()?.name,
            fit,
            cancel: CancelFlag::default(),
            span: Span::current(),
        };
        let mut job = NewJob {
            id: &id,
            kind,
            source_song_id: source_song_id.as_deref(),
            then_generate,
            repeat: 0,
            created_at: &created_at,
            params: &params,
            seeds: &seeds,
            notes: &notes,
        };
        self.queue.submit(ticket, || {
            self.events.record(&id, |db| {
                match repeat {
                    Runs::Asked(0) => {}
                    Runs::Asked(runs) => {
                        jobs::end_repeats(db)?;
                        job.repeat = runs;
                    }
                    Runs::LeftOf(before, cancel) => {
                        // Whoever cancels after this look finds the job that is queued here.
                        if cancel.is_raised() {
                            return Err(Error::NoneFollows);
                        }
                        job.repeat = left_of(db, before)?;
                        jobs::set_next(db, &before.id, &id)?;
                    }
                }
                recordings::require(db, &job)?;
                jobs::insert(db, &job)?;
                let state = JobState::Queued;
                let mut kinds = vec![EventKind::State { state }];
                kinds.extend(notes.iter().cloned().map(|note| EventKind::Note { note }));
                Ok(kinds)
            })
        })?;
        self.touch();
        self.job(&id)
    }
}

/// The runs that follow the one after `before`, which is one of its own unless it only wrote the song.
fn left_of(db: &Connection, before: &Job) -> Result<u32> {
    let left = jobs::repeat(db, &before.id)?;
    if before.kind == JobKind::Generate {
        left.checked_sub(1).ok_or(Error::NoneFollows)
    } else {
        Ok(left)
    }
}

/// Whether the caller wrote `thinking` himself: it is on by default.
fn asks_to_think(params: &Value) -> bool {
    ["thinking", "think"]
        .iter()
        .any(|key| params.get(key).is_some())
}
