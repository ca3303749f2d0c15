//! The studio's handle: one method a use case. Cheap to clone; the last clone that is dropped stops
//! the studio. Here: its life and the service; `jobs`, `loras` and `songs` hold the rest.

mod again;
mod downloads;
mod errand;
mod jobs;
mod listening;
mod loras;
mod plans;
mod songs;
mod tally;
mod uploads;

pub(crate) use jobs::{Asked, Runs};
pub(crate) use plans::Given;
pub use tally::Tally;

use std::{
    fs::{self, File, TryLockError},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::Capabilities,
    generation::clamp::Bounds,
    job::{Job, JobState},
    service::{ServiceConfig, ServiceStatus},
};
use tokio::sync::{oneshot, watch};
use tracing::{Span, info};

use crate::{
    adopt::adopt,
    backend::{
        Backend, Scan, Survey,
        engine::{EngineBackend, scan},
    },
    download::{DownloadOptions, Downloads},
    error::{Error, Result},
    events::Events,
    jobs as records,
    library::Library,
    paces::Paces,
    paths::Paths,
    queue::{CancelFlag, Load, Queue},
    service::{Fixed, Service},
    song_file,
    store::{End, Store},
    uploads::Uploads,
    worker,
};

/// How a studio is set up.
#[derive(Debug, Clone)]
pub struct StudioOptions {
    /// Where songs and the library lie; created when missing.
    pub output_dir: PathBuf,
    /// Where checkpoints lie; may be missing.
    pub checkpoints_dir: PathBuf,
    /// Where adapters lie; may be missing.
    pub lora_dir: PathBuf,
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
    /// Nobody but the operator decides what is loaded.
    pub service_mode: bool,
    /// Where released checkpoints are downloaded from.
    pub downloads: DownloadOptions,
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
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) queue: Queue,
    pub(crate) service: Service,
    pub(crate) paces: Paces,
    pub(crate) downloads: Arc<Downloads>,
    revision: Arc<watch::Sender<u64>>,
    checkpoints_dir: PathBuf,
    lora_dir: PathBuf,
    scan: Scan,
    pub(crate) survey: Survey,
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
        // What cannot be recorded now waits for the next look; it is told by the jobs meanwhile.
        self.store.catch_up().ok();
        ServiceStatus {
            downloads: self.downloads.list(),
            checkpoints_free_bytes: self.downloads.free_bytes(),
            ..self.service.status(self.queue.len())
        }
    }

    pub(crate) fn rescan(&self) {
        self.service.set_found((self.scan)(&self.checkpoints_dir));
        self.touch();
    }

    /// Ends a job with an error.
    pub(crate) fn fail_job(&self, id: &str, error: UserError) -> Result<()> {
        self.events.end(id, End::failed(error))
    }

    fn job(&self, id: &str) -> Result<Job> {
        let mut job = self.store.read(|db| {
            let mut job = records::find(db, id)?;
            self.store.unrecorded().lay_over(&mut job);
            Ok(job)
        })?;
        self.place(&mut job);
        Ok(job)
    }

    fn place(&self, job: &mut Job) {
        match job.state {
            JobState::Queued => {
                job.queue_position = self.queue.position(&job.id);
                job.expected_secs = self.secs_of(job);
            }
            JobState::Running => job.cancelling = self.queue.is_cancelling(&job.id),
            _ => {}
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
        // Not waited for: it may sit in a read from the network, and what it fetched is kept as it is.
        self.shared.downloads.stop();
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
        let backend = EngineBackend::new(options.checkpoints_dir.clone(), options.lora_dir.clone());
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
        let left = store.read(records::unfinished)?;
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
        let adopted = adopt(&paths, &store)?;
        if adopted > 0 {
            info!(
                songs = adopted,
                "songs of the output folder are in the library again"
            );
        }
        let found = scan(&options.checkpoints_dir);
        let shared = Arc::new(Shared {
            library: Library::new(Arc::clone(&store), paths.clone()),
            uploads: Arc::new(Uploads::open(Arc::clone(&store), paths.clone())?),
            version: options.version.clone(),
            queue: Queue::new(options.queue_limit),
            service: Service::new(
                Fixed {
                    version: options.version,
                    pre_initialized: options.pre_initialized,
                    operator_only: options.service_mode.then(|| options.requested.clone()),
                    capabilities: options.capabilities,
                    notes: options.notes,
                    unlimited: options.unlimited,
                },
                options.requested,
                found,
            ),
            paces: Paces::new(paths.output_dir()),
            downloads: Arc::new(Downloads::open(
                options.checkpoints_dir.clone(),
                options.downloads,
            )),
            paths,
            store,
            events,
            revision,
            checkpoints_dir: options.checkpoints_dir,
            lora_dir: options.lora_dir,
            scan,
            survey: backend.survey(),
            _lock: lock,
        });
        let worker = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || worker::run(&shared, backend)
            })
            .map_err(Error::file("Starting the engine's thread"))?;
        downloads::follow(&shared)?;
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
        shared.service.admit(&config)?;
        self.rescan();
        shared.service.check_names(&config)?;
        let (resolved, notes) = shared.service.resolve(&config);
        Service::consent(&config, &notes)?;
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
        self.shared().rescan();
    }

    /// What a fresh form holds for the loaded model.
    pub fn defaults(&self) -> GenerationParams {
        self.shared().service.defaults()
    }

    /// What a request is clamped to.
    pub fn bounds(&self) -> Bounds {
        self.shared().service.bounds()
    }
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

#[cfg(test)]
mod tests;
