//! A song from a request: text, condition, denoising, decoding, level. The order is fixed and a
//! task decides nothing but its [`Conditioning`].
//!
//! Songs of a batch share the text stage and are computed one at a time after it, so a song is
//! the same bytes in any batch and at any place in it. The output of each network is checked
//! before the next one reads it.

use std::time::Instant;

use acestep_domain::{GenerationParams, event::Stage, library::Report, note::Note, task::Family};
use candle_core::{DType, Device, Tensor};

use super::{
    networks::Networks,
    prepared::{PARTS, Prepared, Texts},
    vae_tiles::{TileOptions, decode_tiled},
};
use crate::{
    audio::{Audio, loudness},
    diffusion::{
        denoise::{Run, denoise},
        noise::{Purpose, normal},
        schedule::Schedule,
        solver::solver,
    },
    error::{Error, Result},
    models::oobleck::Oobleck,
    observer::Observer,
    tasks::{self, Lengths, Sources},
};

/// What is asked of one run.
#[derive(Debug, Clone)]
pub struct Request {
    /// Parameters, clamped, with a settled length.
    pub params: GenerationParams,
    /// One for each song.
    pub seeds: Vec<u32>,
    /// Audio codes of each song, as a language model wrote them; empty where there are none. Codes in
    /// `params` are every song's and come before these.
    pub codes: Vec<Vec<u32>>,
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
    let mut notes = Vec::new();
    let schedule = match &params.timesteps {
        Some(timesteps) => Schedule::custom(timesteps)?,
        None => Schedule::shifted(params.inference_steps, params.shift)?,
    };
    let lengths = lengths(networks, request)?;
    let noise = given_noise(networks, request)?;
    let mut conditionings = Vec::new();
    for hints in hints(networks, &codes_of(request)?)? {
        let sources = Sources {
            silence: &networks.silence,
            mask_channels: networks.config.context_channels()
                - networks.config.audio_acoustic_hidden_dim,
            hints: hints.as_ref(),
        };
        conditionings.push(tasks::conditioning(params, sources, lengths.frames)?);
    }
    if let Some(first) = conditionings.first() {
        notes.extend(first.notes.iter().cloned());
    }
    let texts = Texts::new(networks, params, &conditionings, observer, &mut notes)?;
    if networks.family == Family::Turbo && params.guidance_scale > 1.0 {
        notes.push(Note::new(
            "guidance_scale_ignored",
            "guidance_scale",
            "Guidance: turbo models are trained without it, so it is off.",
        ));
    }
    observer.progress(Stage::Prepare, 0, PARTS, PARTS);
    let dit = networks.dit.visit()?;
    let prepared = Prepared::new(&dit, networks, texts, (params, &conditionings), &schedule)?;
    let prepare_secs = started.elapsed().as_secs_f32();

    let started = Instant::now();
    let mut latents = Vec::with_capacity(request.seeds.len());
    for (item, &seed) in request.seeds.iter().enumerate() {
        let channels = networks.config.audio_acoustic_hidden_dim;
        let start = match &noise {
            Some(songs) => songs[item].clone(),
            None => normal(seed, Purpose::Start, lengths.frames * channels),
        };
        let run = Run {
            item,
            channels,
            schedule: &schedule,
            guidance: prepared.guidance(params),
            solver: solver(params.infer_method, seed),
        };
        let mut network = prepared.song(&dit, networks, item, lengths.frames);
        latents.push(denoise(&mut network, start, run, observer)?);
    }
    let diffusion_secs = started.elapsed().as_secs_f32();
    // Gone before the next network comes.
    drop(prepared);
    drop(dit);

    let vae = networks.vae.visit()?;
    for (item, latents) in latents.into_iter().enumerate() {
        let mut take = decode(&vae, request, lengths, item, latents, observer)?;
        take.report.prepare_secs = prepare_secs;
        take.report.diffusion_secs = diffusion_secs;
        sink(take)?;
    }
    Ok(RunReport {
        notes,
        steps: schedule.len(),
        prepare_secs,
        diffusion_secs,
    })
}

/// Latents that the codes of each song stand for; one visit of the network makes them all.
fn hints(networks: &mut Networks, codes: &[Vec<u32>]) -> Result<Vec<Option<Tensor>>> {
    if codes.iter().all(Vec::is_empty) {
        return Ok(vec![None; codes.len()]);
    }
    let network = networks.audio_codes()?;
    let hints = |codes: &Vec<u32>| match codes.as_slice() {
        [] => Ok(None),
        codes => network.hints(codes).map(Some),
    };
    codes.iter().map(hints).collect()
}

/// Codes of the songs; a single list when all have the same, or none.
fn codes_of(request: &Request) -> Result<Vec<Vec<u32>>> {
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

fn lengths(networks: &Networks, request: &Request) -> Result<Lengths> {
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

fn decode(
    vae: &Oobleck,
    request: &Request,
    lengths: Lengths,
    item: usize,
    latents: Vec<f32>,
    observer: &dyn Observer,
) -> Result<Take> {
    let started = Instant::now();
    let stage = || Error::in_stage(Stage::Decode);
    let channels = vae.config().decoder_input_channels;
    let latents =
        Tensor::from_vec(latents, (lengths.frames, channels), &Device::Cpu).map_err(stage())?; // [t, c]
    let on_device = latents.to_device(vae.device()).map_err(stage())?;
    let (mut waves, _) = decode_tiled(vae, &on_device, item, TileOptions::default(), observer)?;
    if let Some(samples) = lengths.samples {
        for wave in &mut waves {
            wave.truncate(samples);
        }
    }
    let mut audio = Audio {
        channels: waves,
        sample_rate_hz: vae.sample_rate_hz(),
    };
    // A reproduction is delivered as it is, near silence included: its reader compares, not listens.
    let gain = if request.raw_level {
        1.0
    } else {
        loudness::level(&mut audio, request.params.normalize)?
    };
    let report = Report {
        peak: audio.peak(),
        rms: audio.rms(),
        gain,
        decode_secs: started.elapsed().as_secs_f32(),
        ..Report::default()
    };
    let kept = request
        .keep_latents
        .then(|| latents.narrow(0, 0, lengths.kept_frames))
        .transpose()
        .map_err(stage())?;
    Ok(Take {
        item,
        seed: request.seeds[item],
        audio,
        latents: kept,
        report,
    })
}
