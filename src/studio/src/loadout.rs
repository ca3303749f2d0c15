//! What requests are read, clamped and planned by: what is loaded or, before that, what would be.

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::DeviceKind,
    defaults::defaults,
    generation::{
        clamp::{Bounds, Clamped, clamp_with_source, clamp_words},
        lm_room::{Room, check_room},
    },
    job::JobKind,
    memory::{RunPlan, TimePlan},
    task::Family,
};
use acestep_engine::{
    engine::LoadOptions,
    memory::plan::{self, Brought, Free, Models, Work},
};

use crate::{
    backend::Memory,
    error::{Error, Result},
    pace::{Amount, Rates},
    studio::Given,
};

/// The models and how they run.
#[derive(Debug, Clone)]
pub(crate) struct Loadout {
    /// Folder name of the main model.
    pub(crate) model: String,
    /// It can follow audio codes and hear them in a song.
    pub(crate) audio_codes: bool,
    /// Lyrics can be timed with it.
    pub(crate) times_lyrics: bool,
    /// Whether the language model writes audio codes; `None` without one.
    pub(crate) lm_has_codes: Option<bool>,
    /// Its room for words; `None` where it is not loaded yet.
    pub(crate) lm_room: Option<Room>,
    /// What a request is clamped to.
    pub(crate) bounds: Bounds,
    pub(crate) rates: Rates,
    /// `None` where nothing is known of sizes.
    pub(crate) memory: Option<Memory>,
}

impl Loadout {
    /// Of `memory`, whose models nobody has loaded yet.
    pub(crate) fn ahead(memory: Memory, bounds: Bounds, rates: Rates) -> Self {
        let models = &memory.models;
        let lm = models.lm_name();
        Self {
            model: models.name.clone(),
            audio_codes: models.has_audio_codes(),
            times_lyrics: models.can_time_lyrics(),
            lm_has_codes: lm.map(|_| models.lm_has_codes()),
            lm_room: None,
            bounds: Bounds {
                family: models.family,
                lm_loaded: lm.is_some(),
                ..bounds
            },
            rates,
            memory: Some(memory),
        }
    }

    /// What a fresh form holds.
    pub(crate) fn defaults(&self) -> GenerationParams {
        defaults_within(self.bounds)
    }

    /// Turbo or base.
    pub(crate) fn family(&self) -> Family {
        self.bounds.family
    }

    /// Where the networks run.
    pub(crate) fn device(&self) -> DeviceKind {
        let memory = self.memory.as_ref();
        memory.map_or(DeviceKind::Cpu, |memory| memory.options.device)
    }

    /// Refused where `kind` needs a language model and there is none, or none that can do it.
    pub(crate) fn require_lm(&self, kind: JobKind) -> Result<()> {
        if self.lm_has_codes.is_some() || !kind.needs_lm() {
            return self.require_lm_codes(kind);
        }
        Err(UserError {
            field: Some("kind".to_owned()),
            ..UserError::new(
                "not_ready",
                format!(
                    "No language model is loaded, and {} needs one.",
                    kind.as_str()
                ),
                "Initialise the service with a language model, or start with --init_llm true.",
            )
        }
        .into())
    }

    /// Refused where `kind` reads audio codes and the language model knows none.
    fn require_lm_codes(&self, kind: JobKind) -> Result<()> {
        // Without networks for codes in the main model nothing is known of the language model's.
        let knows_none = self.audio_codes && self.lm_has_codes == Some(false);
        if kind != JobKind::Understand || !knows_none {
            return Ok(());
        }
        Err(Error::Unsupported {
            field: "kind",
            what: "Understanding songs with this language model, which knows no audio codes,"
                .to_owned(),
            possible: "Load a released language model (acestep-5Hz-lm-…).".to_owned(),
        })
    }

    /// Refused where the language model has no room for the words of a job of `kind`, which is settled.
    pub(crate) fn require_room(&self, kind: JobKind, params: &GenerationParams) -> Result<()> {
        let writes_codes = self.lm_has_codes == Some(true);
        match &self.lm_room {
            Some(room) => Ok(check_room(kind, params, room, writes_codes)?),
            None => Ok(()),
        }
    }

    /// Refused when the model has no networks for audio codes.
    pub(crate) fn require_audio_codes(&self, field: &'static str) -> Result<()> {
        if self.audio_codes {
            return Ok(());
        }
        Err(Error::Unsupported {
            field,
            what: format!("Working with audio codes on {}", self.model),
            possible: "Load a released model (acestep-v15-…); this one was made without them."
                .to_owned(),
        })
    }

    /// Brings `params` inside what the models and this version can do for a job of `kind`.
    /// `source_secs` is the length of the source, where the task works on one.
    pub(crate) fn settle(
        &self,
        kind: JobKind,
        params: GenerationParams,
        source_secs: Option<f64>,
    ) -> Result<Clamped> {
        if kind != JobKind::Generate {
            return Ok(clamp_words(params, self.bounds)?);
        }
        if params.follows_codes() && !params.audio_codes.trim().is_empty() {
            self.require_audio_codes("audio_codes")?;
        }
        Ok(clamp_with_source(params, self.bounds, source_secs)?)
    }

    /// What a job, which is settled, needs; `None` where nothing is known of sizes.
    pub(crate) fn plan(
        &self,
        kind: JobKind,
        params: &GenerationParams,
        given: Given,
    ) -> Option<RunPlan> {
        let Memory {
            models,
            options,
            free,
        } = self.memory.as_ref()?;
        let source_secs = given.brought.source_secs;
        let work = match kind {
            JobKind::Generate => Work::of(params, models).with(given.brought),
            kind if kind.is_kept_with_song() => Work::of(params, models),
            JobKind::Encode => Work::of_listening(params, models, source_secs, false),
            JobKind::Understand => Work::of_listening(params, models, source_secs, true),
            _ => Work::of_words(params, models),
        };
        let time = self.time(kind, params, given);
        Some(run_plan(
            models,
            options,
            (work, time),
            free(options.device),
        ))
    }

    /// The longest song that the language model may plan for `params`, in seconds: the limit, or what fits where
    /// that is less, which the note says.
    pub(crate) fn longest_planned(
        &self,
        params: &GenerationParams,
        brought: Brought,
    ) -> (u32, Option<Note>) {
        let most_secs = self.bounds.limits().0 as u32;
        let Some(memory) = &self.memory else {
            return (most_secs, None);
        };
        let (options, free) = (&memory.options, (memory.free)(memory.options.device));
        plan::longest_planned(&memory.models, options, (params, brought), free, most_secs)
    }

    /// How long a job, which is settled, takes, as far as that is known.
    pub(crate) fn time(
        &self,
        kind: JobKind,
        params: &GenerationParams,
        given: Given,
    ) -> Option<TimePlan> {
        let amount = match kind {
            JobKind::Generate => self.amount(params),
            kind if kind.is_kept_with_song() => Amount::of_finding_out(kind, given.heard_secs),
            JobKind::Encode => Amount::of_listening(),
            _ => Amount::of_text(),
        };
        self.rates.time(amount.hearing(given.heard_secs))
    }

    /// How much there is to do for songs by `params`, settled.
    pub(crate) fn amount(&self, params: &GenerationParams) -> Amount {
        Amount::beside(params, self.family(), self.lm_has_codes)
    }

    /// Says that what was planned for is not there yet.
    pub(crate) fn note_ahead(&self) -> Note {
        let lm = self
            .memory
            .as_ref()
            .and_then(|memory| memory.models.lm_name());
        let (names, are) = match lm {
            Some(lm) => (format!("{} and {lm}", self.model), "are"),
            None => (self.model.clone(), "is"),
        };
        Note::new(
            "planned_before_load",
            "config_path",
            format!("Memory and time: planned for {names}, which {are} not loaded yet."),
        )
        .with("model", names)
    }
}

/// The memory plan of `work` with the time of its stages.
pub(crate) fn run_plan(
    models: &Models,
    options: &LoadOptions,
    (work, time): (Work, Option<TimePlan>),
    free: Free,
) -> RunPlan {
    let mut memory = plan::plan(models, options, work, free);
    for planned in &mut memory.stages {
        let stages = time.as_ref().map(|time| &time.stages);
        planned.secs = stages.and_then(|stages| stages.get(&planned.stage).copied());
    }
    RunPlan { memory, time }
}

/// What a fresh form holds inside `bounds`.
pub(crate) fn defaults_within(bounds: Bounds) -> GenerationParams {
    let defaults = defaults(bounds.family, bounds.tier);
    GenerationParams {
        batch_size: defaults.batch_size.min(bounds.limits().1),
        ..defaults
    }
}
