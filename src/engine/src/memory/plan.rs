//! The memory plan: what a run needs, what moves for it, and what to change where it does not fit.
//!
//! A pure function of configs, parameters, options and free bytes; nothing is asked of the machine (but
//! who else uses its memory, where a run does not fit) and no weight is read. Weights are counted
//! exactly, by a survey of the networks' own loaders; values in flight come from each network's
//! footprint, with room for what the kernels need beside them. A peak is an upper bound: tests hold it
//! against what the allocator counts.
//!
//! On a card, offload moves only what does not fit. On a processor it is off unless it is asked for,
//! and then everything it names moves: memory that is not taken is what it is asked for.

mod needs;
mod smaller;

use std::path::Path;

use acestep_domain::{
    GenerationParams,
    capabilities::DeviceKind,
    defaults::AUTO_DURATION_SECS,
    lora::LoraUse,
    memory::{MemoryPlan, Network, OtherProgram, StageMemory, in_use_by_others, planned_to_fit},
    note::Note,
    task::TaskType,
};

pub use super::sizes::Models;
use crate::{
    checkpoint::lora::Lora,
    device::dtype_of,
    engine::LoadOptions,
    error::{Error, Result},
};

/// Memory that can be had: what nobody uses, and what this program holds already.
#[derive(Debug, Clone, Copy)]
pub struct Free {
    /// Of the host.
    pub host: u64,
    /// Of the card, where the networks run on one.
    pub device: u64,
    /// What other programs use of the memory that the networks run in.
    pub others: u64,
    /// Names those of them that use the most, where networks of a device run; asked where a run does not fit.
    pub largest_others: fn(DeviceKind) -> Vec<OtherProgram>,
    /// Threads that compute, each with buffers of its own.
    pub threads: usize,
}

/// What a run brings along beside its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Brought {
    /// Length of the source, or of what is listened to; 0 without.
    pub source_secs: f64,
    /// Length of all references together.
    pub reference_secs: f64,
    /// Bytes of the adapters as they are loaded, see [`lora_bytes`].
    pub lora_bytes: u64,
}

/// Bytes of the adapters of `uses`, which lie in `dir`, on `device`; one that cannot be opened counts
/// nothing, since its run is refused for it.
pub fn lora_bytes(dir: &Path, uses: &[LoraUse], device: DeviceKind) -> u64 {
    let values = uses
        .iter()
        .filter_map(|lora| Lora::open(dir, &lora.name).ok())
        .map(|lora| lora.values());
    values.sum::<u64>() * dtype_of(device, false).size_in_bytes() as u64
}

/// What a run does, as far as memory is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    pub(super) duration_secs: f64,
    pub(super) songs: usize,
    steps: usize,
    caption_bytes: usize,
    lyric_bytes: usize,
    /// The language model plans the song.
    pub(super) plans: bool,
    /// The language model writes codes.
    pub(super) writes_codes: bool,
    /// Codes are given.
    given_codes: bool,
    /// Songs are made; else words only.
    sings: bool,
    /// A source is encoded.
    encodes: bool,
    /// Codes of the source are heard and followed.
    follows: bool,
    /// Something of the source is kept: it is decoded as well.
    keeps: bool,
    /// Another condition is gone on with.
    switches: bool,
    references: usize,
    brought: Brought,
}

impl Work {
    /// Songs by `params`, clamped, with `models`.
    pub fn of(params: &GenerationParams, models: &Models) -> Self {
        let lm = models.lm.as_ref();
        let writes = lm.is_some_and(|lm| lm.has_codes) && models.audio_codes;
        let encodes = params.works_on_source();
        let covers = params.task_type == TaskType::Cover;
        Self {
            duration_secs: params.duration_secs.unwrap_or(AUTO_DURATION_SECS),
            songs: params.batch_size.max(1),
            steps: params
                .timesteps
                .as_ref()
                .map_or(params.inference_steps, Vec::len)
                .max(1),
            caption_bytes: params.caption.len(),
            lyric_bytes: params.lyrics.len(),
            plans: lm.is_some() && params.lm_plans(),
            writes_codes: writes && params.lm_writes_codes(),
            given_codes: !params.audio_codes.trim().is_empty(),
            sings: true,
            encodes,
            follows: encodes && covers && models.audio_codes,
            keeps: encodes && params.task_type.needs().region,
            switches: params.audio_cover_strength < 1.0 && params.follows_codes(),
            references: params.reference_audio.len(),
            brought: Brought::default(),
        }
    }

    /// With what it brings along.
    #[must_use]
    pub fn with(self, brought: Brought) -> Self {
        Self { brought, ..self }
    }

    /// Words by `params` and nothing else.
    pub fn of_words(params: &GenerationParams, models: &Models) -> Self {
        Self {
            plans: models.lm.is_some(),
            writes_codes: false,
            given_codes: false,
            sings: false,
            encodes: false,
            follows: false,
            references: 0,
            ..Self::of(params, models)
        }
    }

    /// Codes of a recording of `secs` and, where a language model `writes`, words about them.
    pub fn of_listening(
        params: &GenerationParams,
        models: &Models,
        secs: f64,
        writes: bool,
    ) -> Self {
        let words = Self::of_words(params, models);
        let heard = secs > 0.0;
        Self {
            plans: words.plans && writes,
            // Of codes that are given, nothing is heard.
            given_codes: false,
            encodes: heard,
            follows: heard,
            duration_secs: if heard { secs } else { words.duration_secs },
            brought: Brought {
                source_secs: secs,
                ..Brought::default()
            },
            ..words
        }
    }

    /// Whether the length is the user's to choose: it is neither the source's nor that of given codes.
    fn length_is_open(&self) -> bool {
        !self.encodes && !self.given_codes
    }

    /// Codes that the language model reads as its prompt.
    fn read_codes(&self) -> usize {
        if self.sings || !self.follows {
            return 0;
        }
        (self.duration_secs * acestep_domain::audio_codes::PER_SECOND).ceil() as usize
    }
}

/// What is asked: the models, how they are loaded, what they do.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    models: Models,
    options: LoadOptions,
    work: Work,
    /// Of a card, before anything is on it.
    context_bytes: u64,
    /// Threads that compute where there is none.
    threads: usize,
}

impl Asked {
    /// `work` with `models` loaded by `options`, and what of the free memory counts for it.
    fn of(models: &Models, options: &LoadOptions, work: Work, free: Free) -> (Self, Free) {
        let free = match options.device {
            DeviceKind::Cpu => Free { device: 0, ..free },
            _ => free,
        };
        let asked = Self {
            models: models.clone(),
            options: *options,
            work,
            context_bytes: needs::context_bytes(free.device + free.others),
            threads: free.threads,
        };
        (asked, free)
    }
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq)]
struct Needs {
    host: u64,
    device: u64,
    stages: Vec<StageMemory>,
    moved: Vec<Network>,
    resident: Vec<Network>,
    tile_frames: usize,
    lm_cache_bytes: u64,
}

impl Needs {
    /// Whether it fits, with the networks on a card or not.
    fn fit(&self, free: Free) -> bool {
        self.host <= free.host && self.device <= free.device
    }
}

/// Plans `work` with `models` loaded by `options`.
pub fn plan(models: &Models, options: &LoadOptions, work: Work, free: Free) -> MemoryPlan {
    let (asked, free) = Asked::of(models, options, work, free);
    let needs = needs::needs(&asked, free);
    let fits = needs.fit(free);
    let next_smaller = smaller::next(&asked, &needs, free);
    let lowered = (!fits).then(|| smaller::lowered(&asked, free)).flatten();
    let mut notes = Vec::new();
    let on_card = options.device != DeviceKind::Cpu;
    if on_card && !needs.moved.is_empty() {
        notes.push(Note::new(
            "offload_acts",
            "offload_to_cpu",
            "Memory: what does not fit on the card waits in host memory and visits it for its stage.",
        ));
    }
    let [usual_tile, ..] = needs::tiles(options.device);
    if needs.tile_frames < usual_tile {
        notes.push(
            Note::new(
                "decode_in_smaller_tiles",
                "duration",
                format!(
                    "Memory: the song is decoded in pieces of {} latent frames instead of {}.",
                    needs.tile_frames, usual_tile
                ),
            )
            .with("used", needs.tile_frames)
            .with("usual", usual_tile),
        );
    }
    let free_bytes = if on_card { free.device } else { free.host };
    let mut other_programs = Vec::new();
    if !fits && free.others > 0 {
        other_programs = (free.largest_others)(options.device);
        notes.push(Note::general(
            "memory_of_others",
            format!(
                "Memory: other programs use {} of it.",
                in_use_by_others(free.others, &other_programs)
            ),
        ));
    }
    MemoryPlan {
        expected_peak_bytes: needs.peak(),
        free_bytes,
        others_bytes: free.others,
        other_programs,
        fits,
        stages: needs.stages,
        resident: needs.resident,
        moved: needs.moved,
        vae_tile_frames: needs.tile_frames,
        lm_cache_bytes: needs.lm_cache_bytes,
        next_smaller,
        lowered,
        notes,
    }
}

/// Refuses a run that does not fit.
///
/// # Errors
/// [`Error::DoesNotFit`] with what would.
pub fn admit(plan: &MemoryPlan) -> Result<()> {
    if plan.fits {
        return Ok(());
    }
    Err(Error::DoesNotFit {
        needed: plan.expected_peak_bytes.at_work(),
        free: plan.free_bytes,
        others: plan.others_bytes,
        programs: plan.other_programs.clone(),
        smaller: plan.next_smaller.clone().map(Box::new),
    })
}

/// `options` with offload for what has to move, so that a usual song fits: on a card, what fits
/// stays. On a processor they are as asked.
pub fn settle(options: LoadOptions, models: &Models, free: Free) -> LoadOptions {
    /// Four minutes, the longest song of a middle tier.
    const USUAL_SECS: f64 = 240.0;
    if options.device == DeviceKind::Cpu {
        return options;
    }
    let params = GenerationParams {
        duration_secs: Some(USUAL_SECS),
        ..GenerationParams::default()
    };
    let (asked, free) = Asked::of(models, &options, Work::of(&params, models), free);
    let moved = needs::needs(&asked, free).moved;
    LoadOptions {
        offload_to_cpu: moved.contains(&Network::TextEncoder),
        offload_dit_to_cpu: moved.contains(&Network::Dit),
        ..options
    }
}

/// The longest song, in whole seconds, that a language model may plan for `params` where they leave the length
/// open: `most_secs`, or what fits where that is less, which the note says. What is planned for an open length,
/// [`AUTO_DURATION_SECS`], has to fit.
pub fn longest_planned(
    models: &Models,
    options: &LoadOptions,
    (params, brought): (&GenerationParams, Brought),
    free: Free,
    most_secs: u32,
) -> (u32, Option<Note>) {
    let work = Work::of(params, models).with(brought);
    if params.duration_secs.is_some() || !work.plans {
        return (most_secs, None);
    }
    let (asked, free) = Asked::of(models, options, work, free);
    let fits = |secs: u32| {
        let mut longer = asked.clone();
        longer.work.duration_secs = f64::from(secs);
        needs::needs(&longer, free).fit(free)
    };
    let (mut longest, mut beyond) = (AUTO_DURATION_SECS as u32, most_secs);
    if most_secs <= longest || fits(most_secs) {
        return (most_secs, None);
    }
    while beyond - longest > 1 {
        let secs = longest.midpoint(beyond);
        if fits(secs) {
            longest = secs;
        } else {
            beyond = secs;
        }
    }
    (longest, Some(planned_to_fit(longest, most_secs)))
}

#[cfg(test)]
mod tests;
