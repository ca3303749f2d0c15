//! What is loaded and what is being loaded: idle → loading → ready | failed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::{Capabilities, LmEntry},
    event::{Progress, Stage},
    generation::{clamp::Bounds, lm_room::Room},
    lora::LoraUse,
    service::{
        Installed, LoadedLm, LoadedModel, Resolved, ServiceConfig, ServiceState, ServiceStatus,
        check_names, resolve,
    },
    task::Family,
    tier::{Limits, LmSize},
};

use crate::{
    backend::{Found, Loaded, Memory},
    error::{Error, Result},
    loadout::{Loadout, defaults_within},
    pace::{LmRates, Rates},
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
    lm: Option<LoadedLm>,
    /// Adapters in use for the next song.
    loras: Vec<LoraUse>,
    /// What was found out when the main model was loaded.
    main_notes: Vec<Note>,
    progress: Option<Progress>,
    error: Option<UserError>,
    /// Loaded at start, or still expected to be; a start that came to nothing gives the choice to the user.
    pre_initialized: bool,
    rates: Rates,
    /// Of what is loaded.
    memory: Option<Memory>,
}

impl Inner {
    /// The loaded model, refused when there is none.
    fn loaded(&self) -> Result<&LoadedModel> {
        self.model.as_ref().ok_or(Error::NotReady {
            loading: self.state == ServiceState::Loading,
        })
    }

    /// What memory plans are made of, without a language model that was planned for and has not come.
    fn planned_by(&self) -> Option<Memory> {
        let memory = self.memory.clone()?;
        Some(if self.lm.is_some() {
            memory
        } else {
            Memory {
                models: memory.models.without_lm(),
                ..memory
            }
        })
    }
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
                lm: None,
                loras: Vec::new(),
                main_notes: Vec::new(),
                progress: None,
                error: None,
                pre_initialized: fixed.pre_initialized,
                rates: Rates::default(),
                memory: None,
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

    /// Refuses what service mode leaves to the operator: `what` of it cannot be done from here.
    pub(crate) fn admit_to(&self, what: &str) -> Result<()> {
        match &self.operator_only {
            Some(_) => Err(Error::Conflict {
                what: format!("In service mode {what} from here."),
                hint: "Ask whoever runs this studio, or start it without --service_mode.",
            }),
            None => Ok(()),
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
            lm_loaded: inner.lm.is_some(),
            lm: inner.lm.clone(),
            loras: inner.loras.clone(),
            capabilities: self.capabilities.clone(),
            models: inner.found.models.clone(),
            lms: language_models(&inner.found, &self.capabilities),
            requested: inner.shown.requested.clone(),
            resolved: inner.shown.resolved.clone(),
            notes,
            model: inner.model.clone(),
            progress: inner.progress.clone(),
            error: inner.error.clone(),
            queue_length,
            downloadable: match self.operator_only {
                Some(_) => Vec::new(),
                None => inner.found.downloadable.clone(),
            },
            downloads: Vec::new(),
            checkpoints_free_bytes: None,
        }
    }

    pub(crate) fn set_found(&self, found: Found) {
        self.lock().found = found;
    }

    /// Settles a request for this machine.
    pub(crate) fn resolve(&self, requested: &ServiceConfig) -> (Resolved, Vec<Note>) {
        let inner = self.lock();
        let lms = language_models(&inner.found, &self.capabilities);
        let installed = Installed {
            models: &inner.found.models,
            lms: &lms,
        };
        resolve(requested, &self.capabilities, installed)
    }

    /// Refuses a name that stands in the wrong place.
    pub(crate) fn check_names(&self, requested: &ServiceConfig) -> Result<()> {
        let inner = self.lock();
        let lms = language_models(&inner.found, &self.capabilities);
        let installed = Installed {
            models: &inner.found.models,
            lms: &lms,
        };
        Ok(check_names(requested, installed)?)
    }

    /// Refuses a language model that is too large for the tier, until the user has said that it is
    /// meant.
    pub(crate) fn consent(requested: &ServiceConfig, notes: &[Note]) -> Result<()> {
        let over = notes.iter().find(|note| note.code == "lm_over_tier");
        match over {
            Some(note) if !requested.lm_over_tier_confirmed => Err(UserError {
                field: Some("lm_model_path".to_owned()),
                ..UserError::new(
                    "lm_over_tier",
                    note.message.clone(),
                    "Choose a smaller one, or confirm it (lm_over_tier_confirmed).",
                )
            }
            .into()),
            _ => Ok(()),
        }
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

    /// What is in force, or was until it was dropped for a load that failed, is to be loaded once more, as
    /// `wanted` says.
    pub(crate) fn begin_again(&self, wanted: &Resolved) {
        let mut inner = self.lock();
        if inner.in_force.resolved.is_some() {
            inner.shown = inner.in_force.clone();
        }
        inner.shown.resolved = Some(wanted.clone());
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
        inner.lm = None;
        inner.memory = None;
        inner.rates = Rates::default();
        inner.in_force.resolved = None;
        inner.in_force.notes.clear();
    }

    /// The main model is loaded.
    pub(crate) fn main_loaded(&self, loaded: Loaded) {
        let mut inner = self.lock();
        inner.main_notes = loaded.notes;
        inner.model = Some(loaded.model);
    }

    /// Whether the main model that `wanted` asks for is loaded as it asks.
    pub(crate) fn runs_main(&self, wanted: &Resolved) -> bool {
        let without_lm = |resolved: &Resolved| Resolved {
            init_llm: false,
            lm_model_path: None,
            ..resolved.clone()
        };
        let inner = self.lock();
        let in_force = inner.in_force.resolved.as_ref().map(without_lm);
        inner.model.is_some() && in_force == Some(without_lm(wanted))
    }

    /// Whatever is loaded is to be loaded anew.
    pub(crate) fn forget_main(&self) {
        self.lock().model = None;
    }

    /// The language model is loaded, or there is none.
    pub(crate) fn lm_loaded(&self, lm: Option<LoadedLm>) {
        let mut inner = self.lock();
        inner.lm = lm;
        // Another language model has a pace of its own.
        inner.rates.lm = LmRates::default();
    }

    /// The user took back what should have come in place of the language model; it is gone.
    pub(crate) fn lm_given_up(&self) {
        if let Some(resolved) = &mut self.lock().in_force.resolved {
            resolved.init_llm = false;
            resolved.lm_model_path = None;
        }
    }

    /// Loading is over.
    pub(crate) fn ready(&self, notes: Vec<Note>) {
        let mut inner = self.lock();
        let of_main = inner.main_notes.clone();
        for note in of_main.into_iter().chain(notes) {
            if !inner.shown.notes.contains(&note) {
                inner.shown.notes.push(note);
            }
        }
        inner.in_force = inner.shown.clone();
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
        self.lock().loaded().cloned()
    }

    /// What requests are read and planned by, refused when no model is loaded.
    pub(crate) fn loadout(&self) -> Result<Loadout> {
        let inner = self.lock();
        let model = inner.loaded()?;
        Ok(Loadout {
            model: model.name.clone(),
            audio_codes: model.audio_codes,
            times_lyrics: model.times_lyrics,
            lm_has_codes: inner.lm.as_ref().map(|lm| lm.has_codes),
            lm_room: inner.lm.as_ref().map(Room::from),
            bounds: self.bounds_of(&inner),
            rates: inner.rates,
            memory: inner.planned_by(),
        })
    }

    /// What would be loaded if somebody asked now for what was asked last, and what there is to say
    /// of it.
    pub(crate) fn next(&self) -> (Resolved, Vec<Note>) {
        let requested = self.lock().shown.requested.clone();
        self.resolve(&requested)
    }

    /// The settings that are in force, once a model is loaded.
    pub(crate) fn in_force(&self) -> Option<Resolved> {
        self.lock().in_force.resolved.clone()
    }

    /// The loaded language model.
    pub(crate) fn lm(&self) -> Option<LoadedLm> {
        self.lock().lm.clone()
    }

    /// The adapters in use for the next song.
    pub(crate) fn loras(&self) -> Vec<LoraUse> {
        self.lock().loras.clone()
    }

    /// Changes the adapters in use for the next song.
    pub(crate) fn change_loras<T>(&self, change: impl FnOnce(&mut Vec<LoraUse>) -> T) -> T {
        change(&mut self.lock().loras)
    }

    pub(crate) fn set_memory(&self, memory: Option<Memory>) {
        self.lock().memory = memory;
    }

    /// What memory plans are made of.
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.lock().planned_by()
    }

    pub(crate) fn rates(&self) -> Rates {
        self.lock().rates
    }

    pub(crate) fn set_rates(&self, rates: Rates) {
        self.lock().rates = rates;
    }

    pub(crate) fn defaults(&self) -> GenerationParams {
        defaults_within(self.bounds())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds_of(&self.lock())
    }

    fn bounds_of(&self, inner: &Inner) -> Bounds {
        Bounds {
            tier: self.capabilities.tier,
            lm_loaded: inner.lm.is_some(),
            family: inner
                .model
                .as_ref()
                .map_or(Family::default(), |model| model.family),
            unlimited: self.unlimited,
        }
    }
}

fn load_progress(done: usize, total: usize) -> Progress {
    Progress {
        writing: None,
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
fn language_models(found: &Found, machine: &Capabilities) -> Vec<LmEntry> {
    let entry = |(name, bytes): &(String, u64), built_in| {
        LmEntry::installed(name.clone(), *bytes, built_in, machine)
    };
    let mut lms: Vec<LmEntry> = found.lms.iter().map(|lm| entry(lm, false)).collect();
    lms.extend(found.built_in_lm.iter().map(|lm| entry(lm, true)));
    for size in LmSize::ALL {
        let released = LmEntry::released(size, machine);
        if !lms.iter().any(|lm| lm.name == released.name) {
            lms.push(released);
        }
    }
    lms.sort_by(|a, b| (a.size, &a.name).cmp(&(b.size, &b.name)));
    lms
}
