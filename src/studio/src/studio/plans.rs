//! What jobs need, told before they begin.

use std::borrow::Cow;

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::DeviceKind,
    generation::clamp::{Clamped, minutes},
    job::{Job, JobKind},
    memory::RunPlan,
};
use acestep_engine::memory::plan::{Brought, lora_bytes};

use super::Shared;
use crate::{
    error::{Error, Result},
    loadout::Loadout,
    pace::Rates,
    paces::REFERENCE_SECS,
    recordings::SOURCE,
};

/// What is brought along, and how much of it is encoded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) brought: Brought,
    pub(crate) heard_secs: f64,
}

impl Shared {
    /// What requests are planned by: what is loaded, else what would be.
    ///
    /// # Errors
    /// Nothing is loaded and nothing could be.
    pub(crate) fn loadout(&self) -> Result<(Loadout, Vec<Note>)> {
        match self.service.loadout() {
            Ok(loadout) => Ok((loadout, Vec::new())),
            Err(not_ready @ Error::NotReady { .. }) => self.loadout_ahead(not_ready),
            Err(error) => Err(error),
        }
    }

    /// What would be loaded, from its configs; the notes say so first.
    fn loadout_ahead(&self, not_ready: Error) -> Result<(Loadout, Vec<Note>)> {
        let (wanted, notes) = self.service.next();
        let memory = (self.survey)(&wanted).map_err(|error| {
            let told = UserError::from(Error::from(error));
            UserError {
                code: "not_ready".to_owned(),
                message: format!(
                    "No model is loaded, and the one that would be cannot: {}",
                    told.message
                ),
                ..told
            }
        })?;
        let memory = memory.ok_or(not_ready)?;
        let rates = self.paces.rates(memory.setup());
        let loadout = Loadout::ahead(memory, self.service.bounds(), rates);
        let mut told = vec![loadout.note_ahead()];
        told.extend(notes);
        Ok((loadout, told))
    }

    /// What a job of `kind` by `params`, settled, needs with `loadout`; `None` where nothing is known of
    /// its sizes.
    pub(crate) fn plan(
        &self,
        loadout: &Loadout,
        kind: JobKind,
        params: &GenerationParams,
        source_song_id: Option<&str>,
    ) -> Option<RunPlan> {
        let given = self.given(loadout.device(), kind, params, source_song_id);
        loadout.plan(kind, params, given)
    }

    /// [`Self::settle`]; and where that is allowed by `fit`, songs that need too much memory are fewer or
    /// shorter then. Where that does not help they stay as they are.
    pub(crate) fn settle_within(
        &self,
        loadout: &Loadout,
        kind: JobKind,
        params: GenerationParams,
        fit: bool,
    ) -> Result<Clamped> {
        let Clamped {
            mut params,
            mut notes,
        } = self.settle(loadout, kind, params)?;
        let plan = (fit && kind == JobKind::Generate)
            .then(|| self.plan(loadout, kind, &params, None))
            .flatten();
        let Some(smaller) = plan.and_then(|plan| plan.memory.lowered) else {
            return Ok(Clamped { params, notes });
        };
        for change in &smaller.changes {
            let Some(used) = change.value.as_f64() else {
                continue;
            };
            notes.push(if change.field == "batch_size" {
                let asked = std::mem::replace(&mut params.batch_size, used as usize);
                change.lowered_to_fit("Takes", &asked, &used)
            } else {
                let asked = params.duration_secs.replace(used);
                let asked = asked.map_or_else(|| "auto".to_owned(), minutes);
                change.lowered_to_fit("Length", &asked, &minutes(used))
            });
        }
        // What hangs on them, for example seeds of takes that are not made.
        let again = self.settle(loadout, kind, params)?;
        let news = again.notes.into_iter().filter(|note| !notes.contains(note));
        let news: Vec<Note> = news.collect();
        notes.extend(news);
        Ok(Clamped {
            params: again.params,
            notes,
        })
    }

    /// [`Loadout::longest_planned`] for songs by `params`, settled.
    pub(crate) fn longest_planned(
        &self,
        loadout: &Loadout,
        params: &GenerationParams,
    ) -> (u32, Option<Note>) {
        let given = self.given(loadout.device(), JobKind::Generate, params, None);
        loadout.longest_planned(params, given.brought)
    }

    /// What a job that waits needs.
    pub(crate) fn plan_of(&self, job: &Job) -> Option<RunPlan> {
        let (params, source) = self.asked_of(job);
        self.plan(&self.service.loadout().ok()?, job.kind, &params, source)
    }

    /// How long a job that waits will take, as far as that is known: less work than its whole plan, so
    /// that a long queue is told quickly.
    pub(crate) fn secs_of(&self, job: &Job) -> Option<f64> {
        let (params, source) = self.asked_of(job);
        let loadout = self.service.loadout().ok()?;
        let given = self.given(loadout.device(), job.kind, &params, source);
        Some(loadout.time(job.kind, &params, given)?.total)
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
        device: DeviceKind,
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
                lora_bytes: lora_bytes(&self.lora_dir, uses, device),
            },
            heard_secs: source_secs + REFERENCE_SECS * params.reference_audio.len() as f64,
        }
    }

    /// Seconds of recordings that a run by `params` encodes.
    pub(crate) fn heard_secs(&self, params: &GenerationParams) -> f64 {
        let device = DeviceKind::Cpu;
        self.given(device, JobKind::Generate, params, None)
            .heard_secs
    }

    /// A run has taught how long runs take.
    pub(crate) fn learnt(&self, rates: Rates) {
        self.service.set_rates(rates);
        if let Some(memory) = self.service.memory() {
            self.paces.keep(memory.setup(), rates);
        }
    }

    /// Models were loaded: their pace is that of their last runs.
    pub(crate) fn recall_pace(&self) {
        if let Some(memory) = self.service.memory() {
            self.service.set_rates(self.paces.rates(memory.setup()));
        }
    }
}
