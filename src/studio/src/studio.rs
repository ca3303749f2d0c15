//! The studio's handle: one method a use case. Cheap to clone; the last clone that is dropped stops
//! the studio.

use std::{
    fs::{self, File, TryLockError},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::Capabilities,
    event::EventKind,
    generation::{
        clamp::{Bounds, Clamped},
        read::params_from_json,
    },
    job::{Job, JobState},
    library::{Song, SongList},
    service::{ServiceConfig, ServiceStatus},
};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tracing::{Span, info};

use crate::{
    backend::{
        Backend, Scan,
        engine::{EngineBackend, scan},
    },
    error::{Error, Result},
    events::{Events, Subscription},
    jobs::{self, NewJob},
    library::{Library, SongFilter},
    paths::Paths,
    queue::{CancelFlag, Cancelled, Load, Queue, Ticket},
    seeds,
    service::{Fixed, Service},
    song_file,
    store::Store,
    worker,
};

/// Longest title that is kept.
const LONGEST_TITLE: usize = 200;

/// How a studio is set up.
#[derive(Debug, Clone)]
pub struct StudioOptions {
    /// Where songs and the library lie; created when missing.
    pub output_dir: PathBuf,
    /// Where checkpoints lie; may be missing.
    pub checkpoints_dir: PathBuf,
    /// What this build and machine can do.
    pub capabilities: Capabilities,
    /// Notes about the environment, shown with the service.
    pub notes: Vec<Note>,
    /// What is asked of the service until someone asks otherwise.
    pub requested: ServiceConfig,
    /// Lift the limits of a machine without a card.
    pub unlimited: bool,
    /// Jobs that may wait.
    pub queue_limit: usize,
    /// Version of the program.
    pub version: String,
    /// The service is initialised at start.
    pub pre_initialized: bool,
}

/// A cheap handle to the studio.
#[derive(Debug, Clone)]
pub struct Studio(Arc<Handle>);

/// Stops the worker when the last handle goes.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// What the handles and the worker share.
pub(crate) struct Shared {
    pub(crate) version: String,
    pub(crate) paths: Paths,
    pub(crate) store: Arc<Store>,
    pub(crate) events: Events,
    pub(crate) library: Library,
    pub(crate) queue: Queue,
    pub(crate) service: Service,
    revision: Arc<watch::Sender<u64>>,
    checkpoints_dir: PathBuf,
    scan: Scan,
    /// Held while the studio lives: two on one folder would call each other's jobs interrupted.
    _lock: File,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Something that a client may show has changed.
    pub(crate) fn touch(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub(crate) fn status(&self) -> ServiceStatus {
        self.service.status(self.queue.len())
    }

    /// Ends a job with an error.
    pub(crate) fn fail_job(&self, id: &str, error: UserError) -> Result<()> {
        self.events.record(id, |db| {
            jobs::advance(db, id, JobState::Failed)?;
            jobs::set_error(db, id, &error)?;
            Ok(vec![
                EventKind::Error { error },
                EventKind::State {
                    state: JobState::Failed,
                },
            ])
        })
    }

    fn job(&self, id: &str) -> Result<Job> {
        let mut job = self.store.read(|db| jobs::find(db, id))?;
        self.place(&mut job);
        Ok(job)
    }

    fn place(&self, job: &mut Job) {
        if job.state == JobState::Queued {
            job.queue_position = self.queue.position(&job.id);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    fn stop(&self) {
        for ticket in self.shared.queue.stop() {
            if let Err(error) = self
                .shared
                .events
                .advance(&ticket.job_id, JobState::Interrupted)
            {
                // The next open marks it, as after a crash.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "job {} could not be marked as interrupted",
                    ticket.job_id
                );
            }
        }
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(worker) = worker {
            // A panic of the worker was told by the panic hook.
            worker.join().ok();
        }
        self.shared.touch();
    }
}

impl Studio {
    /// Opens a studio on the engine, see [`Self::open_with`].
    ///
    /// # Errors
    /// When the output folder cannot be used, or another studio uses it.
    pub fn open(options: StudioOptions) -> Result<Self> {
        let backend = EngineBackend::new(options.checkpoints_dir.clone());
        Self::open_with(options, Box::new(backend), Box::new(scan))
    }

    /// Opens a studio on `backend`: the library is opened, jobs that a stopped program left behind
    /// become interrupted, half-written songs are removed, and the worker starts.
    ///
    /// # Errors
    /// When the output folder cannot be used, or another studio uses it.
    pub fn open_with(
        options: StudioOptions,
        backend: Box<dyn Backend>,
        scan: Scan,
    ) -> Result<Self> {
        fs::create_dir_all(&options.output_dir)
            .map_err(Error::file("Creating the output folder"))?;
        let paths = Paths::new(options.output_dir);
        let lock = lock(&paths)?;
        let strays = song_file::remove_strays(paths.output_dir())?;
        let store = Arc::new(Store::open(&paths.library())?);
        let revision = Arc::new(watch::Sender::new(0));
        let events = Events::new(Arc::clone(&store), Arc::clone(&revision));
        let left = store.read(jobs::unfinished)?;
        for id in &left {
            events.advance(id, JobState::Interrupted)?;
        }
        if !left.is_empty() || strays > 0 {
            info!(
                jobs = left.len(),
                files = strays,
                "the last run was cut off: jobs are marked as interrupted, unfinished files removed"
            );
        }
        let found = scan(&options.checkpoints_dir);
        let shared = Arc::new(Shared {
            library: Library::new(Arc::clone(&store), paths.clone()),
            version: options.version.clone(),
            queue: Queue::new(options.queue_limit),
            service: Service::new(
                Fixed {
                    version: options.version,
                    pre_initialized: options.pre_initialized,
                    capabilities: options.capabilities,
                    notes: options.notes,
                    unlimited: options.unlimited,
                },
                options.requested,
                found,
            ),
            paths,
            store,
            events,
            revision,
            checkpoints_dir: options.checkpoints_dir,
            scan,
            _lock: lock,
        });
        let worker = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || worker::run(&shared, backend)
            })
            .map_err(Error::file("Starting the engine's thread"))?;
        Ok(Self(Arc::new(Handle {
            shared,
            worker: Mutex::new(Some(worker)),
        })))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Stops the studio: what runs is asked to stop, and with what waits becomes interrupted.
    /// Returns once the engine's thread has ended.
    pub fn shutdown(&self) {
        self.0.stop();
    }

    /// The service, its limits, what is installed.
    pub fn status(&self) -> ServiceStatus {
        self.shared().status()
    }

    /// A number that rises whenever the service, the queue, a job's state or a song changes. A job's
    /// progress is told by its own events only.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared().revision.subscribe()
    }

    /// Asks for the service to be loaded as `config` says, after the running job and before the
    /// waiting ones; the status tells how far it is.
    ///
    /// # Errors
    /// When a load is under way already.
    pub fn initialize(&self, config: ServiceConfig) -> Result<()> {
        self.ask_to_load(config, None)
    }

    /// The same, and waits until it is done.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    pub async fn initialize_and_wait(&self, config: ServiceConfig) -> Result<ServiceStatus> {
        let (reply, answer) = oneshot::channel();
        self.ask_to_load(config, Some(reply))?;
        // A dropped sender means that the studio stopped before the load's turn.
        answer.await.unwrap_or(Err(Error::Stopped))
    }

    fn ask_to_load(
        &self,
        config: ServiceConfig,
        reply: Option<oneshot::Sender<Result<ServiceStatus>>>,
    ) -> Result<()> {
        let shared = self.shared();
        self.rescan();
        let (resolved, notes) = shared.service.resolve(&config);
        let load = Load {
            wanted: resolved.clone(),
            cancel: CancelFlag::default(),
            span: Span::current(),
            reply,
        };
        shared
            .queue
            .load(load, || shared.service.begin(config, resolved, notes))?;
        shared.touch();
        Ok(())
    }

    /// Takes back a load: at once when it waits, else between two modules.
    pub fn cancel_initialize(&self) {
        let shared = self.shared();
        if let Some(load) = shared.queue.cancel_load(|| shared.service.withdraw())
            && let Some(reply) = load.reply
        {
            // Whoever asked may have gone.
            reply
                .send(Err(acestep_engine::error::Error::Cancelled.into()))
                .ok();
        }
        shared.touch();
    }

    /// Looks again for checkpoints.
    pub fn rescan(&self) {
        let shared = self.shared();
        shared
            .service
            .set_found((shared.scan)(&shared.checkpoints_dir));
        shared.touch();
    }

    /// What a fresh form holds for the loaded model.
    pub fn defaults(&self) -> GenerationParams {
        self.shared().service.defaults()
    }

    /// What a request is clamped to.
    pub fn bounds(&self) -> Bounds {
        self.shared().service.bounds()
    }

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

    /// Songs, newest first; those whose files are gone are left out.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn songs(&self, filter: &SongFilter) -> Result<SongList> {
        self.shared().library.list(filter)
    }

    /// The song.
    ///
    /// # Errors
    /// When there is none of that id, or its file is gone.
    pub fn song(&self, id: &str) -> Result<Song> {
        self.shared().library.present(id).map(|kept| kept.song)
    }

    /// Where the song's file lies. Not for the wire.
    ///
    /// # Errors
    /// When there is none of that id, or its file is gone.
    pub fn song_file(&self, id: &str) -> Result<PathBuf> {
        let shared = self.shared();
        let kept = shared.library.present(id)?;
        Ok(shared.paths.song(&kept.file_name))
    }

    /// Renames or marks a song. Its file keeps its name.
    ///
    /// # Errors
    /// When there is none of that id, or the title is empty.
    pub fn update_song(
        &self,
        id: &str,
        title: Option<String>,
        favourite: Option<bool>,
    ) -> Result<Song> {
        let shared = self.shared();
        let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        if let Some(title) = &title {
            if title.is_empty() {
                return Err(UserError::invalid(
                    "title",
                    "The title is empty.",
                    "Give at least one letter.",
                )
                .into());
            }
            if title.chars().count() > LONGEST_TITLE {
                return Err(UserError::invalid(
                    "title",
                    format!("The title has {} characters.", title.chars().count()),
                    format!("Give at most {LONGEST_TITLE}."),
                )
                .into());
            }
        }
        shared.library.present(id)?;
        let song = shared.library.update(id, title.as_deref(), favourite)?;
        shared.touch();
        Ok(song)
    }

    /// Deletes a song and its files.
    ///
    /// # Errors
    /// When there is none of that id, or its file cannot be removed.
    pub fn delete_song(&self, id: &str) -> Result<()> {
        let shared = self.shared();
        let kept = shared.library.find(id)?;
        // The file first: a row without its file is not listed, a file without its row would stay.
        song_file::remove(&shared.paths.song(&kept.file_name))?;
        shared.library.forget(id)?;
        shared.touch();
        Ok(())
    }

    /// The page's form as it was saved last.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn draft(&self) -> Result<Option<Value>> {
        self.shared().library.draft()
    }

    /// Keeps the page's form, so that a reload loses nothing.
    ///
    /// # Errors
    /// When the library cannot be written.
    pub fn save_draft(&self, form: &Value) -> Result<()> {
        self.shared().library.save_draft(form)
    }
}

/// Whether the caller wrote `thinking` himself: it is on by default.
fn asks_to_think(params: &Value) -> bool {
    ["thinking", "think"]
        .iter()
        .any(|key| params.get(key).is_some())
}

fn lock(paths: &Paths) -> Result<File> {
    let opening = "Opening the output folder";
    let file = File::create(paths.lock()).map_err(Error::file(opening))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse),
        Err(TryLockError::Error(source)) => Err(Error::file(opening)(source)),
    }
}
