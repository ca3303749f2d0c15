//! A song from a request: text, condition, denoising, decoding, level. The order is fixed and a
//! task decides nothing but its [`Conditioning`].
//!
//! Songs of a batch share the text stage and are computed one at a time after it, so a song is
//! the same bytes in any batch and at any place in it. The output of each network is checked
//! before the next one reads it.

use std::time::Instant;

use acestep_domain::{
    GenerationParams,
    event::Stage,
    library::Report,
    note::Note,
    task::{Family, TaskType},
};
use candle_core::{DType, Tensor};

use super::{
    decoding::Decoding,
    kept,
    networks::Networks,
    prepared::{PARTS, Parts, Prepared, Song, Texts},
    sources,
    vae_tiles::TileOptions,
};
use crate::{
    audio::Audio,
    diffusion::{
        denoise::{Hold, Run, denoise},
        noise::{Purpose, normal},
        schedule::Schedule,
        solver::solver,
    },
    error::{Error, Result},
    observer::Observer,
    tasks::{self, Conditioning, Kept, Lengths, Source, Sources},
};

/// What is asked of one run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Parameters, clamped, with a settled length.
    pub params: GenerationParams,
    /// One for each song.
    pub seeds: Vec<u32>,
    /// Audio codes of each song, as a language model wrote them; empty where there are none. Codes in
    /// `params` are every song's and come before these.
    pub codes: Vec<Vec<u32>>,
    /// What the task works on, see [`GenerationParams::works_on_source`]; any rate, one channel or two.
    pub source: Option<Audio>,
    /// Recordings whose sound the song takes on.
    pub references: Vec<Audio>,
    /// State at the first timestep in place of seeded noise, `[b, t, c]`, f32. Its `t` decides the
    /// length: nothing is padded or cut.
    pub noise: Option<Tensor>,
    /// Give the latents back with each song.
    pub keep_latents: bool,
    /// Leave the level as the network made it.
    pub raw_level: bool,
    /// Pieces that songs are decoded in.
    pub tiles: TileOptions,
}

/// A finished song.
#[derive(Debug, Clone)]
pub struct Take {
    /// Place in the batch, from 0.
    pub item: usize,
    /// Its seed.
    pub seed: u32,
    /// How it sounds.
    pub audio: Audio,
    /// Its latents `[t, c]`, f32, on the host, when they were asked for.
    pub latents: Option<Tensor>,
    /// Its figures.
    pub report: Report,
}

/// The run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// What was cut or ignored.
    pub notes: Vec<Note>,
    /// Diffusion steps that were run for each song.
    pub steps: usize,
    /// Seconds of text and conditions.
    pub prepare_secs: f32,
    /// Seconds of the diffusion loop, over the whole batch.
    pub diffusion_secs: f32,
}

/// Receives each song of the batch when it is decoded and checked, in order.
pub type Sink<'a> = dyn FnMut(Take) -> Result<()> + 'a;

pub(crate) fn generate(
    networks: &mut Networks,
    request: &Request,
    observer: &dyn Observer,
    sink: &mut Sink<'_>,
) -> Result<RunReport> {
    observer.check()?;
    let started = Instant::now();
    let params = &request.params;
    networks.loras.require(params.loras.as_deref())?;
    let mut notes = Vec::new();
    let mut schedule = schedule_of(params)?;
    let noise = given_noise(networks, request)?;
    let source = sources::source(networks, request, observer, &mut notes)?;
    let lengths = lengths(networks, request, source.as_ref())?;
    let source = source.map(|(source, _)| source);
    let conditionings = conditionings(networks, request, source.as_ref(), lengths.frames)?;
    let [first, ..] = conditionings.as_slice() else {
        return Err(Error::Invalid {
            field: "seed",
            reason: "no song is asked for".to_owned(),
        });
    };
    notes.extend(first.notes.iter().cloned());
    if let Some(start) = &first.start {
        schedule = schedule.from_level(1.0 - start.share);
    }
    let references = sources::references(networks, request, observer, &mut notes)?;
    let parts = Parts {
        conditionings: &conditionings,
        references: &references,
    };
    let texts = Texts::new(networks, params, parts, observer, &mut notes)?;
    if networks.family == Family::Turbo && params.guidance_scale > 1.0 {
        notes.push(Note::new(
            "guidance_scale_ignored",
            "guidance_scale",
            "Guidance: turbo models are trained without it, so it is off.",
        ));
    }
    observer.progress(Stage::Prepare, 0, PARTS, PARTS);
    let dit = networks.dit()?;
    let prepared = Prepared::new(&dit, networks, &texts, (params, &conditionings), &schedule)?;
    let prepare_secs = started.elapsed().as_secs_f32();

    let started = Instant::now();
    let channels = networks.config.audio_acoustic_hidden_dim;
    let kept = first.kept.as_ref();
    let kept_source = kept.map(|kept| flat(&kept.source)).transpose()?;
    let hold = kept.zip(kept_source.as_deref());
    let mut latents = Vec::with_capacity(request.seeds.len());
    for (item, &seed) in request.seeds.iter().enumerate() {
        let noise = match &noise {
            Some(songs) => songs[item].clone(),
            None => normal(seed, Purpose::Start, lengths.frames * channels),
        };
        let x = start(noise, first, &schedule)?;
        let run = Run {
            item,
            channels,
            schedule: &schedule,
            guidance: prepared.guidance(params),
            solver: solver(params.infer_method, seed),
            hold: None,
        };
        let mut network = prepared.song(&dit, networks, item, lengths.frames);
        latents.push(diffuse(&mut network, x, run, hold, observer)?);
    }
    let diffusion_secs = started.elapsed().as_secs_f32();
    // Gone before the next network comes.
    drop(prepared);
    drop(dit);

    let vae = networks.vae.visit()?;
    let mut decoding = Decoding {
        vae: &vae,
        request,
        lengths,
        kept: None,
        clipped: 0,
        loudness: Vec::new(),
        told: Vec::new(),
    };
    if let Some((kept, source)) = kept.zip(kept_source) {
        // Without what a short source was filled up with: it would be heard at its end.
        let source = decoding
            .tensor(source)?
            .narrow(0, 0, lengths.kept_frames)
            .map_err(Error::in_stage(Stage::Decode))?;
        let wave = decoding.wave(&source, 0, &Quiet(observer))?;
        decoding.kept = Some((kept, wave.channels));
    }
    for (item, latents) in latents.into_iter().enumerate() {
        let mut take = decoding.take(item, latents, observer)?;
        take.report.prepare_secs = prepare_secs;
        take.report.diffusion_secs = diffusion_secs;
        sink(take)?;
    }
    notes.extend(decoding.notes());
    Ok(RunReport {
        notes,
        steps: schedule.len(),
        prepare_secs,
        diffusion_secs,
    })
}

fn schedule_of(params: &GenerationParams) -> Result<Schedule> {
    match &params.timesteps {
        Some(timesteps) => Schedule::custom(timesteps),
        None => Schedule::shifted(params.inference_steps, params.shift),
    }
}

/// One for each song, or one for all.
pub(super) fn conditionings(
    networks: &mut Networks,
    request: &Request,
    source: Option<&Source>,
    frames: usize,
) -> Result<Vec<Conditioning>> {
    let params = &request.params;
    let mask_channels =
        networks.config.context_channels() - networks.config.audio_acoustic_hidden_dim;
    let silence = networks.silence.clone();
    let sources = Sources {
        silence: &silence,
        mask_channels,
        hints: None,
        source,
    };
    let all = hints(networks, request, &sources, frames)?;
    all.iter()
        .map(|hints| {
            let sources = Sources {
                hints: hints.as_ref(),
                ..sources
            };
            tasks::conditioning(params, sources, frames)
        })
        .collect()
}

/// Latents that the codes of each song stand for, or those of the source that a cover follows; one
/// visit of the network makes them all.
fn hints(
    networks: &mut Networks,
    request: &Request,
    sources: &Sources<'_>,
    frames: usize,
) -> Result<Vec<Option<Tensor>>> {
    let all = codes_of(request)?;
    let followed = sources
        .source
        .filter(|_| request.params.task_type == TaskType::Cover && networks.has_audio_codes);
    if followed.is_none() && all.iter().all(Vec::is_empty) {
        return Ok(vec![None; all.len()]);
    }
    let network = networks.audio_codes()?;
    let hints = |codes: &Vec<u32>| match (codes.as_slice(), followed) {
        ([], Some(source)) => {
            let latents = sources.fit(&source.latents, frames)?;
            network.there_and_back(&latents, sources.silence).map(Some)
        }
        ([], None) => Ok(None),
        (codes, _) => network.hints(codes).map(Some),
    };
    all.iter().map(hints).collect()
}

/// Denoises `x`, held to what is kept of a source.
fn diffuse(
    network: &mut Song<'_>,
    x: Vec<f32>,
    run: Run<'_>,
    kept: Option<(&Kept, &[f32])>,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let channels = run.channels;
    let steps = run.schedule.len() as f64;
    let hold = kept.map(|(kept, source)| Hold {
        source,
        free: kept.region.clone(),
        steps: (steps * kept.hold.injected_share).round_ties_even() as usize,
    });
    let mut clean = denoise(network, x, Run { hold, ..run }, observer)?;
    if let Some((kept, source)) = kept {
        kept::blend(&mut clean, source, kept, channels);
    }
    Ok(clean)
}

/// `[1, t, c]`, frame after frame.
fn flat(latents: &Tensor) -> Result<Vec<f32>> {
    latents
        .flatten_all()
        .and_then(|latents| latents.to_vec1())
        .map_err(Error::in_stage(Stage::Prepare))
}

/// The state that the loop starts from: noise, or what is on the way from it to clean latents.
fn start(mut x: Vec<f32>, song: &Conditioning, schedule: &Schedule) -> Result<Vec<f32>> {
    if let Some(start) = &song.start {
        let t = schedule.timesteps()[0];
        let (up, down) = (t as f32, (1.0 - t) as f32);
        for (x, clean) in x.iter_mut().zip(flat(&start.latents)?) {
            *x = up * *x + down * clean;
        }
    }
    Ok(x)
}

/// Lets a wish to stop through, and no progress: what it watches is no song.
struct Quiet<'a>(&'a dyn Observer);

impl Observer for Quiet<'_> {
    fn progress(&self, _: Stage, _: usize, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Codes of the songs; a single list when all have the same, or none.
fn codes_of(request: &Request) -> Result<Vec<Vec<u32>>> {
    if !request.params.follows_codes() {
        return Ok(vec![Vec::new()]);
    }
    let given =
        acestep_domain::audio_codes::parse(&request.params.audio_codes).map_err(|error| {
            Error::Invalid {
                field: "audio_codes",
                reason: error.message,
            }
        })?;
    if !given.is_empty() || request.codes.is_empty() {
        return Ok(vec![given]);
    }
    if request.codes.len() != request.seeds.len() {
        return Err(Error::Invalid {
            field: "audio_codes",
            reason: format!(
                "there are codes of {} songs, and {} are asked for",
                request.codes.len(),
                request.seeds.len()
            ),
        });
    }
    Ok(request.codes.clone())
}

fn lengths(
    networks: &Networks,
    request: &Request,
    source: Option<&(Source, usize)>,
) -> Result<Lengths> {
    if request.seeds.is_empty() {
        return Err(Error::Invalid {
            field: "seed",
            reason: "each song needs a seed, and there is none".to_owned(),
        });
    }
    if let Some(noise) = &request.noise {
        let frames = noise.dim(1).map_err(Error::in_stage(Stage::Prepare))?;
        return Ok(Lengths::exact(frames));
    }
    if let Some((source, samples)) = source {
        let frames = source
            .latents
            .dim(1)
            .map_err(Error::in_stage(Stage::Prepare))?;
        return Ok(Lengths::of_source(frames, *samples));
    }
    let duration_secs = request.params.duration_secs.ok_or_else(|| Error::Invalid {
        field: "duration",
        reason: "the length was not settled before the run".to_owned(),
    })?;
    let vae = &networks.vae_config;
    Lengths::covering(duration_secs, vae.sampling_rate, vae.hop(), |frames| {
        vae.samples_from_frames(frames)
    })
}

/// The given state of each song, frame after frame.
fn given_noise(networks: &Networks, request: &Request) -> Result<Option<Vec<Vec<f32>>>> {
    let Some(noise) = &request.noise else {
        return Ok(None);
    };
    let channels = networks.config.audio_acoustic_hidden_dim;
    match noise.dims() {
        &[songs, frames, width]
            if songs == request.seeds.len() && frames > 0 && width == channels => {}
        dims => {
            return Err(Error::Invalid {
                field: "noise",
                reason: format!(
                    "its shape is {dims:?}, and [{}, frames, {channels}] is needed: songs, latent frames, latent channels",
                    request.seeds.len()
                ),
            });
        }
    }
    let songs: Vec<Vec<f32>> = noise
        .to_dtype(DType::F32)
        .and_then(|noise| noise.flatten_from(1)?.to_vec2())
        .map_err(Error::in_stage(Stage::Prepare))?;
    if songs.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Error::Invalid {
            field: "noise",
            reason: "it holds values that are not finite".to_owned(),
        });
    }
    Ok(Some(songs))
}
