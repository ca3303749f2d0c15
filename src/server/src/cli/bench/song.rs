//! `acestep bench song`: how quick songs are made.

use std::{process::ExitCode, time::Instant};

use acestep_domain::{GenerationParams, note::Note, tier::GIB};
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, EngineInfo, LoadOptions, MeasuredSong, SongWork},
    kernels::threads,
    pipeline::vae_tiles::TileOptions,
};
use clap::Args;
use serde_json::{Value, json};

use super::super::{
    generate::{Memory, settle_service},
    machine::machine,
    output::{Failure, fail, say, say_json, tell_notes},
    service::ServiceArgs,
};
use crate::{env::Environment, progress::Bar};

#[derive(Debug, Args)]
pub(crate) struct SongArgs {
    /// Seconds of each song; several tell how time and memory grow (repeatable) [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(10..=600))]
    duration: Vec<u32>,
    /// Songs of a run; several are measured one after another (repeatable) [default: 1]
    #[arg(long = "batch_size", alias = "batch-size", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    batch_size: Vec<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// One run.
struct Row {
    duration_secs: u32,
    batch_size: u32,
    measured: MeasuredSong,
    /// The plan's peak where the networks run.
    planned_bytes: u64,
}

struct Outcome {
    load_secs: f64,
    info: EngineInfo,
    options: LoadOptions,
    rows: Vec<Row>,
    notes: Vec<Note>,
}

pub(super) fn run(args: &SongArgs, environment: &Environment) -> ExitCode {
    match measured(args, environment) {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if args.json {
                say_json(&as_json(&outcome));
            } else {
                say(&table(&outcome));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn measured(args: &SongArgs, environment: &Environment) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let (capabilities, mut notes) = machine(environment, &args.service);
    let (resolved, more) = settle_service(&args.service, false, environment, &capabilities)?;
    notes.extend(more);
    let root = args.service.root();
    let checkpoint = Checkpoint::open(&root, &resolved.config_path)?;
    let memory = Memory::new(&checkpoint, &root, &resolved)?;
    let asked = |duration_secs: u32, batch_size: u32| GenerationParams {
        duration_secs: Some(f64::from(duration_secs)),
        batch_size: batch_size as usize,
        ..acestep_domain::defaults::defaults(checkpoint.family(), capabilities.tier)
    };
    let (durations, batch_sizes) = (or(&args.duration, 30), or(&args.batch_size, 1));
    // What cannot be made is refused before anything is loaded for it.
    let mut plans = Vec::new();
    for &duration_secs in &durations {
        for &batch_size in &batch_sizes {
            let plan = memory.admit(&asked(duration_secs, batch_size))?;
            plans.push((duration_secs, batch_size, plan));
        }
    }
    let bar = Bar::new();
    let loaded = Engine::load(&checkpoint, &memory.options, &bar);
    bar.clear();
    let mut engine = loaded?;
    let load_secs = started.elapsed().as_secs_f64();
    let info = engine.info().clone();
    notes.extend(info.notes.iter().cloned());
    let mut rows = Vec::new();
    for (duration_secs, batch_size, plan) in plans {
        let work = SongWork {
            duration_secs: f64::from(duration_secs),
            batch_size: batch_size as usize,
            tiles: TileOptions::from(&plan),
            family: info.family,
        };
        let measured = engine.measure(work, &bar);
        bar.clear();
        rows.push(Row {
            duration_secs,
            batch_size,
            measured: measured?,
            planned_bytes: plan.expected_peak_bytes.at_work(),
        });
    }
    Ok(Outcome {
        load_secs,
        info,
        options: memory.options,
        rows,
        notes,
    })
}

fn or(given: &[u32], default: u32) -> Vec<u32> {
    if given.is_empty() {
        vec![default]
    } else {
        given.to_vec()
    }
}

/// The power of the length that `of` grows with: the slope of the logarithms, by least squares.
/// `None` for fewer than two lengths.
fn growth(rows: &[Row], of: impl Fn(&MeasuredSong) -> f64) -> Option<f64> {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| Some(row.batch_size) == rows.first().map(|first| first.batch_size))
        .map(|row| (f64::from(row.duration_secs).ln(), of(&row.measured).ln()))
        .collect();
    let n = points.len() as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    (spread > 0.0).then(|| slope / spread)
}

fn as_json(outcome: &Outcome) -> Value {
    let rows: Vec<Value> = outcome
        .rows
        .iter()
        .map(|row| {
            let of = &row.measured;
            json!({
                "duration_secs": row.duration_secs,
                "batch_size": row.batch_size,
                "prepare_secs": of.prepare_secs,
                "steps": of.steps,
                "step_secs": of.step_secs,
                "step_flops": of.step_flops,
                "step_share": of.step_share(),
                "diffusion_secs": of.diffusion_secs,
                "decode_secs": of.decode_secs,
                "decode_flops": of.decode_flops,
                "decode_share": of.decode_share(),
                "total_secs": of.total_secs,
                "matmul_flops": of.matmul_flops,
                "peak_bytes": of.peak_bytes,
                "card_idle_bytes": of.card_idle_bytes,
                "card_peak_bytes": of.card_peak_bytes,
                "planned_bytes": row.planned_bytes,
            })
        })
        .collect();
    json!({
        "config_path": outcome.info.name,
        "dtype": outcome.info.dtype,
        "device": outcome.options.device,
        "threads": threads(),
        "quantization": outcome.options.quantization,
        "use_flash_attention": outcome.options.fused_attention,
        "compile": outcome.options.compile,
        "offload_to_cpu": outcome.options.offload_to_cpu,
        "offload_dit_to_cpu": outcome.options.offload_dit_to_cpu,
        "resident_bytes": outcome.info.resident_bytes,
        "load_secs": outcome.load_secs,
        "runs": rows,
        "growth": {
            "step": growth(&outcome.rows, |of| of.step_secs),
            "decode": growth(&outcome.rows, |of| of.decode_secs),
            "total": growth(&outcome.rows, |of| of.total_secs),
        },
        "notes": outcome.notes,
    })
}

fn table(outcome: &Outcome) -> String {
    // A card multiplies in the precision of its networks.
    let on_card = |row: &Row| row.measured.card_peak_bytes.is_some();
    let product = if outcome.rows.iter().any(on_card) {
        "card's"
    } else {
        "f32"
    };
    let mut lines = vec![
        format!(
            "{} in {}, quantisation {}, {} threads, {:.2} GB of weights, ready after {:.1} s",
            outcome.info.name,
            outcome.info.dtype,
            outcome.options.quantization.as_str(),
            threads(),
            outcome.info.resident_bytes as f64 / 1e9,
            outcome.load_secs
        ),
        String::new(),
        format!(
            "| song | songs | prepare | a step | of the {product} product | decode | of the {product} product | all | peak | planned |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for row in &outcome.rows {
        let of = &row.measured;
        lines.push(format!(
            "| {} s | {} | {:.2} s | {:.3} s, {} of them | {:.0} % of {:.0} GFLOP/s | {:.2} s | {:.0} % | {:.1} s | {} | {:.2} GiB |",
            row.duration_secs,
            row.batch_size,
            of.prepare_secs,
            of.step_secs,
            of.steps,
            100.0 * of.step_share(),
            of.matmul_flops / 1e9,
            of.decode_secs,
            100.0 * of.decode_share(),
            of.total_secs,
            of.card_peak_bytes.or(of.peak_bytes).map_or_else(
                || "not known".to_owned(),
                |bytes| format!("{:.2} GiB", bytes as f64 / GIB as f64)
            ),
            row.planned_bytes as f64 / GIB as f64,
        ));
    }
    let power = |of: fn(&MeasuredSong) -> f64| growth(&outcome.rows, of);
    if let (Some(step), Some(decode)) = (power(|of| of.step_secs), power(|of| of.decode_secs)) {
        lines.push(String::new());
        lines.push(format!(
            "With the length of the song a step grows as its power {step:.2}, decoding as {decode:.2}."
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use acestep_engine::engine::MeasuredSong;

    use super::{Row, growth};

    fn row(duration_secs: u32, step_secs: f64) -> Row {
        Row {
            duration_secs,
            batch_size: 1,
            measured: MeasuredSong {
                prepare_secs: 1.0,
                steps: 8,
                step_secs,
                step_flops: 60e9,
                diffusion_secs: 8.0 * step_secs,
                decode_secs: 1.0,
                decode_flops: 50e9,
                total_secs: 10.0,
                matmul_flops: 100e9,
                peak_bytes: None,
                card_idle_bytes: None,
                card_peak_bytes: None,
            },
            planned_bytes: 0,
        }
    }

    #[test]
    fn growth_is_the_power_that_was_put_in() {
        let rows = [row(30, 1.0), row(60, 4.0), row(120, 16.0)];
        let power = growth(&rows, |of| of.step_secs).unwrap();
        assert!((power - 2.0).abs() < 1e-9, "{power}");
        assert_eq!(growth(&rows[..1], |of| of.step_secs), None);
        assert_eq!(growth(&[], |of| of.step_secs), None);
        assert!((rows[0].measured.step_share() - 0.6).abs() < 1e-12);
    }
}
