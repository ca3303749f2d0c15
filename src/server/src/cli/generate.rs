//! `acestep generate`: songs from a file of parameters, by the same engine as the studio's.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use acestep_domain::{
    GenerationParams, Note, UserError,
    capabilities::{Capabilities, ModelEntry},
    defaults::defaults,
    generation::{
        AudioFormat,
        clamp::{Bounds, clamp, minutes},
        read::params_from_json,
    },
    service::{DEFAULT_MODEL, Installed, Resolved, resolve},
};
use acestep_engine::{
    audio::{Audio, encode::encode, tags},
    checkpoint::Checkpoint,
    engine::{Engine, EngineInfo, LoadOptions, Request, Take},
    error::Error,
};
use candle_core::{DType, Device, Tensor};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    files::{
        check_place, format_of, free_name, numbered, read_tensor, write_safely, write_tensors,
    },
    machine::{installed, machine},
    output::{Failure, fail, read_json, say, say_json, tell_notes},
    service::ServiceArgs,
};
use crate::{env::Environment, progress::Bar};

/// What to make, and where to put it.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Parameters as JSON, with the keys of saved songs; `-` reads stdin
    #[arg(long, value_name = "FILE|-")]
    params: PathBuf,
    /// The song: .wav, .flac or .mp3; several takes become F-1.wav, F-2.wav … [default: acestep-SEED in the current folder]
    #[arg(long, value_name = "F")]
    output: Option<PathBuf>,
    /// State at the first timestep in place of seeded noise: one float32 tensor `noise` [b, t, c]; its t is the length, and a .wav is then 32-bit float, unscaled and untagged
    #[arg(long, value_name = "F.safetensors")]
    noise: Option<PathBuf>,
    /// Also write `latents` [b, t, c] and `waveform` [b, channels, n]
    #[arg(
        long = "output-latents",
        alias = "output_latents",
        value_name = "F.safetensors"
    )]
    output_latents: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// A file that was written.
#[derive(Debug, Serialize)]
struct Output {
    path: PathBuf,
    seed: u32,
    duration_secs: f64,
    sample_rate_hz: u32,
    channels: usize,
    peak: f32,
    rms: f32,
}

/// What a run tells.
#[derive(Debug, Serialize)]
struct Outcome {
    outputs: Vec<Output>,
    /// Parameters as used.
    params: GenerationParams,
    seeds: Vec<u32>,
    notes: Vec<Note>,
    model: Value,
    timings: Timings,
    /// The file of `--output-latents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    latents: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "every name carries its unit")]
struct Timings {
    load_secs: f32,
    prepare_secs: f32,
    diffusion_secs: f32,
    decode_secs: f32,
    total_secs: f32,
}

/// Makes the songs; progress on stderr, the result on stdout.
pub(crate) fn run(args: &GenerateArgs, environment: &Environment) -> ExitCode {
    match generate(args, environment) {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if args.json {
                say_json(&outcome);
            } else {
                say(&text(&outcome));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn generate(args: &GenerateArgs, environment: &Environment) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let asked = read_json(&args.params)?;
    for path in args.output.iter().chain(&args.output_latents) {
        check_place(path)?;
    }
    let output_format = args.output.as_deref().map(format_of).transpose()?;
    let noise = args.noise.as_deref().map(read_noise).transpose()?;

    let (capabilities, mut notes) = machine(environment);
    let (resolved, more) = settle_service(args, environment, &capabilities)?;
    notes.extend(more);
    let root = args.service.root();
    let checkpoint = Checkpoint::open(&root, &resolved.config_path)?;
    let bounds = Bounds {
        tier: capabilities.tier,
        lm_loaded: false,
        family: checkpoint.family(),
        unlimited: args.service.unlimited && capabilities.vram.total_gib == 0.0,
    };
    let mut params = settle_params(&asked, bounds, noise.as_ref(), &mut notes)?;
    let seeds = settle_seeds(&params)?;
    params.seeds.clone_from(&seeds);
    settle_format(args, &asked, output_format, &mut params, &mut notes);

    let bar = Bar::new();
    let options = LoadOptions {
        device: resolved.device,
        fused_attention: resolved.use_flash_attention,
        compile: resolved.compile,
    };
    let engine = Engine::load(&checkpoint, &options, &bar).inspect_err(|_| bar.clear());
    let mut engine = engine?;
    let mut timings = Timings {
        load_secs: started.elapsed().as_secs_f32(),
        ..Timings::default()
    };
    let info = engine.info().clone();
    notes.extend(info.notes.iter().cloned());
    if let Some(noise) = &noise {
        noise.check_against(&info, &mut params, bounds, &mut notes)?;
    }

    let request = Request {
        params: params.clone(),
        seeds: seeds.clone(),
        noise: noise.as_ref().map(|noise| noise.state.clone()),
        keep_latents: args.output_latents.is_some(),
        raw_level: noise.is_some(),
    };
    let mut writer = Writer {
        args,
        params: &params,
        info: &info,
        resolved: &resolved,
        count: seeds.len(),
        outputs: Vec::new(),
        kept: Vec::new(),
        decode_secs: 0.0,
        failure: None,
    };
    let ran = engine.generate(&request, &bar, &mut |take| writer.take(take));
    bar.clear();
    let Writer {
        outputs,
        kept,
        decode_secs,
        failure,
        ..
    } = writer;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let report = ran?;
    notes.extend(report.notes);
    if let Some(path) = &args.output_latents {
        write_kept(path, &kept)?;
    }
    timings.prepare_secs = report.prepare_secs;
    timings.diffusion_secs = report.diffusion_secs;
    timings.decode_secs = decode_secs;
    timings.total_secs = started.elapsed().as_secs_f32();
    let mut once = Vec::new();
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    Ok(Outcome {
        outputs,
        params,
        seeds,
        notes: once,
        model: model_json(&info, &resolved, report.steps),
        timings,
        latents: args.output_latents.clone(),
    })
}

/// What the service flags come to. Without a name, a checkpoint in a folder that was named is meant,
/// damaged or not: making a song with another model instead would hide the damage.
fn settle_service(
    args: &GenerateArgs,
    environment: &Environment,
    capabilities: &Capabilities,
) -> Result<(Resolved, Vec<Note>), Failure> {
    let (config, mut notes) = args.service.config(environment);
    let root = args.service.root();
    let (models, lms) = installed(&root, capabilities);
    let installed = Installed {
        models: &models,
        lms: &lms,
    };
    let (mut resolved, more) = resolve(&config, capabilities, installed);
    notes.extend(more);
    if config.config_path.is_none() && is_built_in(&models, &resolved.config_path) {
        let on_disk = models
            .iter()
            .filter(|model| !model.built_in)
            .min_by_key(|model| (model.name != DEFAULT_MODEL, model.name.as_str()));
        if let Some(model) = on_disk {
            resolved.config_path.clone_from(&model.name);
        } else if args.service.checkpoints.is_some() {
            return Err(Failure::run(UserError {
                field: Some("checkpoints".to_owned()),
                ..UserError::new(
                    "checkpoint",
                    format!(
                        "{}: {}.",
                        root.display(),
                        if root.is_dir() {
                            "there is no model folder (acestep-v15-…) in it"
                        } else {
                            "there is no such folder"
                        }
                    ),
                    "Leave --checkpoints out to use the built-in model.",
                )
            }));
        }
    }
    if config.init_llm == Some(true) || config.lm_model_path.is_some() {
        notes.push(Note::new(
            "lm_not_in_this_version",
            "init_llm",
            "Language model: loading one comes in a later version; the song is made without it.",
        ));
    }
    Ok((resolved, notes))
}

fn is_built_in(models: &[ModelEntry], name: &str) -> bool {
    models
        .iter()
        .any(|model| model.built_in && model.name == name)
}

/// Reads the parameters over the defaults and brings them inside the limits. Given noise decides
/// batch and length by itself.
fn settle_params(
    asked: &Value,
    bounds: Bounds,
    noise: Option<&Noise>,
    notes: &mut Vec<Note>,
) -> Result<GenerationParams, Failure> {
    let base = defaults(bounds.family, bounds.tier);
    let (mut params, more) = params_from_json(asked, base)?.strict()?;
    notes.extend(more);
    let Some(noise) = noise else {
        let clamped = clamp(params, bounds)?;
        notes.extend(clamped.notes);
        return Ok(clamped.params);
    };
    if asked.get("batch_size").is_none_or(Value::is_null) {
        params.batch_size = noise.songs;
    }
    if params.batch_size != noise.songs {
        return Err(Failure::input(UserError::invalid(
            "noise",
            format!(
                "The noise is for {} takes, and batch_size is {}.",
                noise.songs, params.batch_size
            ),
            "Leave batch_size out, or give noise of that many takes.",
        )));
    }
    let (duration_secs, batch_size) = (params.duration_secs, params.batch_size);
    // Of the limits only length and batch are the noise's to say.
    let inside = GenerationParams {
        duration_secs: Some(bounds.limits().0),
        batch_size: 1,
        seeds: Vec::new(),
        ..params.clone()
    };
    let clamped = clamp(inside, bounds)?;
    notes.extend(clamped.notes);
    let mut seeds = params.seeds;
    seeds.truncate(batch_size);
    Ok(GenerationParams {
        duration_secs,
        batch_size,
        seeds,
        ..clamped.params
    })
}

/// One seed a take; those not given come from the operating system.
fn settle_seeds(params: &GenerationParams) -> Result<Vec<u32>, Failure> {
    let mut seeds = params.seeds.clone();
    while seeds.len() < params.batch_size {
        let seed = getrandom::u32().map_err(|error| {
            Failure::run(UserError::new(
                "internal",
                format!("The operating system gave no random numbers for the seeds: {error}."),
                "Give a fixed seed for every take.",
            ))
        })?;
        seeds.push(seed);
    }
    Ok(seeds)
}

/// The extension decides the kind of file, the parameters its depth; given noise asks for floats.
fn settle_format(
    args: &GenerateArgs,
    asked: &Value,
    by_extension: Option<AudioFormat>,
    params: &mut GenerationParams,
    notes: &mut Vec<Note>,
) {
    let said = ["audio_format", "format"]
        .iter()
        .any(|key| asked.get(key).is_some());
    let wanted = params.audio_format;
    let mut format = match by_extension {
        None => wanted,
        Some(kind) if kind.extension() == wanted.extension() => wanted,
        Some(kind) => {
            if said {
                notes.push(Note::new(
                    "audio_format_by_extension",
                    "audio_format",
                    format!(
                        "Format: asked {}, using {}, as the name of the output says.",
                        wanted.as_str(),
                        kind.as_str()
                    ),
                ));
            }
            kind
        }
    };
    if args.noise.is_some() {
        if by_extension.is_none() && !said {
            format = AudioFormat::Wav;
        }
        if format.extension() == "wav" {
            format = AudioFormat::Wav32;
        } else {
            notes.push(Note::new(
                "noise_output_not_float",
                "noise",
                format!(
                    "Noise: {} cannot hold the exact samples; use .wav for 32-bit float.",
                    format.as_str()
                ),
            ));
        }
    }
    params.audio_format = format;
}

/// The state at the first timestep.
#[derive(Debug)]
struct Noise {
    state: Tensor,
    songs: usize,
    frames: usize,
    width: usize,
}

fn read_noise(path: &Path) -> Result<Noise, Failure> {
    let state = read_tensor(path, "noise")?;
    let wrong = |reason: String| {
        Failure::input(UserError::invalid(
            "noise",
            format!("{}: {reason}.", path.display()),
            "Give one float32 tensor `noise` [b, t, c].",
        ))
    };
    if state.dtype() != DType::F32 {
        return Err(wrong(format!(
            "`noise` is {}, and float32 is needed",
            state.dtype().as_str()
        )));
    }
    match state.dims() {
        &[songs, frames, width] if songs > 0 && frames > 0 && width > 0 => Ok(Noise {
            state,
            songs,
            frames,
            width,
        }),
        dims => Err(wrong(format!(
            "the shape of `noise` is {dims:?}, and three dimensions are needed"
        ))),
    }
}

impl Noise {
    /// Refuses noise of another width; its frames settle the length.
    fn check_against(
        &self,
        info: &EngineInfo,
        params: &mut GenerationParams,
        bounds: Bounds,
        notes: &mut Vec<Note>,
    ) -> Result<(), Failure> {
        if self.width != info.latent_channels {
            return Err(Failure::input(UserError::invalid(
                "noise",
                format!(
                    "The noise has {} channels, and {} has latents of {}.",
                    self.width, info.name, info.latent_channels
                ),
                format!("Give noise of the shape [b, t, {}].", info.latent_channels),
            )));
        }
        let length_secs = self.frames as f64 / info.latent_rate_hz;
        let asked = params.duration_secs;
        if let Some(asked) = asked
            && (asked - length_secs).abs() * info.latent_rate_hz > 1.0
        {
            notes.push(Note::new(
                "duration_by_noise",
                "duration",
                format!(
                    "Length: asked {asked} s; the noise has {} frames, so the song has {length_secs:.2} s. The prompt still names {asked} s.",
                    self.frames
                ),
            ));
        }
        let (max_secs, max_batch) = bounds.limits();
        if length_secs > max_secs || self.songs > max_batch {
            notes.push(Note::new(
                "limits_by_noise",
                "noise",
                format!(
                    "Noise: {} takes of {}, more than this machine's limits ({max_batch} of {}); given noise is run as it is.",
                    self.songs,
                    minutes(length_secs),
                    minutes(max_secs)
                ),
            ));
        }
        params.duration_secs = asked.or(Some(length_secs));
        Ok(())
    }
}

/// Writes each take as it comes.
struct Writer<'a> {
    args: &'a GenerateArgs,
    params: &'a GenerationParams,
    info: &'a EngineInfo,
    resolved: &'a Resolved,
    count: usize,
    outputs: Vec<Output>,
    kept: Vec<(Tensor, Audio)>,
    decode_secs: f32,
    failure: Option<Failure>,
}

impl Writer<'_> {
    /// The engine's sink: a failure of ours stops the run and is told in our words afterwards.
    fn take(&mut self, take: Take) -> Result<(), Error> {
        self.decode_secs += take.report.decode_secs;
        match self.write(&take) {
            Ok(output) => self.outputs.push(output),
            Err(failure) => {
                self.failure = Some(failure);
                return Err(Error::Cancelled);
            }
        }
        if let Some(latents) = take.latents {
            self.kept.push((latents, take.audio));
        }
        Ok(())
    }

    fn write(&self, take: &Take) -> Result<Output, Failure> {
        let format = self.params.audio_format;
        let path = match &self.args.output {
            Some(path) => numbered(path, take.item, self.count),
            None => free_name(&format!("acestep-{}", take.seed), format),
        };
        let bytes = encode(&take.audio, format)?;
        write_safely(&path, |partial| {
            std::fs::write(partial, &bytes)
                .map_err(|error| Failure::io(&path, "written", &error))?;
            if self.args.noise.is_none() {
                let params = self.tagged_params(take.seed);
                tags::embed(partial, format, &params, &title(&self.params.caption))?;
            }
            Ok(())
        })?;
        Ok(Output {
            path,
            seed: take.seed,
            duration_secs: take.audio.duration_secs(),
            sample_rate_hz: take.audio.sample_rate_hz,
            channels: take.audio.channels.len(),
            peak: take.report.peak,
            rms: take.report.rms,
        })
    }

    /// The parameters that make this take again.
    fn tagged_params(&self, seed: u32) -> String {
        let params = GenerationParams {
            seeds: vec![seed],
            batch_size: 1,
            ..self.params.clone()
        };
        let mut value = json!(params);
        value["studio"] = json!({
            "app_version": env!("CARGO_PKG_VERSION"),
            "model": self.info.name,
            "device": self.resolved.device,
            "dtype": self.info.dtype,
        });
        value.to_string()
    }
}

/// The first words of the caption.
fn title(caption: &str) -> String {
    let words: Vec<&str> = caption.split_whitespace().take(8).collect();
    let title: String = words.join(" ").chars().take(60).collect();
    if title.is_empty() {
        "Untitled".to_owned()
    } else {
        title
    }
}

fn write_kept(path: &Path, kept: &[(Tensor, Audio)]) -> Result<(), Failure> {
    let stack = || -> candle_core::Result<(Tensor, Tensor)> {
        let latents: Vec<&Tensor> = kept.iter().map(|(latents, _)| latents).collect();
        let mut waves = Vec::new();
        for (_, audio) in kept {
            let shape = (audio.channels.len(), audio.frames());
            waves.push(Tensor::from_vec(
                audio.channels.concat(),
                shape,
                &Device::Cpu,
            )?);
        }
        Ok((Tensor::stack(&latents, 0)?, Tensor::stack(&waves, 0)?))
    };
    let (latents, waveform) =
        stack().map_err(Error::in_stage(acestep_engine::error::Stage::Save))?;
    write_tensors(path, &[("latents", latents), ("waveform", waveform)])
}

fn model_json(info: &EngineInfo, resolved: &Resolved, steps: usize) -> Value {
    json!({
        "name": info.name,
        "family": info.family,
        "built_in": info.built_in,
        "device": resolved.device,
        "dtype": info.dtype,
        "attention": info.attention,
        "parameters": info.parameters,
        "steps": steps,
    })
}

fn text(outcome: &Outcome) -> String {
    let mut lines: Vec<String> = outcome
        .outputs
        .iter()
        .map(|output| {
            format!(
                "{}  {}, {} Hz, {}, seed {}",
                output.path.display(),
                minutes(output.duration_secs),
                output.sample_rate_hz,
                match output.channels {
                    1 => "mono".to_owned(),
                    2 => "stereo".to_owned(),
                    channels => format!("{channels} channels"),
                },
                output.seed
            )
        })
        .collect();
    if let Some(path) = &outcome.latents {
        lines.push(format!("{}  latents and waveform", path.display()));
    }
    let timings = &outcome.timings;
    lines.push(format!(
        "{} in {:.1} s: load {:.1}, prompt {:.1}, diffusion {:.1}, decoding {:.1}",
        outcome.model["name"].as_str().unwrap_or_default(),
        timings.total_secs,
        timings.load_secs,
        timings.prepare_secs,
        timings.diffusion_secs,
        timings.decode_secs
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use acestep_domain::{task::Family, tier::GpuTier};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        tier: GpuTier::Tier1,
        lm_loaded: false,
        family: Family::Turbo,
        unlimited: false,
    };

    fn noise(songs: usize, frames: usize) -> Noise {
        Noise {
            state: Tensor::zeros((songs, frames, 4), DType::F32, &Device::Cpu).unwrap(),
            songs,
            frames,
            width: 4,
        }
    }

    fn info() -> EngineInfo {
        EngineInfo {
            name: "m".into(),
            family: Family::Turbo,
            built_in: false,
            sample_rate_hz: 48_000,
            channels: 2,
            latent_channels: 4,
            latent_rate_hz: 25.0,
            parameters: 1,
            weights_bytes: 1,
            dtype: "f32".into(),
            attention: "fused".into(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn given_noise_decides_batch_and_length() {
        let mut notes = Vec::new();
        let given = noise(2, 50);
        let asked = json!({ "caption": "x", "seed": "1,2,3" });
        let mut params = settle_params(&asked, BOUNDS, Some(&given), &mut notes).unwrap();
        assert_eq!(
            (params.batch_size, params.seeds.as_slice()),
            (2, &[1, 2][..])
        );
        given
            .check_against(&info(), &mut params, BOUNDS, &mut notes)
            .unwrap();
        assert_eq!(params.duration_secs, Some(2.0));
        assert_eq!(notes.last().unwrap().code, "limits_by_noise");
    }

    #[test]
    fn noise_that_contradicts_is_told_or_refused() {
        let mut notes = Vec::new();
        let given = noise(1, 50);
        let asked = json!({ "caption": "x", "duration": 30 });
        let mut params = settle_params(&asked, BOUNDS, Some(&given), &mut notes).unwrap();
        given
            .check_against(&info(), &mut params, BOUNDS, &mut notes)
            .unwrap();
        assert_eq!(notes[0].code, "duration_by_noise");
        assert_eq!(params.duration_secs, Some(30.0));

        let asked = json!({ "caption": "x", "batch_size": 3 });
        let failure = settle_params(&asked, BOUNDS, Some(&given), &mut notes).unwrap_err();
        assert_eq!(failure.error.field.as_deref(), Some("noise"));

        let narrow = EngineInfo {
            latent_channels: 64,
            ..info()
        };
        let refused = given.check_against(&narrow, &mut params, BOUNDS, &mut notes);
        assert!(refused.unwrap_err().error.message.contains("64"));
    }

    #[test]
    fn without_noise_the_limits_of_the_tier_hold() {
        let mut notes = Vec::new();
        let asked = json!({ "caption": "x", "duration": 400, "batch_size": 2 });
        let params = settle_params(&asked, BOUNDS, None, &mut notes).unwrap();
        assert_eq!((params.duration_secs, params.batch_size), (Some(180.0), 1));
        let lifted = Bounds {
            unlimited: true,
            ..BOUNDS
        };
        let params = settle_params(&asked, lifted, None, &mut notes).unwrap();
        assert_eq!((params.duration_secs, params.batch_size), (Some(400.0), 2));
    }
}
