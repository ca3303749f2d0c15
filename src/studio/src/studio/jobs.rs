//! Jobs: asking for songs, following them, stopping them.

use acestep_domain::{
    GenerationParams, Note, UserError,
    event::EventKind,
    generation::{clamp::Clamped, inputs::idle_thinking, read::params_from_json},
    job::{Job, JobKind, JobState, MAX_REPEATS},
    memory::RunPlan,
};
use serde_json::Value;
use tracing::Span;

use super::{Shared, Studio};
use crate::{
    error::{Error, Result},
    events::Subscription,
    jobs::{self, NewJob},
    loadout::Loadout,
    queue::{CancelFlag, Ticket},
    recordings::SOURCE,
    seeds,
    store::End,
};

impl Studio {
    /// Reads `request` over the defaults, brings it inside the limits, settles the seeds, stores the job
    /// and queues it. Beside the parameters it may hold `kind` (see [`JobKind`]; songs when absent),
    /// `song_id` (what is listened to; `src_audio` does as well), `then_generate` (a sample or
    /// formatted texts go on to songs) and `repeat` (so many runs follow, see [`Job::repeat`]). What the parameters of a task on a recording hold is told in
    /// [`acestep_domain::generation::inputs`].
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
    fn read(&self, loadout: &Loadout, request: &Value) -> Result<Asked> {
        let shared = self.shared();
        let Errand {
            kind,
            mut source_song_id,
            then_generate,
            repeat,
            params,
        } = Errand::read(request)?;
        loadout.require_lm(kind)?;
        if kind.is_kept_with_song() {
            return shared.about_song(loadout, kind, source_song_id, &params);
        }
        let (asked, mut notes) = params_from_json(&params, loadout.defaults())?.strict()?;
        notes.extend(idle_fields(kind, source_song_id.is_some(), then_generate));
        if !kind.listens() {
            source_song_id = None;
        }
        let mut field = "song_id";
        if kind.listens() && source_song_id.is_none() && asked.src_audio.is_some() {
            (source_song_id, field) = (asked.src_audio.clone(), SOURCE);
        }
        if let Some(id) = &source_song_id {
            if shared.recording(id, field)?.audio_codes.is_empty() {
                loadout.require_audio_codes(field)?;
            }
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
        } = shared.settle(loadout, kind, asked)?;
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
            repeat,
        })
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

    /// Cancels a job: a waiting one at once, the running one within a step or tile. One that is over stays
    /// what it became: whoever cancels cannot know whether it has just ended, and it runs no more either way.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn cancel(&self, id: &str) -> Result<Job> {
        let shared = self.shared();
        if shared.queue.cancel(id) {
            shared.events.end(id, End::plain(JobState::Cancelled))?;
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

    /// Changes how many runs follow a job that waits or runs; 0 stops after it. Of one that is done it
    /// is the run that followed which is meant: a stop may come a moment late.
    ///
    /// # Errors
    /// When there is none of that id, it makes no songs, it is over, or the number is out of range.
    pub fn set_repeat(&self, id: &str, repeat: u32) -> Result<Job> {
        let shared = self.shared();
        shared.store.catch_up()?;
        let mut job = shared.job(id)?;
        while job.state == JobState::Done
            && let Some(next) = &job.next_job_id
        {
            job = shared.job(next)?;
        }
        admit_repeat(repeat, job.kind, job.then_generate)?;
        shared
            .store
            .write(|db| jobs::set_repeat(db, &job.id, repeat))?;
        shared.touch();
        shared.job(&job.id)
    }

    /// The job's events after number `after`, then live.
    ///
    /// # Errors
    /// When there is no job of that id.
    pub fn events(&self, id: &str, after: u64) -> Result<Subscription> {
        self.shared().events.subscribe(id, after)
    }
}

/// What a request for `kind` names and it does not read.
fn idle_fields(kind: JobKind, names_song: bool, then_generate: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    if then_generate && !kind.may_go_on() {
        notes.push(Note::new(
            "then_generate_unused",
            "then_generate",
            format!(
                "then_generate: only a sample and formatted texts go on to their songs, and this is of kind {}.",
                kind.as_str()
            ),
        ));
    }
    if names_song && !kind.listens() {
        notes.push(Note::new(
            "song_id_unused",
            "song_id",
            format!(
                "song_id: nothing is listened to for kind {}; a recording to work on is src_audio.",
                kind.as_str()
            ),
        ));
    }
    notes
}

/// A job that is about to be queued.
pub(crate) struct Asked {
    pub(crate) kind: JobKind,
    pub(crate) params: GenerationParams,
    pub(crate) seeds: Vec<u32>,
    pub(crate) notes: Vec<Note>,
    pub(crate) source_song_id: Option<String>,
    pub(crate) then_generate: bool,
    pub(crate) repeat: u32,
}

impl Shared {
    /// Queues the run that follows `done`: its settings as they were asked, new seeds, one less to
    /// come. Nothing when none follows. It is queued only now, so there is never more than one ahead.
    pub(crate) fn follow_up(&self, done: &Job) -> Result<Option<Job>> {
        // It may have been changed while the job ran.
        let repeat = self.store.read(|db| jobs::repeat(db, &done.id))?;
        if repeat == 0 || done.kind != JobKind::Generate {
            return Ok(None);
        }
        let mut params = done.params.clone();
        params.seeds.clear();
        let clamped = self.settle(&self.service.loadout()?, done.kind, params)?;
        let seeds = seeds::settle(&[], clamped.params.batch_size)?;
        let next = self.queue_job(Asked {
            kind: done.kind,
            params: clamped.params,
            seeds,
            notes: clamped.notes,
            source_song_id: None,
            then_generate: false,
            repeat: repeat - 1,
        })?;
        self.store
            .write(|db| jobs::set_next(db, &done.id, &next.id))?;
        Ok(Some(next))
    }

    /// Stores and queues a job.
    pub(crate) fn queue_job(&self, asked: Asked) -> Result<Job> {
        let id = uuid::Uuid::now_v7().to_string();
        let created_at = jiff::Timestamp::now().to_string();
        let Asked {
            kind,
            mut params,
            seeds,
            notes,
            source_song_id,
            then_generate,
            repeat,
        } = asked;
        params.seeds.clone_from(&seeds);
        if kind == JobKind::Generate {
            // Whatever is loaded later, this job keeps what it was asked with.
            params.loras.get_or_insert_with(|| self.service.loras());
        }
        let ticket = Ticket {
            job_id: id.clone(),
            model: self.service.model()?.name,
            cancel: CancelFlag::default(),
            span: Span::current(),
        };
        let job = NewJob {
            id: &id,
            kind,
            source_song_id: source_song_id.as_deref(),
            then_generate,
            repeat,
            created_at: &created_at,
            params: &params,
            seeds: &seeds,
            notes: &notes,
        };
        self.queue.submit(ticket, || {
            self.events.record(&id, |db| {
                if repeat > 0 {
                    jobs::end_repeats(db)?;
                }
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

/// A request as it comes: what is made of which parameters.
struct Errand {
    kind: JobKind,
    source_song_id: Option<String>,
    then_generate: bool,
    repeat: u32,
    params: Value,
}

impl Errand {
    /// Takes what is no parameter out of `request`.
    fn read(request: &Value) -> Result<Self> {
        let mut errand = Self {
            kind: JobKind::Generate,
            source_song_id: None,
            then_generate: false,
            repeat: 0,
            params: request.clone(),
        };
        let Value::Object(object) = &mut errand.params else {
            return Ok(errand);
        };
        let given = |value: Option<Value>| value.filter(|value| !value.is_null());
        if let Some(kind) = given(object.remove("kind")) {
            let known = kind.as_str().and_then(JobKind::from_name);
            errand.kind = known.ok_or_else(|| {
                UserError::invalid(
                    "kind",
                    format!("There is no kind of job {kind}."),
                    format!(
                        "Kinds are {}.",
                        JobKind::ALL.map(JobKind::as_str).join(", ")
                    ),
                )
            })?;
        }
        if let Some(id) = given(object.remove("song_id")) {
            let text = id.as_str().map(str::to_owned);
            errand.source_song_id = Some(text.ok_or_else(|| {
                UserError::invalid(
                    "song_id",
                    format!("{id} is no id of a song."),
                    "Give it as text.",
                )
            })?);
        }
        if let Some(on) = given(object.remove("then_generate")) {
            errand.then_generate = match &on {
                Value::Bool(on) => *on,
                Value::String(text) if text == "true" => true,
                Value::String(text) if text == "false" => false,
                _ => {
                    return Err(UserError::invalid(
                        "then_generate",
                        format!("then_generate: {on} is neither on nor off."),
                        "Give true or false.",
                    )
                    .into());
                }
            };
        }
        if let Some(count) = given(object.remove("repeat")) {
            let number = match &count {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64(),
            };
            errand.repeat = number
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| repeat_refused(&count))?;
            admit_repeat(errand.repeat, errand.kind, errand.then_generate)?;
        }
        Ok(errand)
    }
}

fn repeat_refused(given: &dyn std::fmt::Display) -> UserError {
    UserError::invalid(
        "repeat",
        format!("repeat: {given} is not a number of runs."),
        format!("Give a whole number from 0 to {MAX_REPEATS}."),
    )
}

/// Only songs are made again.
fn admit_repeat(repeat: u32, kind: JobKind, then_generate: bool) -> Result<()> {
    if repeat > MAX_REPEATS {
        return Err(repeat_refused(&repeat).into());
    }
    if repeat > 0 && kind != JobKind::Generate && !then_generate {
        return Err(UserError::invalid(
            "repeat",
            format!(
                "repeat: a job of the kind {} is not made again.",
                kind.as_str()
            ),
            "Leave it out, or ask for songs.",
        )
        .into());
    }
    Ok(())
}

/// Whether the caller wrote `thinking` himself: it is on by default.
fn asks_to_think(params: &Value) -> bool {
    ["thinking", "think"]
        .iter()
        .any(|key| params.get(key).is_some())
}
