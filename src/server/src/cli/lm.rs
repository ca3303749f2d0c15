//! `acestep plan-song` and `acestep lm`: the language model without a server.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use acestep_domain::{
    GenerationParams, Note, SongPlan, UserError,
    capabilities::DeviceKind,
    generation::read::params_from_json,
    service,
    service::{DeviceName, Quantization},
};
use acestep_engine::{
    capabilities::capabilities,
    checkpoint::LmCheckpoint,
    engine::{LanguageModel, LoadOptions},
    memory::probe::probe,
    planner::jobs::{Given, PlanRequest, Planned, TextOptions},
};
use clap::{Args, Subcommand};
use serde::Deserialize;

use super::{
    files::{check_place, write_tensors},
    machine::{machine, take_card},
    output::{Failure, fail, read_json, say, say_json, tell_notes},
    service::ServiceArgs,
    values,
};
use crate::{env::Environment, progress::Bar};

/// Which language model.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Folder or GGUF file with the language model, by its name [default: the built-in one]
    #[arg(long = "lm_model_path", alias = "lm-model-path", value_name = "NAME")]
    lm_model_path: Option<String>,
    /// Folder with the checkpoints
    #[arg(long, value_name = "DIR", default_value = "checkpoints")]
    checkpoints: PathBuf,
    /// Format of the weights: none, int8 or int4
    #[arg(long, value_name = "FORMAT", default_value = "none", value_parser = values::quantization)]
    quantization: Quantization,
    /// Prepacked weights: true or false [default: true on a processor]
    #[arg(long, value_name = "BOOL", value_parser = values::switch)]
    compile: Option<bool>,
    /// auto, cuda, cuda:INDEX or cuda:NAME (one card of several), mps or cpu
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceName,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// A song planned from a description or from parameters.
#[derive(Debug, Args)]
pub(crate) struct PlanSongArgs {
    /// Invent a whole song for this description
    #[arg(long, value_name = "TEXT", conflicts_with = "params")]
    description: Option<String>,
    /// The song has no vocals; with --description
    #[arg(long, requires = "description")]
    instrumental: bool,
    /// Parameters as JSON, whose values are kept; `-` reads stdin
    #[arg(long, value_name = "FILE|-")]
    params: Option<PathBuf>,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// Hold the plan to its grammar; false lets the model write freely
    #[arg(
        long = "use_constrained_decoding",
        alias = "use-constrained-decoding",
        value_name = "true|false",
        value_parser = values::switch
    )]
    use_constrained_decoding: Option<bool>,
    #[command(flatten)]
    source: Source,
}

/// For diagnosis.
#[derive(Debug, Subcommand)]
pub(crate) enum LmCommand {
    /// Logits after the last token of each prompt: `{"prompts": [[ids…], …]}` in, `logits.0`, `logits.1`, … out
    Logits(LogitsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    /// `{"prompts": [[ids…], …]}`; `-` reads stdin
    #[arg(long, value_name = "FILE|-")]
    params: PathBuf,
    /// Where the logits go
    #[arg(long, value_name = "F.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompts {
    prompts: Vec<Vec<u32>>,
}

impl Source {
    pub(super) fn load(&self, bar: &Bar) -> Result<LanguageModel, Failure> {
        let checkpoint = match &self.lm_model_path {
            Some(name) => LmCheckpoint::open(&self.checkpoints, name),
            None => LmCheckpoint::demo(),
        };
        let probe = probe();
        let (machine, _) = capabilities(&probe, self.device.card.as_deref(), None);
        take_card(&probe, &machine);
        let (device, note) = service::device(self.device.choice, &machine);
        tell_notes(note.as_slice());
        let options = LoadOptions {
            device,
            full_precision: machine.full_precision,
            compile: self.compile.unwrap_or(device == DeviceKind::Cpu),
            quantization: self.quantization,
            ..LoadOptions::default()
        };
        let loaded = checkpoint.and_then(|source| LanguageModel::load(&source, &options, bar));
        bar.clear();
        Ok(loaded?)
    }
}

/// What became of `--quantization`. That a model has no codes is of no interest here.
fn about_quantization(model: &LanguageModel) -> Vec<Note> {
    let notes = model.info().notes.iter();
    notes
        .filter(|note| note.field.as_deref() == Some("quantization"))
        .cloned()
        .collect()
}

/// Plans a song and prints it.
pub(crate) fn plan_song(args: &PlanSongArgs, environment: &Environment) -> ExitCode {
    match planned(args, environment) {
        Ok(planned) => {
            tell_notes(&planned.notes);
            if args.source.json {
                say_json(&serde_json::json!({
                    "plan": planned.plan,
                    "text": planned.text,
                    "tokens": planned.tokens,
                    "notes": planned.notes,
                }));
            } else {
                say(&spelt(&planned.plan));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.source.json),
    }
}

fn planned(args: &PlanSongArgs, environment: &Environment) -> Result<Planned, Failure> {
    let (capabilities, mut notes) = machine(
        environment,
        &ServiceArgs {
            device: Some(args.source.device.clone()),
            ..ServiceArgs::default()
        },
    );
    let (mut params, more) = match args.params.as_deref() {
        Some(path) => params_from_json(&read_json(path)?, GenerationParams::default())
            .and_then(acestep_domain::generation::read::Read::strict)
            .map_err(Failure::input)?,
        None => (GenerationParams::default(), Vec::<Note>::new()),
    };
    notes.extend(more);
    if let Some(constrained) = args.use_constrained_decoding {
        params.use_constrained_decoding = constrained;
    }
    let bar = Bar::new();
    let model = args.source.load(&bar)?;
    notes.extend(about_quantization(&model));
    let given = Given::of(&params);
    let options = TextOptions::of(
        &params,
        params
            .lm_seed
            .or(params.seeds.first().copied())
            .unwrap_or(args.seed),
        capabilities.tier.row().with_lm.max_duration_secs,
    );
    let planned = match &args.description {
        Some(description) => {
            model.create_sample(description, args.instrumental, &given, &options, &bar)
        }
        None => model.plan_song(
            &PlanRequest {
                caption: params.caption,
                lyrics: params.lyrics,
                given,
                write_caption: params.use_cot_caption,
                write_language: params.use_cot_language,
                options,
            },
            &bar,
        ),
    };
    bar.clear();
    let mut planned = planned?;
    notes.append(&mut planned.notes);
    planned.notes = notes;
    Ok(planned)
}

/// A plan, a line each field.
pub(super) fn spelt(plan: &SongPlan) -> String {
    let line = |name: &str, value: Option<String>| value.map(|value| format!("{name:<11}{value}"));
    [
        line(
            "Caption",
            Some(plan.caption.clone()).filter(|text| !text.is_empty()),
        ),
        line("Tempo", plan.bpm.map(|bpm| format!("{bpm} BPM"))),
        line("Key", plan.keyscale.map(|key| key.to_string())),
        line(
            "Time",
            plan.timesignature.map(|time| time.label().to_owned()),
        ),
        line("Length", plan.duration_secs.map(|secs| format!("{secs} s"))),
        line(
            "Language",
            plan.language.map(|language| language.name().to_owned()),
        ),
        line(
            "Lyrics",
            Some(format!("\n{}", plan.lyrics)).filter(|_| !plan.lyrics.is_empty()),
        ),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("\n")
}

/// Runs a diagnosis.
pub(crate) fn run(command: &LmCommand) -> ExitCode {
    let LmCommand::Logits(args) = command;
    match logits(args) {
        Ok(count) => {
            if args.source.json {
                say_json(&serde_json::json!({ "output": args.output, "prompts": count }));
            } else {
                say(&format!("{}  {count} prompts", args.output.display()));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.source.json),
    }
}

fn logits(args: &LogitsArgs) -> Result<usize, Failure> {
    check_place(&args.output)?;
    let prompts = prompts(&args.params)?;
    let bar = Bar::new();
    let model = args.source.load(&bar)?;
    tell_notes(&about_quantization(&model));
    let rows = model.logits(&prompts, &bar);
    bar.clear();
    let names: Vec<String> = (0..prompts.len())
        .map(|index| format!("logits.{index}"))
        .collect();
    let tensors: Vec<_> = names.iter().map(String::as_str).zip(rows?).collect();
    write_tensors(&args.output, &tensors)?;
    Ok(prompts.len())
}

fn prompts(path: &Path) -> Result<Vec<Vec<u32>>, Failure> {
    let Prompts { prompts } = serde_json::from_value(read_json(path)?).map_err(|error| {
        Failure::input(UserError::new(
            "invalid_json",
            format!("{}: {error}.", path.display()),
            "Write {\"prompts\": [[1, 2, 3]]} with token ids.",
        ))
    })?;
    Ok(prompts)
}
