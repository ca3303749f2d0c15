//! `acestep generate`: songs from a file of parameters, by the same engine as the studio's.

mod listen;
mod memory;
mod settle;
mod sources;
mod widen;
mod write;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use acestep_domain::{
    GenerationParams, Note, SongPlan, UserError, audio_codes,
    capabilities::{Capabilities, DeviceKind, ModelEntry},
    generation::clamp::{Bounds, minutes},
    library::MemoryReport,
    lora::LoraUse,
    service::{DEFAULT_MODEL, Installed, Resolved, resolve},
    task::Family,
};
use acestep_engine::{
    checkpoint::{Checkpoint, LmCheckpoint, lora::Lora},
    engine::{Engine, EngineInfo, LoadOptions, Request, Thinking},
    memory::probe::{CardWatch, restart_peak},
    pipeline::vae_tiles::TileOptions,
};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use self::memory::Memory;
use self::{
    memory::report_of,
    settle::{Noise, read_noise, read_params, settle_format, settle_params, settle_seeds},
    sources::Recordings,
    widen::another_try,
    write::{Output, Writer, write_kept},
};
use super::{
    files::{check_place, format_of, read_tensor},
    machine::{installed, machine},
    output::{Failure, fail, read_json, read_text, say, say_json, tell_notes},
    service::{LoraArgs, ServiceArgs},
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
    /// Audio codes that the song follows, five a second: <|audio_code_N|> or numbers
    #[arg(long, value_name = "FILE|-")]
    codes: Option<PathBuf>,
    /// The recording that the task works on (src_audio): wav, flac, mp3, ogg or m4a
    #[arg(long = "src_audio", alias = "src-audio", value_name = "FILE")]
    src_audio: Option<PathBuf>,
    /// A recording whose sound the song takes on (reference_audio); may be given several times
    #[arg(
        long = "reference_audio",
        alias = "reference-audio",
        value_name = "FILE"
    )]
    reference_audio: Vec<PathBuf>,
    /// Let a language model write audio codes first; loads one unless --lm_model_path names it
    #[arg(
        long,
        value_name = "true|false",
        value_parser = super::values::switch,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    thinking: Option<bool>,
    /// Hold the language model's plan to its grammar; false lets it write freely
    #[arg(
        long = "use_constrained_decoding",
        alias = "use-constrained-decoding",
        value_name = "true|false",
        value_parser = super::values::switch
    )]
    use_constrained_decoding: Option<bool>,
    /// Adapter that takes part, at a scale from 0 to 1 (repeatable) [default scale: 1]
    #[arg(long, value_name = "NAME[:SCALE]", value_parser = LoraUse::parse)]
    lora: Vec<LoraUse>,
    /// Where the run does not fit into the memory, lower what its plan names (takes, length, how models are loaded) and say so
    #[arg(long, conflicts_with = "noise")]
    fit: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    loras: LoraArgs,
}

/// A run that fits; nothing is loaded for it yet.
struct Prepared {
    checkpoint: Checkpoint,
    resolved: Resolved,
    bounds: Bounds,
    params: GenerationParams,
    seeds: Vec<u32>,
    noise: Option<Noise>,
    recordings: Recordings,
    memory: Memory,
    notes: Vec<Note>,
}

/// What a run tells.
#[derive(Debug, Serialize)]
struct Outcome {
    outputs: Vec<Output>,
    /// Parameters as used, the language model's values where the request left them open.
    params: GenerationParams,
    /// What the language model wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<SongPlan>,
    seeds: Vec<u32>,
    /// Adapters that took part, with the hashes of their files.
    loras: Vec<LoraUse>,
    notes: Vec<Note>,
    model: Value,
    timings: Timings,
    /// What was planned and what was held.
    memory: MemoryReport,
    /// The file of `--output-latents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    latents: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "every name carries its unit")]
struct Timings {
    load_secs: f32,
    language_model_secs: f32,
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

/// Reads and settles what is asked, and refuses what cannot be made.
fn prepare(args: &GenerateArgs, environment: &Environment) -> Result<Prepared, Failure> {
    let mut notes = Vec::new();
    let asked = read_asked(args, &mut notes)?;
    let output_format = args.output.as_deref().map(format_of).transpose()?;
    let noise = args.noise.as_deref().map(read_noise).transpose()?;

    let (capabilities, more) = machine(environment, &args.service);
    notes.extend(more);
    let (mut resolved, more) = settle_service(
        &args.service,
        args.thinking == Some(true),
        environment,
        &capabilities,
    )?;
    notes.extend(more);
    let root = args.service.root();
    let checkpoint = Checkpoint::open(&root, &resolved.config_path)?;
    let mut bounds = bounds_of(args, &capabilities, &resolved, checkpoint.family());
    let params = read_params(&asked, bounds, &mut notes)?;
    let recordings = Recordings::read(&params, &mut notes)?;
    let given = (noise.as_ref(), recordings.source_secs());
    let mut params = settle_params(params, &asked, bounds, given, &mut notes)?;

    let mut memory = Memory::new(&checkpoint, &root, &resolved)?;
    let lora_dir = args.loras.dir(&args.service);
    memory.brought = recordings.brought(&params, &lora_dir, resolved.device);
    if args.fit {
        notes.extend(memory.fit(&checkpoint, &mut resolved, &mut params));
        // What hangs on it, for example seeds of takes that are not made.
        bounds.lm_loaded = resolved.init_llm;
        params = settle_params(params, &asked, bounds, given, &mut notes)?;
        memory.brought = recordings.brought(&params, &lora_dir, resolved.device);
    }
    let seeds = settle_seeds(&params)?;
    params.seeds.clone_from(&seeds);
    notes.extend(idle_thinking(&asked, &resolved));
    settle_format(args, &asked, output_format, &mut params, &mut notes);
    // Refused now rather than after the language model has written for a minute.
    notes.extend(memory.admit(&params)?.notes);
    Ok(Prepared {
        checkpoint,
        resolved,
        bounds,
        params,
        seeds,
        noise,
        recordings,
        memory,
        notes,
    })
}

fn generate(args: &GenerateArgs, environment: &Environment) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let Prepared {
        checkpoint,
        resolved,
        bounds,
        mut params,
        seeds,
        noise,
        recordings,
        memory,
        mut notes,
    } = prepare(args, environment)?;

    let bar = Bar::new();
    let loras = params.loras.get_or_insert_default().clone();
    let from = (&args.service, &args.loras);
    let load = |options| {
        load((&checkpoint, &loras), from, &resolved, options, &bar).inspect_err(|_| bar.clear())
    };
    let (mut engine, more) = load(memory.options)?;
    notes.extend(more);
    let mut timings = Timings {
        load_secs: started.elapsed().as_secs_f32(),
        ..Timings::default()
    };
    notes.extend(engine.info().notes.iter().cloned());
    if let Some(noise) = &noise {
        noise.check_against(engine.info(), &mut params, bounds, &mut notes)?;
    }
    // What loading held for a moment is no part of the run.
    restart_peak();
    let card = (resolved.device == DeviceKind::Cuda).then(CardWatch::start);

    let (max_duration_secs, note) = memory.longest_planned(&params, bounds.limits().0 as u32);
    notes.extend(note);
    let thinking = Thinking {
        params: &params,
        seeds: &seeds,
        max_duration_secs,
    };
    let thought = engine.think(thinking, &bar).inspect_err(|_| bar.clear())?;
    notes.extend(thought.notes.iter().cloned());
    timings.language_model_secs = thought.plan_secs + thought.codes_secs;
    let params = thought.params;
    let mut planned = memory.admit(&params)?;
    let mut request = Request {
        params: params.clone(),
        seeds: seeds.clone(),
        codes: thought.codes.clone(),
        source: recordings.source,
        references: recordings.references,
        noise: noise.as_ref().map(|noise| noise.state.clone()),
        keep_latents: args.output_latents.is_some() || params.auto_lrc || params.auto_score,
        raw_level: noise.is_some(),
        tiles: TileOptions::from(&planned),
    };
    let wrote = (thought.plan.is_some(), timings.language_model_secs);
    let mut writer = Writer::new(args, (&request, wrote), &engine, &resolved);
    let mut ran = engine.generate(&request, &bar, &mut |take| writer.take(take));
    let root = args.service.root();
    let from = (&checkpoint, root.as_path());
    let begun = !writer.outputs.is_empty();
    if let Err(error) = &ran
        && let Some((options, plan)) =
            another_try((error, begun), from, &resolved, (&memory, &params))
    {
        // Both would not fit beside each other.
        drop(engine);
        (engine, _) = load(options)?;
        notes.push(widen::note());
        planned = plan;
        request.tiles = TileOptions::from(&planned);
        writer = Writer::new(args, (&request, wrote), &engine, &resolved);
        ran = engine.generate(&request, &bar, &mut |take| writer.take(take));
    }
    bar.clear();
    if let Some(failure) = writer.failure {
        return Err(failure);
    }
    let report = ran?;
    notes.extend(report.notes);
    notes.extend(writer.listen(&mut engine, &request, &bar)?);
    if let Some(path) = &args.output_latents {
        write_kept(path, &writer.kept)?;
    }
    timings.prepare_secs = report.prepare_secs;
    timings.diffusion_secs = report.diffusion_secs;
    timings.decode_secs = writer.decode_secs;
    timings.total_secs = started.elapsed().as_secs_f32();
    Ok(Outcome {
        outputs: writer.outputs,
        params,
        plan: thought.plan,
        seeds,
        loras: writer.loras,
        notes: once(notes),
        model: model_json(&writer.info, &resolved, report.steps),
        timings,
        memory: report_of(&planned, card.as_ref()),
        latents: args.output_latents.clone(),
    })
}

/// The parameters with what flags put over them, once it is clear that the results have a place.
fn read_asked(args: &GenerateArgs, notes: &mut Vec<Note>) -> Result<Value, Failure> {
    let mut asked = read_json(&args.params)?;
    overlay(args, &mut asked, notes)?;
    for path in args.output.iter().chain(&args.output_latents) {
        check_place(path)?;
    }
    Ok(asked)
}

/// What the request is clamped to.
fn bounds_of(
    args: &GenerateArgs,
    capabilities: &Capabilities,
    resolved: &Resolved,
    family: Family,
) -> Bounds {
    Bounds {
        tier: capabilities.tier,
        lm_loaded: resolved.init_llm,
        family,
        unlimited: args.service.unlimited && capabilities.vram.total_gib == 0.0,
    }
}

/// The main model with its adapters, and the language model where one takes part, with what is worth
/// saying of the latter two.
pub(super) fn load(
    (checkpoint, loras): (&Checkpoint, &[LoraUse]),
    (service, adapters): (&ServiceArgs, &LoraArgs),
    resolved: &Resolved,
    options: LoadOptions,
    bar: &Bar,
) -> Result<(Engine, Vec<Note>), Failure> {
    let lora_dir = adapters.dir(service);
    check_loras(checkpoint, &lora_dir, loras)?;
    let mut engine = Engine::load(checkpoint, &options, bar)?;
    let mut notes = engine.use_loras(loras, &lora_dir, bar)?;
    if let Some(name) = resolved.lm() {
        let source = LmCheckpoint::open(&service.root(), name)?;
        notes.extend(
            engine
                .load_lm(&source, &options, bar)?
                .notes
                .iter()
                .cloned(),
        );
    }
    Ok((engine, notes))
}

/// Refuses adapters that do not fit before anything is loaded.
fn check_loras(checkpoint: &Checkpoint, dir: &Path, loras: &[LoraUse]) -> Result<(), Failure> {
    if loras.is_empty() {
        return Ok(());
    }
    let layers = checkpoint.layers()?;
    for lora in loras {
        Lora::open(dir, &lora.name)?.check(&layers)?;
    }
    Ok(())
}

/// Thinking that was asked for and has nobody to think.
fn idle_thinking(asked: &Value, resolved: &Resolved) -> Option<Note> {
    let idle = !resolved.init_llm && asked.get("thinking") == Some(&Value::Bool(true));
    idle.then(|| {
        Note::new(
            "thinking_without_lm",
            "thinking",
            "Thinking: asked on, but no language model takes part, so the song is made without it. Name one with --lm_model_path.",
        )
    })
}

/// Each note once, in order.
fn once(notes: Vec<Note>) -> Vec<Note> {
    let mut once = Vec::new();
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once
}

/// Puts what flags say over the parameters.
fn overlay(args: &GenerateArgs, asked: &mut Value, notes: &mut Vec<Note>) -> Result<(), Failure> {
    let mut put = |key: &str, value: Value| {
        if let Some(object) = asked.as_object_mut() {
            let before = object.insert(key.to_owned(), value.clone());
            let said = |before: &Value| *before != value && !before.is_null() && before != "";
            if before.as_ref().is_some_and(said) {
                notes.push(Note::new(
                    &format!("{key}_by_flag"),
                    key,
                    format!("{key}: the flag is used, not the value in the parameters."),
                ));
            }
        }
    };
    if let Some(thinking) = args.thinking {
        put("thinking", thinking.into());
    }
    if let Some(constrained) = args.use_constrained_decoding {
        put("use_constrained_decoding", constrained.into());
    }
    if let Some(path) = &args.src_audio {
        put("src_audio", path.to_string_lossy().into());
    }
    if !args.reference_audio.is_empty() {
        let paths = args.reference_audio.iter();
        let paths: Vec<String> = paths.map(|path| path.to_string_lossy().into()).collect();
        put("reference_audio", paths.into());
    }
    if !args.lora.is_empty() {
        put("loras", json!(args.lora));
    }
    if let Some(path) = &args.codes {
        let codes = audio_codes::parse(&read_text(path)?).map_err(Failure::input)?;
        if codes.is_empty() {
            return Err(Failure::input(UserError::invalid(
                "audio_codes",
                format!("{}: there are no audio codes in it.", path.display()),
                "Give <|audio_code_N|> or numbers from 0 to 63999, separated by commas.",
            )));
        }
        put("audio_codes", audio_codes::to_text(&codes).into());
    }
    Ok(())
}

/// What the service flags come to. Without a name, a checkpoint in a folder that was named is meant,
/// damaged or not: making a song with another model instead would hide the damage.
pub(super) fn settle_service(
    service: &ServiceArgs,
    thinking: bool,
    environment: &Environment,
    capabilities: &Capabilities,
) -> Result<(Resolved, Vec<Note>), Failure> {
    let (mut config, mut notes) = service.config(environment);
    // A command makes what it is told: a language model takes part when it is asked for.
    let asked = thinking || config.lm_model_path.is_some();
    config.init_llm = config.init_llm.or(Some(asked));
    let root = service.root();
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
        } else if service.checkpoints.is_some() {
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
    Ok((resolved, notes))
}

fn is_built_in(models: &[ModelEntry], name: &str) -> bool {
    models
        .iter()
        .any(|model| model.built_in && model.name == name)
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
        "{} in {:.1} s: load {:.1}, language model {:.1}, prompt {:.1}, diffusion {:.1}, decoding {:.1}",
        outcome.model["name"].as_str().unwrap_or_default(),
        timings.total_secs,
        timings.load_secs,
        timings.language_model_secs,
        timings.prepare_secs,
        timings.diffusion_secs,
        timings.decode_secs
    ));
    lines.join("\n")
}
