//! `acestep bench quality`: how far songs of quantised weights are from songs of exact ones.

use std::process::ExitCode;

use acestep_domain::{
    GenerationParams,
    defaults::defaults,
    note::Note,
    service::{Quantization, Resolved},
    tier::size_text,
};
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, Request},
    pipeline::vae_tiles::TileOptions,
};
use candle_core::Tensor;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::super::{
    generate::{Memory, settle_service},
    machine::machine,
    output::{Failure, fail, say, say_json, tell_notes},
    service::ServiceArgs,
};
use crate::{env::Environment, progress::Bar};

#[derive(Debug, Args)]
pub(crate) struct QualityArgs {
    /// Seconds of the song
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=600))]
    duration: u32,
    /// Its seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// A format beside exact weights.
#[derive(Debug, Serialize)]
struct Row {
    quantization: Quantization,
    resident_bytes: u64,
    /// Cosine of all latents after the last step, 1 = the same direction.
    latent_cosine: f64,
    /// Root mean square of the difference, in units of that of the exact latents.
    relative_error: f64,
}

struct Outcome {
    name: String,
    steps: usize,
    dtype: String,
    resident_bytes: u64,
    rows: Vec<Row>,
    notes: Vec<Note>,
}

/// Latents of the song, and what they were made with.
struct Made {
    latents: Vec<f32>,
    name: String,
    dtype: String,
    steps: usize,
    resident_bytes: u64,
}

pub(super) fn run(args: &QualityArgs, environment: &Environment) -> ExitCode {
    match compared(args, environment) {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if args.json {
                say_json(&json!({
                    "config_path": outcome.name,
                    "duration_secs": args.duration,
                    "seed": args.seed,
                    "steps": outcome.steps,
                    "dtype": outcome.dtype,
                    "resident_bytes": outcome.resident_bytes,
                    "formats": outcome.rows,
                    "notes": outcome.notes,
                }));
            } else {
                say(&table(&outcome));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn compared(args: &QualityArgs, environment: &Environment) -> Result<Outcome, Failure> {
    let (capabilities, mut notes) = machine(environment, &args.service);
    let (resolved, more) = settle_service(&args.service, false, environment, &capabilities)?;
    notes.extend(more);
    let root = args.service.root();
    let checkpoint = Checkpoint::open(&root, &resolved.config_path)?;
    let params = GenerationParams {
        caption: "a slow waltz for two pianos, warm and close".to_owned(),
        duration_secs: Some(f64::from(args.duration)),
        batch_size: 1,
        ..defaults(checkpoint.family(), capabilities.tier)
    };
    let made = |quantization| -> Result<Made, Failure> {
        let resolved = Resolved {
            quantization,
            ..resolved.clone()
        };
        let memory = Memory::new(&checkpoint, &root, &resolved)?;
        let plan = memory.admit(&params)?;
        let bar = Bar::new();
        let request = Request {
            params: params.clone(),
            seeds: vec![args.seed],
            keep_latents: true,
            tiles: TileOptions::from(&plan),
            ..Request::default()
        };
        let song = song(&checkpoint, &memory, &request, &bar);
        bar.clear();
        song
    };
    let exact = made(Quantization::None)?;
    let mut rows = Vec::new();
    for quantization in [Quantization::Int8, Quantization::Int4] {
        let made = made(quantization)?;
        let (latent_cosine, relative_error) = apart(&exact.latents, &made.latents);
        rows.push(Row {
            quantization,
            resident_bytes: made.resident_bytes,
            latent_cosine,
            relative_error,
        });
    }
    Ok(Outcome {
        name: exact.name,
        steps: exact.steps,
        dtype: exact.dtype,
        resident_bytes: exact.resident_bytes,
        rows,
        notes,
    })
}

fn song(
    checkpoint: &Checkpoint,
    memory: &Memory,
    request: &Request,
    bar: &Bar,
) -> Result<Made, Failure> {
    let mut engine = Engine::load(checkpoint, &memory.options, bar)?;
    let info = engine.info().clone();
    let mut kept: Option<Tensor> = None;
    let report = engine.generate(request, bar, &mut |take| {
        kept = take.latents;
        Ok(())
    })?;
    let latents = kept
        .map(|latents| latents.flatten_all()?.to_vec1::<f32>())
        .transpose()
        .map_err(acestep_engine::error::Error::in_stage(
            acestep_engine::error::Stage::Save,
        ))?
        .unwrap_or_default();
    Ok(Made {
        latents,
        name: info.name,
        dtype: info.dtype,
        steps: report.steps,
        resident_bytes: info.resident_bytes,
    })
}

/// Cosine of two, and the root mean square of their difference in units of the first's.
fn apart(exact: &[f32], other: &[f32]) -> (f64, f64) {
    let sum = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>();
    let pairs = || {
        exact
            .iter()
            .zip(other)
            .map(|(a, b)| (f64::from(*a), f64::from(*b)))
    };
    let (aa, bb, ab) = (
        sum(&mut pairs().map(|(a, _)| a * a)),
        sum(&mut pairs().map(|(_, b)| b * b)),
        sum(&mut pairs().map(|(a, b)| a * b)),
    );
    let dd = sum(&mut pairs().map(|(a, b)| (a - b) * (a - b)));
    (ab / (aa * bb).sqrt(), (dd / aa).sqrt())
}

fn table(outcome: &Outcome) -> String {
    let mut text = format!(
        "{}, {} steps; exact weights ({}) take {}\n\n| weights | bytes | cosine of the latents | difference, RMS |\n| --- | --- | --- | --- |\n",
        outcome.name,
        outcome.steps,
        outcome.dtype,
        size_text(outcome.resident_bytes)
    );
    for row in &outcome.rows {
        text += &format!(
            "| {} | {} | {:.5} | {:.2} % |\n",
            row.quantization.as_str(),
            size_text(row.resident_bytes),
            row.latent_cosine,
            row.relative_error * 100.0
        );
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn the_same_is_one_apart_by_nothing_and_a_right_angle_is_zero() {
        assert_eq!(apart(&[1.0, -2.0], &[1.0, -2.0]), (1.0, 0.0));
        assert_eq!(apart(&[1.0, 0.0], &[0.0, 1.0]).0, 0.0);
        let (cosine, error) = apart(&[3.0, 4.0], &[6.0, 8.0]);
        assert!((cosine - 1.0).abs() < 1e-12 && (error - 1.0).abs() < 1e-12);
    }
}
