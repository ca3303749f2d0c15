//! What jobs need, told before they begin.

use std::borrow::Cow;

use acestep_domain::{
    GenerationParams,
    job::{Job, JobKind},
    memory::RunPlan,
};
use acestep_engine::memory::plan::{Brought, lora_bytes};

use super::Shared;
use crate::{pace::Rates, recordings::SOURCE};

/// Seconds that are heard of each reference.
const REFERENCE_SECS: f64 = 30.0;

/// What is brought along, and how much of it is encoded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) brought: Brought,
    pub(crate) heard_secs: f64,
}

impl Shared {
    /// What a job of `kind` by `params`, settled, needs with what is loaded; `None` where nothing is
    /// known of its sizes.
    pub(crate) fn plan(
        &self,
        kind: JobKind,
        params: &GenerationParams,
        source_song_id: Option<&str>,
    ) -> Option<RunPlan> {
        let given = self.given(kind, params, source_song_id);
        self.service.plan(kind, params, given)
    }

    /// What a job that waits needs.
    pub(crate) fn plan_of(&self, job: &Job) -> Option<RunPlan> {
        let (params, source) = self.asked_of(job);
        self.plan(job.kind, &params, source)
    }

    /// How long a job that waits will take, as far as that is known: less work than its whole plan, so
    /// that a long queue is told quickly.
    pub(crate) fn secs_of(&self, job: &Job) -> Option<f64> {
        let (params, source) = self.asked_of(job);
        let given = self.given(job.kind, &params, source);
        Some(self.service.time(job.kind, &params, given)?.total)
    }

    /// The parameters that a waiting job will run by, and the song that it is about.
    fn asked_of<'a>(&self, job: &'a Job) -> (Cow<'a, GenerationParams>, Option<&'a str>) {
        match self.made_before(job) {
            // A song that is made once more leaves nothing to the language model.
            Ok(Some(song)) => (Cow::Owned(song.recipe()), None),
            _ => (Cow::Borrowed(&job.params), job.source_song_id.as_deref()),
        }
    }

    /// A recording that is gone counts nothing: its job is refused for it.
    fn given(
        &self,
        kind: JobKind,
        params: &GenerationParams,
        source_song_id: Option<&str>,
    ) -> Given {
        let secs = |id: &str| {
            let found = self.recording(id, SOURCE).ok();
            found.map_or(0.0, |recording| recording.duration_secs)
        };
        if kind != JobKind::Generate {
            let heard = source_song_id.and_then(|id| self.recording(id, SOURCE).ok());
            // What the language model wrote for a song need not be heard again, except to find out about it.
            let heard = heard
                .filter(|recording| kind.is_kept_with_song() || recording.audio_codes.is_empty());
            let source_secs = heard.map_or(0.0, |recording| recording.duration_secs);
            return Given {
                brought: Brought {
                    source_secs,
                    ..Brought::default()
                },
                heard_secs: source_secs,
            };
        }
        let source = params.src_audio.as_deref();
        let source_secs = source
            .filter(|_| params.works_on_source())
            .map_or(0.0, secs);
        let references = params.reference_audio.iter().map(|id| secs(id));
        let uses = params.loras.as_deref().unwrap_or_default();
        Given {
            brought: Brought {
                source_secs,
                reference_secs: references.sum(),
                lora_bytes: lora_bytes(&self.lora_dir, uses, self.service.device()),
            },
            heard_secs: source_secs + REFERENCE_SECS * params.reference_audio.len() as f64,
        }
    }

    /// Seconds of recordings that a run by `params` encodes.
    pub(crate) fn heard_secs(&self, params: &GenerationParams) -> f64 {
        self.given(JobKind::Generate, params, None).heard_secs
    }

    /// A run has taught how long runs take.
    pub(crate) fn learnt(&self, rates: Rates) {
        self.service.set_rates(rates);
        if let Some((models, options)) = self.service.sizes() {
            self.paces.keep(&models, &options, rates);
        }
    }

    /// Models were loaded: their pace is that of their last runs.
    pub(crate) fn recall_pace(&self) {
        if let Some((models, options)) = self.service.sizes() {
            self.service.set_rates(self.paces.rates(&models, &options));
        }
    }
}
