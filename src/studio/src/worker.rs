//! The device thread: the only owner of the engine. It takes one thing after another from the queue;
//! a panic or too little memory fails that job, never the process.

mod listen;
mod load;
mod make;
mod observe;
mod write;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use acestep_domain::{
    GenerationParams, Note, UserError,
    event::EventKind,
    generation::clamp::Clamped,
    job::{Job, JobKind, JobState},
};
use acestep_engine::{
    error::Error as EngineError,
    memory::{plan::admit, probe::restart_peak},
};
use tracing::{error, info, info_span};

use crate::{
    backend::Backend,
    error::{Error, Result},
    jobs,
    queue::{CancelFlag, Ticket, Work},
    store::End,
    studio::Shared,
};

/// Works until the studio stops.
pub(crate) fn run(shared: &Arc<Shared>, mut backend: Box<dyn Backend>) {
    loop {
        match shared.queue.next() {
            Work::Load(load) => {
                let span = info_span!(parent: &load.span, "load", model = %load.wanted.config_path);
                span.in_scope(|| load::answer(shared, backend.as_mut(), load));
            }
            Work::Run(ticket) => {
                let span = info_span!(parent: &ticket.span, "job", job.id = %ticket.job_id);
                let run = || span.in_scope(|| run_job(shared, backend.as_mut(), &ticket));
                // The engine's panics are caught closer; this one would be the studio's own.
                if let Err(defect) = guarded("running a job", run) {
                    fail(shared, &ticket.job_id, defect);
                }
            }
            Work::Stop => break,
        }
        shared.touch();
    }
    backend.unload();
}

/// Runs `work`; a panic in it becomes an error.
fn guarded<T>(during: &'static str, work: impl FnOnce() -> T) -> Result<T> {
    // Whatever the panic left half done is dropped: the callers unload the engine.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Error::Panicked {
        during,
        message: panic_message(panic.as_ref()),
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

fn run_job(shared: &Shared, backend: &mut dyn Backend, ticket: &Ticket) {
    let mut started = None;
    let outcome = start(shared, ticket).and_then(|begun| {
        let Started { job, .. } = &*started.insert(begun);
        let plan = shared.plan_of(job).map(|plan| plan.memory);
        if let Some(plan) = &plan {
            admit(plan)?;
        }
        restart_peak();
        let made = if job.kind == JobKind::Generate {
            make::songs(shared, backend, job, plan.as_ref(), &ticket.cancel)
        } else if job.kind.is_kept_with_song() {
            listen::about_song(shared, backend, job, &ticket.cancel)
        } else {
            write::text(shared, backend, job, ticket)
        };
        made.map_err(|error| sized(error, job))
    });
    let panicked = matches!(outcome, Err(Error::Panicked { .. }));
    let outcome = outcome.map(|mut notes| {
        let done = started.as_ref();
        notes.extend(done.and_then(|done| follow(shared, done, ticket)));
        notes
    });
    if let Err(error) = finish(shared, &ticket.job_id, &ticket.cancel, outcome) {
        error!(
            error = &error as &dyn std::error::Error,
            "the end of job {} could not be recorded", ticket.job_id
        );
    }
    if panicked && let Some(wanted) = shared.service.in_force() {
        load::rebuild(shared, backend, &wanted);
    }
}

/// Queues the run that follows one that is done; says why there is none where one was asked for.
fn follow(shared: &Shared, done: &Started, ticket: &Ticket) -> Option<Note> {
    match shared.follow_up(&done.job, &done.asked, ticket) {
        Ok(_) | Err(Error::Stopped) => None,
        Err(error) => {
            let told = UserError::from(error);
            Some(Note::general(
                "repeat_stopped",
                format!(
                    "Keep going: no run follows this one. {} {}",
                    told.message, told.hint
                ),
            ))
        }
    }
}

/// Out of memory is told with the size of the run, so that the user knows what to lower.
fn sized(error: Error, job: &Job) -> Error {
    match error {
        Error::Engine(EngineError::OutOfMemory {
            stage,
            needed,
            free,
        }) => Error::OutOfMemory {
            stage,
            batch_size: job.params.batch_size,
            duration_secs: job.params.duration_secs.unwrap_or_default(),
            needed,
            free,
        },
        other => other,
    }
}

/// A job whose turn has come.
struct Started {
    job: Job,
    /// What it was queued with: what is clamped for this run may be possible for the next.
    asked: GenerationParams,
}

/// Settles the job on what is loaded now and marks it as running.
fn start(shared: &Shared, ticket: &Ticket) -> Result<Started> {
    let id = ticket.job_id.as_str();
    let mut job = shared.store.read(|db| jobs::find(db, id))?;
    let asked = job.params.clone();
    let model = shared.service.model()?;
    let settled = settle(shared, &job, ticket.fit);
    let mut news: Vec<Note> = Vec::new();
    if let Ok(clamped) = &settled {
        news.extend(
            clamped
                .notes
                .iter()
                .filter(|note| !job.notes.contains(note))
                .cloned(),
        );
        if ticket.model != model.name {
            news.push(Note::general(
                "model_changed",
                format!(
                    "Model: submitted for {}, made with {}, which is loaded now.",
                    ticket.model, model.name
                ),
            ));
        }
        job.params = clamped.params.clone();
        job.notes.extend(news.iter().cloned());
        job.seeds.truncate(job.params.batch_size.max(1));
        job.params.seeds.clone_from(&job.seeds);
    }
    shared.events.record(id, |db| {
        jobs::advance(db, id, JobState::Running)?;
        jobs::set_settled(db, id, &job.params, &job.seeds, &job.notes)?;
        let mut kinds = vec![EventKind::State {
            state: JobState::Running,
        }];
        kinds.extend(news.into_iter().map(|note| EventKind::Note { note }));
        Ok(kinds)
    })?;
    settled?;
    info!(
        kind = job.kind.as_str(),
        task = job.params.task_type.as_str(),
        takes = job.params.batch_size,
        song_secs = job.params.duration_secs,
        "job {id} starts"
    );
    Ok(Started { job, asked })
}

/// What `job` asks, inside what is loaded now.
fn settle(shared: &Shared, job: &Job, fit: bool) -> Result<Clamped> {
    let loadout = shared.service.loadout()?;
    if let Some(song) = shared.made_before(job)? {
        // It runs by the song's recipe; what was asked for the song is kept with it as it was.
        let of_recipe = shared.settle(&loadout, job.kind, song.recipe())?;
        return Ok(Clamped {
            params: job.params.clone(),
            ..of_recipe
        });
    }
    let params = GenerationParams {
        // They are the job's, and nobody gave those of takes that are left out.
        seeds: Vec::new(),
        ..job.params.clone()
    };
    shared.settle_within(&loadout, job.kind, params, fit)
}

/// Records how the job ended; logs a failure, once.
fn finish(
    shared: &Shared,
    id: &str,
    cancel: &CancelFlag,
    outcome: Result<Vec<Note>>,
) -> Result<()> {
    match outcome {
        Ok(notes) => {
            info!("job {id} is done");
            let done = End {
                notes,
                ..End::plain(JobState::Done)
            };
            shared.events.end(id, done)
        }
        Err(error) if error.is_cancelled() => {
            let by_user = cancel.is_raised() && !shared.queue.is_stopping();
            let state = if by_user {
                JobState::Cancelled
            } else {
                JobState::Interrupted
            };
            info!("job {id} is {}", state.as_str());
            shared.events.end(id, End::plain(state))
        }
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "job {id} failed");
            shared.fail_job(id, error.into())
        }
    }
}

/// Fails a job whose end was lost.
fn fail(shared: &Shared, id: &str, defect: Error) {
    error!(error = &defect as &dyn std::error::Error, "job {id} failed");
    if let Err(error) = shared.fail_job(id, defect.into()) {
        error!(
            error = &error as &dyn std::error::Error,
            "the end of job {id} could not be recorded"
        );
    }
}
