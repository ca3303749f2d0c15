//! What is loaded and what is being loaded: idle → loading → ready | failed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::{Capabilities, LmEntry},
    defaults::defaults,
    event::{Progress, Stage},
    generation::clamp::{Bounds, Clamped, clamp},
    service::{
        Installed, LoadedModel, Resolved, ServiceConfig, ServiceState, ServiceStatus, resolve,
    },
    task::{Family, TaskType},
    tier::{GpuTier, Limits, LmSize},
};

use crate::{
    backend::{Found, Loaded},
    error::{Error, Result},
    pace::Rates,
};

/// What one request to initialise comes to.
#[derive(Debug, Clone, Default)]
struct Attempt {
    requested: ServiceConfig,
    resolved: Option<Resolved>,
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Inner {
    state: ServiceState,
    found: Found,
    /// The last request, shown whatever became of it.
    shown: Attempt,
    /// The request that is loaded; what is shown when a later one is taken back.
    in_force: Attempt,
    model: Option<LoadedModel>,
    progress: Option<Progress>,
    error: Option<UserError>,
    /// Loaded at start, or still expected to be; a start that came to nothing gives the choice to the user.
    pre_initialized: bool,
    rates: Rates,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    version: String,
    operator_only: Option<ServiceConfig>,
    capabilities: Capabilities,
    /// Notes about the environment, there from the start.
    notes: Vec<Note>,
    unlimited: bool,
    inner: Mutex<Inner>,
}

/// What stays the same while the program runs.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) version: String,
    pub(crate) pre_initialized: bool,
    /// In service mode: the only configuration that may be loaded.
    pub(crate) operator_only: Option<ServiceConfig>,
    pub(crate) capabilities: Capabilities,
    pub(crate) notes: Vec<Note>,
    pub(crate) unlimited: bool,
}

impl Service {
    pub(crate) fn new(fixed: Fixed, requested: ServiceConfig, found: Found) -> Self {
        let idle = Attempt {
            requested,
            ..Attempt::default()
        };
        Self {
            version: fixed.version,
            operator_only: fixed.operator_only,
            // Lifting limits concerns machines whose memory is not a card's.
            unlimited: fixed.unlimited && fixed.capabilities.vram.total_gib == 0.0,
            capabilities: fixed.capabilities,
            notes: fixed.notes,
            inner: Mutex::new(Inner {
                state: ServiceState::NotInitialized,
                found,
                shown: idle.clone(),
                in_force: idle,
                model: None,
                progress: None,
                error: None,
                pre_initialized: fixed.pre_initialized,
                rates: Rates::default(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what service mode leaves to the operator.
    pub(crate) fn admit(&self, config: &ServiceConfig) -> Result<()> {
        match &self.operator_only {
            Some(only) if only != config => Err(Error::Conflict {
                what: "In service mode the loaded models cannot be changed from here.".to_owned(),
                hint: "Ask whoever runs this studio, or start it without --service_mode.",
            }),
            _ => Ok(()),
        }
    }

    /// Everything a client needs to draw the service.
    pub(crate) fn status(&self, queue_length: usize) -> ServiceStatus {
        let inner = self.lock();
        let mut notes = self.notes.clone();
        notes.extend(inner.shown.notes.iter().cloned());
        let (max_duration_secs, max_batch_size) = self.bounds_of(&inner).limits();
        ServiceStatus {
            version: self.version.clone(),
            state: inner.state,
            pre_initialized: inner.pre_initialized,
            service_mode: self.operator_only.is_some(),
            tier: self.capabilities.tier,
            vram: self.capabilities.vram,
            limits: Some(Limits {
                max_duration_secs: max_duration_secs as u32,
                max_batch_size,
            }),
            lm_loaded: false,
            capabilities: self.capabilities.clone(),
            models: inner.found.models.clone(),
            lms: language_models(&inner.found, self.capabilities.tier),
            requested: inner.shown.requested.clone(),
            resolved: inner.shown.resolved.clone(),
            notes,
            model: inner.model.clone(),
            progress: inner.progress.clone(),
            error: inner.error.clone(),
            queue_length,
        }
    }

    pub(crate) fn set_found(&self, found: Found) {
        self.lock().found = found;
    }

    /// Settles a request for this machine.
    pub(crate) fn resolve(&self, requested: &ServiceConfig) -> (Resolved, Vec<Note>) {
        let inner = self.lock();
        let lms = language_models(&inner.found, self.capabilities.tier);
        let installed = Installed {
            models: &inner.found.models,
            lms: &lms,
        };
        let (resolved, mut notes) = resolve(requested, &self.capabilities, installed);
        if resolved.init_llm {
            notes.push(Note::new(
                "lm_not_in_this_version",
                "init_llm",
                "Language model: loading one comes in a later version; songs are made without it, and the limits without a language model apply.",
            ));
        }
        (resolved, notes)
    }

    /// A load was asked for.
    pub(crate) fn begin(&self, requested: ServiceConfig, resolved: Resolved, notes: Vec<Note>) {
        let mut inner = self.lock();
        inner.shown = Attempt {
            requested,
            resolved: Some(resolved),
            notes,
        };
        inner.state = ServiceState::Loading;
        inner.error = None;
        inner.progress = Some(load_progress(0, 0));
    }

    /// What is in force is to be loaded once more.
    pub(crate) fn begin_again(&self) {
        let mut inner = self.lock();
        inner.shown = inner.in_force.clone();
        inner.state = ServiceState::Loading;
        inner.error = None;
        inner.progress = Some(load_progress(0, 0));
    }

    /// The load that was asked for was taken back before it began, or stopped.
    pub(crate) fn withdraw(&self) {
        let mut inner = self.lock();
        inner.progress = None;
        inner.error = None;
        inner.shown = inner.in_force.clone();
        inner.state = if inner.model.is_some() {
            ServiceState::Ready
        } else {
            ServiceState::NotInitialized
        };
        inner.pre_initialized &= inner.model.is_some();
    }

    pub(crate) fn progress(&self, done: usize, total: usize) {
        self.lock().progress = Some(load_progress(done, total));
    }

    /// What was loaded is loaded no more.
    pub(crate) fn unloaded(&self) {
        let mut inner = self.lock();
        inner.model = None;
        inner.rates = Rates::default();
        inner.in_force.resolved = None;
        inner.in_force.notes.clear();
    }

    /// Loading is over.
    pub(crate) fn loaded(&self, loaded: Loaded) {
        let mut inner = self.lock();
        for note in loaded.notes {
            if !inner.shown.notes.contains(&note) {
                inner.shown.notes.push(note);
            }
        }
        inner.in_force = inner.shown.clone();
        inner.model = Some(loaded.model);
        inner.state = ServiceState::Ready;
        inner.progress = None;
        inner.error = None;
    }

    /// Loading failed; what was loaded before may still be.
    pub(crate) fn failed(&self, error: UserError) {
        let mut inner = self.lock();
        inner.state = ServiceState::Failed;
        inner.progress = None;
        inner.error = Some(error);
        inner.pre_initialized &= inner.model.is_some();
    }

    /// The loaded model, refused when there is none.
    pub(crate) fn model(&self) -> Result<LoadedModel> {
        let inner = self.lock();
        inner.model.clone().ok_or(Error::NotReady {
            loading: inner.state == ServiceState::Loading,
        })
    }

    /// The settings that are in force, once a model is loaded.
    pub(crate) fn in_force(&self) -> Option<Resolved> {
        self.lock().in_force.resolved.clone()
    }

    pub(crate) fn rates(&self) -> Rates {
        self.lock().rates
    }

    pub(crate) fn set_rates(&self, rates: Rates) {
        self.lock().rates = rates;
    }

    pub(crate) fn defaults(&self) -> GenerationParams {
        defaults(self.bounds().family, self.capabilities.tier)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds_of(&self.lock())
    }

    fn bounds_of(&self, inner: &Inner) -> Bounds {
        Bounds {
            tier: self.capabilities.tier,
            // No language model takes part yet.
            lm_loaded: false,
            family: inner
                .model
                .as_ref()
                .map_or(Family::default(), |model| model.family),
            unlimited: self.unlimited,
        }
    }

    /// Brings `params` inside what the loaded model and this version can do.
    pub(crate) fn settle(&self, params: GenerationParams) -> Result<Clamped> {
        let model = self.model()?;
        if !model.tasks.contains(&params.task_type) {
            return Err(unsupported_task(params.task_type, &model));
        }
        if !params.audio_codes.trim().is_empty() {
            return Err(Error::Unsupported {
                field: "audio_codes",
                what: "Generating from audio codes".to_owned(),
                possible: "Leave audio_codes empty: the song is made from caption and lyrics."
                    .to_owned(),
            });
        }
        Ok(clamp(params, self.bounds())?)
    }
}

fn unsupported_task(asked: TaskType, model: &LoadedModel) -> Error {
    let possible: Vec<&str> = model.tasks.iter().map(|task| task.as_str()).collect();
    Error::Unsupported {
        field: "task_type",
        what: format!("The task {}", asked.as_str()),
        possible: format!("Possible with {}: {}.", model.name, possible.join(", ")),
    }
}

fn load_progress(done: usize, total: usize) -> Progress {
    Progress {
        stage: Stage::Load,
        item: 0,
        done,
        total,
        fraction: if total == 0 {
            0.0
        } else {
            (done as f32 / total as f32).min(1.0)
        },
        eta_secs: None,
    }
}

/// What is installed, and the released ones that are not.
fn language_models(found: &Found, tier: GpuTier) -> Vec<LmEntry> {
    let entry = |name: String, size_bytes: u64, installed: bool| {
        let size = LmSize::from_name(&name);
        LmEntry {
            name,
            size,
            size_bytes,
            installed,
            within_tier: tier.row().lm_sizes.contains(&size),
        }
    };
    let mut lms: Vec<LmEntry> = found
        .lms
        .iter()
        .map(|(name, bytes)| entry(name.clone(), *bytes, true))
        .collect();
    for size in LmSize::ALL {
        let name = size.folder();
        if !lms.iter().any(|lm| lm.name == name) {
            lms.push(entry(name, 0, false));
        }
    }
    lms.sort_by(|a, b| (a.size, &a.name).cmp(&(b.size, &b.name)));
    lms
}
