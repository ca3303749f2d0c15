//! `acestep understand`: a song or its codes to caption, metadata and lyrics.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use acestep_domain::{
    GenerationParams, Note, SongPlan, UserError, audio_codes,
    job::JobKind,
    service::{Installed, resolve},
};
use acestep_engine::{
    audio::decode::{self, Limit},
    checkpoint::{Checkpoint, LmCheckpoint},
    engine::{Engine, LanguageModel, LoadOptions, WriteReport, WriteRequest},
    planner::jobs::TextOptions,
};
use clap::Args;
use serde::Serialize;

use super::{
    lm::spelt,
    machine::{installed, machine},
    output::{Failure, fail, read_text, say, say_json, tell_notes},
    service::ServiceArgs,
    values,
};
use crate::{env::Environment, progress::Bar};

/// What is described, and by what.
#[derive(Debug, Args)]
pub(crate) struct UnderstandArgs {
    /// The song: wav, flac, mp3, ogg, m4a or aiff
    #[arg(value_name = "FILE", required_unless_present = "codes")]
    song: Option<PathBuf>,
    /// Its audio codes instead: <|audio_code_N|> or numbers; `-` reads stdin
    #[arg(long, value_name = "FILE|-", conflicts_with = "song")]
    codes: Option<PathBuf>,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// How freely tokens are chosen, 0 to 2; 0 takes the most probable
    #[arg(long, value_name = "T", default_value_t = 0.3, value_parser = values::lm_temperature, allow_negative_numbers = true)]
    temperature: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Outcome {
    plan: SongPlan,
    /// The codes that were described, as text.
    audio_codes: String,
    notes: Vec<Note>,
}

/// Describes and prints.
pub(crate) fn run(args: &UnderstandArgs, environment: &Environment) -> ExitCode {
    match understand(args, environment) {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if args.json {
                say_json(&outcome);
            } else {
                say(&spelt(&outcome.plan));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn understand(args: &UnderstandArgs, environment: &Environment) -> Result<Outcome, Failure> {
    let codes = args.codes.as_deref().map(read_codes).transpose()?;
    let (capabilities, mut notes) = machine(environment, &args.service);
    let (mut config, more) = args.service.config(environment);
    notes.extend(more);
    config.init_llm = Some(true);
    let root = args.service.root();
    let (models, lms) = installed(&root, &capabilities);
    let (resolved, more) = resolve(
        &config,
        &capabilities,
        Installed {
            models: &models,
            lms: &lms,
        },
    );
    notes.extend(more);
    let Some(lm) = &resolved.lm_model_path else {
        return Err(Failure::run(UserError {
            field: Some("lm_model_path".to_owned()),
            ..UserError::new(
                "not_ready",
                format!("{}: there is no language model in it.", root.display()),
                "Name one with --lm_model_path, or another folder with --checkpoints.",
            )
        }));
    };
    let lm = LmCheckpoint::open(&root, lm)?;
    let options = LoadOptions::from(&resolved);
    let mut params = GenerationParams {
        lm_temperature: args.temperature,
        ..GenerationParams::default()
    };
    let max_duration_secs = capabilities.tier.row().with_lm.max_duration_secs;
    let bar = Bar::new();
    let described = if let Some((text, codes)) = codes {
        params.audio_codes = text;
        let options_of_text = TextOptions::of(&params, args.seed, max_duration_secs);
        LanguageModel::load(&lm, &options, &bar).and_then(|model| {
            notes.extend(model.info().notes.iter().cloned());
            let planned = model.understand(&codes, &options_of_text, &bar)?;
            Ok(WriteReport {
                plan: Some(planned.plan),
                audio_codes: codes,
                notes: planned.notes,
            })
        })
    } else {
        let request = WriteRequest {
            kind: JobKind::Understand,
            params: &params,
            seed: args.seed,
            max_duration_secs,
            source: args
                .song
                .as_deref()
                .map(|song| decode::from_path(song, Limit::song()))
                .transpose()?
                .map(|decoded| {
                    notes.extend(decoded.notes);
                    decoded.audio
                }),
        };
        let checkpoint = Checkpoint::open(&root, &resolved.config_path)?;
        Engine::load(&checkpoint, &options, &bar).and_then(|mut engine| {
            notes.extend(engine.info().notes.iter().cloned());
            let loaded = engine.load_lm(&lm, &options, &bar)?;
            notes.extend(loaded.notes.iter().cloned());
            engine.write(&request, &bar)
        })
    };
    bar.clear();
    let WriteReport {
        plan,
        audio_codes,
        notes: more,
    } = described?;
    notes.extend(more);
    Ok(Outcome {
        plan: plan.unwrap_or_default(),
        audio_codes: audio_codes::to_text(&audio_codes),
        notes,
    })
}

/// The codes in a file, as text and as numbers.
fn read_codes(path: &Path) -> Result<(String, Vec<u32>), Failure> {
    let text = read_text(path)?;
    let codes = audio_codes::parse(&text).map_err(Failure::input)?;
    if codes.is_empty() {
        return Err(Failure::input(UserError::invalid(
            "audio_codes",
            format!("{}: there are no audio codes in it.", path.display()),
            "Give them as <|audio_code_N|> or as numbers.",
        )));
    }
    Ok((text, codes))
}
