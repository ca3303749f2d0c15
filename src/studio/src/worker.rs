//! The device thread: the only owner of the engine. It takes one thing after another from the queue;
//! a panic or too little memory fails that job, never the process.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use acestep_domain::{
    Note, UserError,
    event::{EventKind, Stage},
    job::{Job, JobState},
    library::{Provenance, Song},
    service::Resolved,
};
use acestep_engine::{audio::encode, error::Error as EngineError, observer::Observer};
use tracing::{error, info, info_span, warn};

use crate::{
    backend::{Backend, Loaded, Request, RunReport, Take},
    error::{Error, Result},
    jobs, library,
    pace::{Amount, Measured, Pace, steps_of},
    queue::{CancelFlag, Load, Ticket, Work},
    song_file,
    studio::Shared,
};

/// Peaks of the drawn wave.
const PEAKS: usize = 256;

/// Works until the studio stops.
pub(crate) fn run(shared: &Arc<Shared>, mut backend: Box<dyn Backend>) {
    loop {
        match shared.queue.next() {
            Work::Load(load) => {
                let span = info_span!(parent: &load.span, "load", model = %load.wanted.config_path);
                span.in_scope(|| answer_load(shared, backend.as_mut(), load));
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

fn answer_load(shared: &Shared, backend: &mut dyn Backend, load: Load) {
    let outcome = load_model(shared, backend, &load.wanted, &load.cancel);
    let answer = match outcome {
        Ok(()) => Ok(shared.status()),
        Err(error) if error.is_cancelled() => {
            info!("loading was cancelled");
            shared.service.withdraw();
            Err(error)
        }
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "loading failed");
            let told = UserError::from(error);
            shared.service.failed(told.clone());
            Err(Error::User(told))
        }
    };
    shared.queue.load_done();
    shared.touch();
    if let Some(reply) = load.reply {
        // Whoever asked may have gone.
        reply.send(answer).ok();
    }
}

/// Checks the checkpoint, then drops what is loaded and loads it. A checkpoint that fails the check
/// leaves the loaded model as it is.
fn load_model(
    shared: &Shared,
    backend: &mut dyn Backend,
    wanted: &Resolved,
    cancel: &CancelFlag,
) -> Result<()> {
    let started = Instant::now();
    let observer = LoadObserver { shared, cancel };
    observer.check()?;
    guarded("loading", || backend.check(wanted))??;
    observer.check()?;
    shared.queue.set_model_loaded(false);
    shared.service.unloaded();
    backend.unload();
    let loaded: Result<Loaded> = guarded("loading", || backend.load(wanted, &observer))
        .and_then(|loaded| loaded.map_err(Error::from));
    let loaded = loaded.inspect_err(|_| backend.unload())?;
    info!(
        duration_ms = started.elapsed().as_millis() as u64,
        dtype = %loaded.model.dtype,
        attention = %loaded.model.attention,
        "loaded {}",
        loaded.model.name
    );
    shared.service.loaded(loaded);
    shared.queue.set_model_loaded(true);
    Ok(())
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
    let in_force = shared.service.in_force();
    let outcome = start(shared, ticket).and_then(|job| {
        generate(shared, backend, &job, ticket).map_err(|error| sized(error, &job))
    });
    let panicked = matches!(outcome, Err(Error::Panicked { .. }));
    if let Err(error) = finish(shared, &ticket.job_id, &ticket.cancel, outcome) {
        error!(
            error = &error as &dyn std::error::Error,
            "the end of job {} could not be recorded", ticket.job_id
        );
    }
    if panicked && let Some(wanted) = in_force {
        rebuild(shared, backend, &wanted);
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

/// Loads the same model again after a panic: nothing is known of the engine's state. A load that the
/// user asked for meanwhile comes next and makes this one needless.
fn rebuild(shared: &Shared, backend: &mut dyn Backend, wanted: &Resolved) {
    let cancel = CancelFlag::default();
    if !shared.queue.claim_load(&cancel) {
        shared.queue.set_model_loaded(false);
        shared.service.unloaded();
        backend.unload();
        return;
    }
    warn!("the engine is rebuilt after a panic");
    shared.service.begin_again();
    shared.touch();
    match load_model(shared, backend, wanted, &cancel) {
        Ok(()) => {}
        Err(error) if error.is_cancelled() => shared.service.withdraw(),
        Err(error) => {
            error!(
                error = &error as &dyn std::error::Error,
                "the engine could not be rebuilt"
            );
            shared.service.failed(error.into());
        }
    }
    shared.queue.load_done();
}

/// Settles the job on what is loaded now and marks it as running.
fn start(shared: &Shared, ticket: &Ticket) -> Result<Job> {
    let id = ticket.job_id.as_str();
    let mut job = shared.store.read(|db| jobs::find(db, id))?;
    let model = shared.service.model()?;
    let settled = shared.service.settle(job.params.clone());
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
        job.seeds.truncate(job.params.batch_size);
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
        task = job.params.task_type.as_str(),
        takes = job.params.batch_size,
        song_secs = job.params.duration_secs,
        "job {id} starts"
    );
    Ok(job)
}

fn generate(
    shared: &Shared,
    backend: &mut dyn Backend,
    job: &Job,
    ticket: &Ticket,
) -> Result<Vec<Note>> {
    let rates = shared.service.rates();
    let amount = Amount::of(&job.params);
    let observer = JobObserver {
        shared,
        job_id: &job.id,
        cancel: &ticket.cancel,
        started: Instant::now(),
        pace: Mutex::new((Pace::new(rates, amount), None)),
        storage_failed: AtomicBool::new(false),
    };
    observer.check()?;
    let request = Request {
        params: job.params.clone(),
        seeds: job.seeds.clone(),
        noise: None,
        keep_latents: false,
        raw_level: false,
    };
    let mut notes = Vec::new();
    let mut measured = Measured::default();
    // The engine's sink speaks the engine's errors; the studio's own waits here.
    let mut save_error = None;
    let mut sink = |take: Take| -> acestep_engine::error::Result<()> {
        measured.decode_secs += f64::from(take.report.decode_secs);
        let item = take.item;
        let saving = Instant::now();
        observer.progress(Stage::Save, item, 0, 1);
        let note = encode::note(&take.audio, job.params.audio_format);
        let saved = save(shared, job, &take, note.as_ref());
        notes.extend(note.filter(|_| item == 0));
        measured.save_secs += saving.elapsed().as_secs_f64();
        match saved {
            Ok(()) => {
                observer.progress(Stage::Save, item, 1, 1);
                Ok(())
            }
            Err(error) => {
                save_error = Some(error);
                Err(EngineError::Cancelled)
            }
        }
    };
    let outcome = guarded("generating", || {
        backend.generate(&request, &observer, &mut sink)
    });
    if let Some(error) = save_error {
        return Err(error);
    }
    let report: RunReport = outcome??;
    measured.prepare_secs = f64::from(report.prepare_secs);
    measured.diffusion_secs = f64::from(report.diffusion_secs);
    let mut rates = rates;
    rates.learn(amount, measured);
    shared.service.set_rates(rates);
    notes.extend(report.notes);
    Ok(notes)
}

/// Writes a song and records it.
fn save(shared: &Shared, job: &Job, take: &Take, note: Option<&Note>) -> Result<()> {
    let model = shared.service.model()?;
    let device = shared
        .service
        .in_force()
        .map(|resolved| device_name(&resolved))
        .unwrap_or_default();
    let mut params = job.params.clone();
    params.seeds = vec![take.seed];
    let mut song = Song {
        id: uuid::Uuid::now_v7().to_string(),
        job_id: job.id.clone(),
        item: take.item,
        title: crate::paths::title_from_caption(&params.caption),
        created_at: jiff::Timestamp::now().to_string(),
        duration_secs: take.audio.duration_secs(),
        sample_rate_hz: take.audio.sample_rate_hz,
        channels: take.audio.channels.len() as u16,
        audio_format: params.audio_format.as_str().to_owned(),
        size_bytes: 0,
        seed: take.seed,
        provenance: Provenance {
            app_version: shared.version.clone(),
            model: model.name,
            device,
            quantization: model.dtype,
            steps: steps_of(&params),
        },
        report: take.report,
        notes: job.notes.iter().chain(note).cloned().collect(),
        peaks: take.audio.peaks(PEAKS),
        favourite: false,
        params,
    };
    let staged = song_file::stage(&shared.paths, &mut song, &take.audio)?;
    let file_name = staged.publish(&shared.paths, &song)?;
    shared.events.record(&job.id, |db| {
        library::insert(db, &song, &file_name)?;
        Ok(vec![EventKind::Song {
            song_id: song.id.clone(),
            item: song.item,
        }])
    })
}

fn device_name(resolved: &Resolved) -> String {
    serde_json::to_value(resolved.device)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
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
            shared.events.record(id, |db| {
                jobs::advance(db, id, JobState::Done)?;
                jobs::add_notes(db, id, &notes)?;
                let mut kinds: Vec<EventKind> = notes
                    .into_iter()
                    .map(|note| EventKind::Note { note })
                    .collect();
                kinds.push(EventKind::State {
                    state: JobState::Done,
                });
                Ok(kinds)
            })
        }
        Err(error) if error.is_cancelled() => {
            let by_user = cancel.is_raised() && !shared.queue.is_stopping();
            let state = if by_user {
                JobState::Cancelled
            } else {
                JobState::Interrupted
            };
            info!("job {id} is {}", state.as_str());
            shared.events.advance(id, state)
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

struct LoadObserver<'a> {
    shared: &'a Shared,
    cancel: &'a CancelFlag,
}

impl Observer for LoadObserver<'_> {
    fn progress(&self, _: Stage, _: usize, done: usize, total: usize) {
        self.shared.service.progress(done, total);
        self.shared.touch();
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_raised()
    }
}

/// Stage, song and per mille of the job, as told last.
type Told = (Stage, usize, u32);

/// Of one job: progress becomes events, the user's wish to stop becomes `cancelled`.
struct JobObserver<'a> {
    shared: &'a Shared,
    job_id: &'a str,
    cancel: &'a CancelFlag,
    started: Instant,
    /// The course so far, and what was told last.
    pace: Mutex<(Pace, Option<Told>)>,
    storage_failed: AtomicBool,
}

impl Observer for JobObserver<'_> {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_secs = self.started.elapsed().as_secs_f64();
        let progress = pace.0.progress(stage, item, (done, total), elapsed_secs);
        // A stage of thousands of units (tokens) tells what can be seen, and always its end.
        let visible = (stage, item, (progress.fraction * 1000.0) as u32);
        if pace.1 == Some(visible) && done < total {
            return;
        }
        pace.1 = Some(visible);
        let told = self
            .shared
            .events
            .record(self.job_id, |_| Ok(vec![EventKind::Progress(progress)]));
        // Progress is worth no failed job; the song's own row will tell if the disk is full.
        if let Err(error) = told
            && !self.storage_failed.swap(true, Ordering::Relaxed)
        {
            warn!(
                error = &error as &dyn std::error::Error,
                "progress of job {} could not be recorded", self.job_id
            );
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_raised()
    }
}
