//! What waits for the device: jobs in order, at most `limit` of them, and one request to load.
//!
//! A load goes before every waiting job, since it says what they shall run on; without a loaded
//! model jobs wait rather than fail.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use acestep_domain::service::{Resolved, ServiceStatus};
use tokio::sync::oneshot;
use tracing::Span;

use crate::error::{Error, Result};

/// A flag that the user may raise and a running stage looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A job that waits or runs.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) job_id: String,
    /// The model it was submitted for.
    pub(crate) model: String,
    /// Number and length of its songs may be lowered until they fit into the memory.
    pub(crate) fit: bool,
    pub(crate) cancel: CancelFlag,
    /// The caller's span, so that its log lines and the worker's belong together.
    pub(crate) span: Span,
}

/// Where a job stood when it was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stood {
    /// It waited, and is in the queue no more.
    Waiting,
    /// It runs, and stops at its next step or tile.
    Running,
    /// Neither.
    Over,
}

/// A request to load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) wanted: Resolved,
    pub(crate) cancel: CancelFlag,
    pub(crate) span: Span,
    /// Told when it is over.
    pub(crate) reply: Option<oneshot::Sender<Result<ServiceStatus>>>,
}

/// What the worker does next.
#[derive(Debug)]
pub(crate) enum Work {
    Load(Load),
    Run(Ticket),
    Stop,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Ticket>,
    running: Option<(String, CancelFlag)>,
    load: Option<Load>,
    loading: Option<CancelFlag>,
    model_loaded: bool,
    stopping: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job; `store` records it while the place is held, so that a full queue leaves no
    /// trace and the worker finds the record.
    pub(crate) fn submit(&self, ticket: Ticket, store: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut state = self.lock();
        if state.stopping {
            return Err(Error::Stopped);
        }
        if state.waiting.len() >= self.limit {
            return Err(Error::Busy { limit: self.limit });
        }
        store()?;
        state.waiting.push_back(ticket);
        self.changed.notify_all();
        Ok(())
    }

    /// Asks for a load, one at a time; `begin` is called before the worker can see it.
    pub(crate) fn load(&self, load: Load, begin: impl FnOnce()) -> Result<()> {
        let mut state = self.lock();
        if state.stopping {
            return Err(Error::Stopped);
        }
        if state.load.is_some() || state.loading.is_some() {
            return Err(Error::Conflict {
                what: "The service is being initialised already.".to_owned(),
                hint: "Wait until it is done, or cancel it first.",
            });
        }
        begin();
        state.load = Some(load);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes back a load that waits (returned, after `withdraw`), or asks a running one to stop.
    pub(crate) fn cancel_load(&self, withdraw: impl FnOnce()) -> Option<Load> {
        let mut state = self.lock();
        if let Some(cancel) = &state.loading {
            cancel.raise();
        }
        let load = state.load.take();
        if load.is_some() {
            withdraw();
        }
        load
    }

    /// Lets the worker load on its own account, unless the user has asked for a load, which then comes
    /// next anyway.
    pub(crate) fn claim_load(&self, cancel: &CancelFlag) -> bool {
        let mut state = self.lock();
        if state.load.is_some() || state.stopping {
            return false;
        }
        state.loading = Some(cancel.clone());
        true
    }

    /// The load that the worker took is over: another may be asked for.
    pub(crate) fn load_done(&self) {
        self.lock().loading = None;
    }

    /// Waits for something to do. Called by the worker, which has finished what it did before.
    pub(crate) fn next(&self) -> Work {
        let mut state = self.lock();
        state.running = None;
        state.loading = None;
        loop {
            if state.stopping {
                return Work::Stop;
            }
            if let Some(load) = state.load.take() {
                state.loading = Some(load.cancel.clone());
                return Work::Load(load);
            }
            if state.model_loaded
                && let Some(ticket) = state.waiting.pop_front()
            {
                state.running = Some((ticket.job_id.clone(), ticket.cancel.clone()));
                return Work::Run(ticket);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says whether jobs can run.
    pub(crate) fn set_model_loaded(&self, loaded: bool) {
        self.lock().model_loaded = loaded;
        self.changed.notify_all();
    }

    /// Place of a waiting job, 1 = next.
    pub(crate) fn position(&self, job_id: &str) -> Option<usize> {
        self.lock()
            .waiting
            .iter()
            .position(|ticket| ticket.job_id == job_id)
            .map(|index| index + 1)
    }

    /// Moves a waiting job to `position`, 1 = next, or to the end if there are fewer.
    pub(crate) fn move_to(&self, job_id: &str, position: usize) -> bool {
        let mut state = self.lock();
        let waiting = &mut state.waiting;
        let Some(ticket) = waiting
            .iter()
            .position(|ticket| ticket.job_id == job_id)
            .and_then(|index| waiting.remove(index))
        else {
            return false;
        };
        let index = position.saturating_sub(1).min(waiting.len());
        waiting.insert(index, ticket);
        true
    }

    /// Whether the running job was asked to stop.
    pub(crate) fn is_cancelling(&self, job_id: &str) -> bool {
        let state = self.lock();
        let running = state.running.as_ref().filter(|(id, _)| id == job_id);
        running.is_some_and(|(_, cancel)| cancel.is_raised())
    }

    /// Jobs that may wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Jobs waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes a waiting job out, or asks the running one to stop.
    pub(crate) fn cancel(&self, job_id: &str) -> Stood {
        let mut state = self.lock();
        if let Some(index) = state
            .waiting
            .iter()
            .position(|ticket| ticket.job_id == job_id)
        {
            state.waiting.remove(index);
            return Stood::Waiting;
        }
        match state.running.as_ref().filter(|(id, _)| id == job_id) {
            Some((_, cancel)) => {
                cancel.raise();
                Stood::Running
            }
            None => Stood::Over,
        }
    }

    /// Stops taking and giving work, asks what runs to stop, and returns the jobs that waited.
    pub(crate) fn stop(&self) -> Vec<Ticket> {
        let mut state = self.lock();
        state.stopping = true;
        state.load = None;
        for cancel in state
            .running
            .iter()
            .map(|(_, cancel)| cancel)
            .chain(&state.loading)
        {
            cancel.raise();
        }
        let waiting = std::mem::take(&mut state.waiting).into();
        self.changed.notify_all();
        waiting
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }
}
