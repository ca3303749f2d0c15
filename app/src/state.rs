//! What every page shares: the studio as it is, and the form.
//!
//! The server draws from [`Snapshot`] and sends it along; the browser starts from the same values, then
//! follows `/api/v1/events` (a number that grows with every change) by fetching a fresh snapshot.
//! Steps of a running job come by `/api/v1/jobs/{id}/events`. Signals are set only when a value changed.

#[cfg(feature = "hydrate")]
mod awaited;
pub mod check;
#[cfg(feature = "hydrate")]
mod draft;
#[cfg(feature = "hydrate")]
pub mod early;
#[cfg(feature = "hydrate")]
pub mod events;
pub mod fields;
pub mod fill;
pub mod form;
pub mod idle;
pub mod lengths;
pub mod lm;
pub mod loras;
pub mod needs;
pub mod recordings;
pub mod request;
pub mod song_action;
pub mod task;
pub mod unseen;

use acestep_domain::{
    UserError,
    event::Progress,
    generation::{GenerationParams, clamp::Bounds},
    job::{Job, JobState},
    library::Song,
    lora::LoraList,
    service::{ServiceState, ServiceStatus},
    tier::{GpuTier, limits},
};
use leptos::prelude::*;

use self::{form::Form, loras::Adapters, needs::Needs, recordings::Recordings};
use crate::api::{recordings::Recording, snapshot::Snapshot};

/// Signals of the studio. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct StudioStore {
    /// The service.
    pub status: RwSignal<ServiceStatus>,
    /// The latest jobs, newest first.
    pub jobs: RwSignal<Vec<Job>>,
    /// The latest songs, newest first.
    pub songs: RwSignal<Vec<Song>>,
    /// What a fresh form holds for the loaded model.
    pub defaults: RwSignal<GenerationParams>,
    /// Progress of the running job, ahead of `jobs`.
    pub progress: RwSignal<Option<(String, Progress)>>,
    /// The studio's messages stopped coming; the browser tries again by itself.
    pub lost: RwSignal<bool>,
    /// How often they came back.
    pub returned: RwSignal<u32>,
    /// The last failure to reach the studio; cleared by the next success.
    pub trouble: RwSignal<Option<UserError>>,
}

/// What the server hands over with the page.
type Handover = (
    Snapshot,
    Option<serde_json::Value>,
    Vec<Recording>,
    LoraList,
    Option<UserError>,
);

impl StudioStore {
    /// Provides store and [`Form`] from the snapshot that came with the page.
    pub fn provide() -> Self {
        let handover =
            SharedValue::<Handover, crate::wire::ByPlace>::new_with_encoding(first_handover)
                .into_inner();
        let (snapshot, draft, recordings, loras, trouble) = handover;
        let store = Self {
            status: RwSignal::new(snapshot.status),
            jobs: RwSignal::new(snapshot.jobs),
            songs: RwSignal::new(snapshot.songs),
            defaults: RwSignal::new(snapshot.defaults),
            progress: RwSignal::new(None),
            lost: RwSignal::new(false),
            returned: RwSignal::new(0),
            trouble: RwSignal::new(trouble),
        };
        provide_context(store);
        let recordings = Recordings::new(store, recordings);
        provide_context(recordings);
        provide_context(Adapters::new(loras));
        provide_context(Form::new(store, recordings, draft.as_ref()));
        Needs::provide();
        store
    }

    /// The store of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// Keeps the signals true in the browser; the server draws once.
    pub fn follow(self) {
        #[cfg(feature = "hydrate")]
        events::follow(self);
        Form::expect().keep();
        Adapters::expect().follow();
        Needs::expect().follow(Form::expect());
    }

    /// Takes over a fresh snapshot.
    pub fn apply(self, fresh: Snapshot) {
        set_if_changed(self.status, fresh.status);
        set_if_changed(self.jobs, fresh.jobs);
        set_if_changed(self.songs, fresh.songs);
        set_if_changed(self.defaults, fresh.defaults);
        set_if_changed(self.trouble, None);
    }

    /// Fetches a fresh snapshot now.
    pub fn refresh(self) {
        #[cfg(feature = "hydrate")]
        events::refresh(self);
    }

    /// A model is loaded and can generate.
    pub fn is_ready(self) -> bool {
        self.status
            .with(|status| status.model.is_some() && status.state != ServiceState::NotInitialized)
    }

    /// The running job.
    pub fn running(self) -> Option<Job> {
        self.jobs.with(|jobs| {
            jobs.iter()
                .find(|job| job.state == JobState::Running)
                .cloned()
        })
    }

    /// Jobs that wait, next first.
    pub fn queue(self) -> Vec<Job> {
        let mut waiting: Vec<Job> = self.jobs.with(|jobs| {
            jobs.iter()
                .filter(|job| job.state == JobState::Queued)
                .cloned()
                .collect()
        });
        waiting.sort_by_key(|job| job.queue_position);
        waiting
    }

    /// What a request is clamped to right now.
    pub fn bounds(self) -> Bounds {
        self.status.with(|status| {
            let lifted = limits(GpuTier::Unlimited, status.lm_loaded);
            Bounds {
                tier: status.tier,
                lm_loaded: status.lm_loaded,
                family: status
                    .model
                    .as_ref()
                    .map(|model| model.family)
                    .unwrap_or_default(),
                unlimited: status.tier != GpuTier::Unlimited && status.limits == Some(lifted),
            }
        })
    }
}

fn set_if_changed<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|now| *now != value) {
        signal.set(value);
    }
}

#[cfg(feature = "ssr")]
fn first_handover() -> Handover {
    match crate::api::snapshot::take() {
        Ok(snapshot) => {
            let draft = crate::api::snapshot::draft();
            let recordings = crate::api::snapshot::recordings(draft.as_ref());
            let loras = crate::api::loras::take().unwrap_or_default();
            (snapshot, draft, recordings, loras, None)
        }
        Err(error) => (
            Snapshot::default(),
            None,
            Vec::new(),
            LoraList::default(),
            Some(error.0),
        ),
    }
}

#[cfg(not(feature = "ssr"))]
fn first_handover() -> Handover {
    (
        Snapshot::default(),
        None,
        Vec::new(),
        LoraList::default(),
        None,
    )
}
