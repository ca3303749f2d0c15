//! `acestep plan`: what a request would use on this machine, memory and time included. Reads no weights.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use acestep_domain::{
    GenerationParams, UserError,
    capabilities::DeviceKind,
    generation::clamp::minutes,
    memory::{MemoryPlan, RunPlan, TimePlan},
    note::Note,
    plan::{Plan, Request, plan},
    service::{DeviceChoice, Installed, ServiceConfig},
    tier::{GIB, size_text},
};
use acestep_engine::{
    audio::decode::{self, Limit},
    engine::LoadOptions,
    memory::{
        plan::{Brought, Free, Models, lora_bytes},
        probe::free,
    },
};
use acestep_studio::{
    error::Error as StudioError,
    paces::{REFERENCE_SECS, needs_of_songs},
};
use clap::Args;
use serde::Serialize;

use super::{
    machine::{installed, machine},
    output::{Failure, fail, read_json, say, say_json},
    service::{LoraArgs, ServiceArgs},
};
use crate::env::Environment;

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Parameters as JSON; `-` reads stdin [default: those of a fresh form]
    #[arg(long, value_name = "FILE|-")]
    params: Option<PathBuf>,
    /// Folder of songs: how long runs took on this machine is kept there
    #[arg(
        long = "output-dir",
        alias = "output_dir",
        value_name = "DIR",
        default_value = "acestep_outputs"
    )]
    output_dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    loras: LoraArgs,
}

/// Plans and prints.
pub(crate) fn run(args: &PlanArgs, environment: &Environment) -> ExitCode {
    match planned(args, environment) {
        Ok(answer) if args.json => {
            say_json(&answer);
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            say(&text(&answer));
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    plan: Plan,
    /// Absent where a checkpoint cannot be read; a note says why.
    memory: Option<MemoryPlan>,
    /// Seconds of each stage and of all; absent where no run was measured and nothing can be estimated.
    time: Option<TimePlan>,
}

/// Memory and time of `plan` with the models of `args`. A simulated card is planned for as if it
/// were there, and its switches with it; how long it would take is not known.
fn needs(
    plan: &mut Plan,
    asked: &ServiceConfig,
    args: &PlanArgs,
) -> acestep_engine::error::Result<RunPlan> {
    let service = &mut plan.resolved.service;
    let models = Models::find(&args.service.root(), &service.config_path, service.lm())?;
    if let Some(released) = models.release() {
        plan.notes.push(
            Note::new(
                "memory_of_release",
                "config_path",
                format!("Memory: planned with the figures of the released {released} models."),
            )
            .with("released", released),
        );
    }
    let mut free = free(service.device);
    let on_simulated = plan.simulated
        && plan.vram_gb > 0.0
        && service.device == DeviceKind::Cpu
        && asked.device != DeviceChoice::Cpu;
    if on_simulated {
        let defaults = plan.defaults;
        service.offload_to_cpu = asked.offload_to_cpu.unwrap_or(defaults.offload_to_cpu);
        service.offload_dit_to_cpu = asked
            .offload_dit_to_cpu
            .unwrap_or(defaults.offload_dit_to_cpu);
        plan.notes.push(
            Note::new(
                "memory_of_simulated_card",
                "device",
                format!(
                    "Memory: planned for the simulated card of {} GB; here songs are made by the processor.",
                    plan.vram_gb
                ),
            )
            .with("vram_gb", plan.vram_gb),
        );
    }
    let mut options = LoadOptions::from(&*service);
    if on_simulated {
        options.device = DeviceKind::Cuda;
        free = Free {
            device: (plan.vram_gb * GIB as f64) as u64,
            others: 0,
            ..free
        };
    }
    let params = &plan.resolved.params;
    let lora_dir = args.loras.dir(&args.service);
    let uses = params.loras.as_deref().unwrap_or_default();
    let brought = Brought {
        lora_bytes: lora_bytes(&lora_dir, uses, options.device),
        ..recordings(params, plan.resolved.duration_secs)
    };
    let how = (&models, &options, free);
    Ok(needs_of_songs(&args.output_dir, how, params, brought))
}

/// Lengths of the recordings that `params` name. A source whose file cannot be read is as long as the song,
/// a reference as long as what is heard of it.
fn recordings(params: &GenerationParams, song_secs: f64) -> Brought {
    let secs = |path: &str, otherwise: f64| {
        let found = decode::inspect(Path::new(path), Limit::song(), 1);
        found.map_or(otherwise, |found| found.duration_secs)
    };
    let source = params.src_audio.as_deref();
    let source = source.map_or(song_secs, |path| secs(path, song_secs));
    let references = params.reference_audio.iter();
    Brought {
        source_secs: if params.works_on_source() {
            source
        } else {
            0.0
        },
        reference_secs: references.map(|path| secs(path, REFERENCE_SECS)).sum(),
        ..Brought::default()
    }
}

fn planned(args: &PlanArgs, environment: &Environment) -> Result<Answer, Failure> {
    let params = args.params.as_deref().map(read_json).transpose()?;
    let (capabilities, mut notes) = machine(environment, &args.service);
    let (config, more) = args.service.config(environment);
    notes.extend(more);
    let (models, lms) = installed(&args.service.root(), &capabilities);
    let request = Request {
        params: params.as_ref(),
        service: &config,
        unlimited: args.service.unlimited,
    };
    let installed = Installed {
        models: &models,
        lms: &lms,
    };
    let mut plan = plan(request, &capabilities, installed)?;
    notes.append(&mut plan.notes);
    plan.notes = notes;
    let (memory, time) = match needs(&mut plan, &config, args) {
        Ok(RunPlan { memory, time }) => {
            plan.notes.extend(memory.notes.iter().cloned());
            (Some(memory), time)
        }
        Err(error) => {
            let told = UserError::from(StudioError::from(error));
            plan.notes.push(Note::new(
                "memory_unknown",
                "config_path",
                format!("Memory: cannot be planned. {}", told.message),
            ));
            (None, None)
        }
    };
    Ok(Answer { plan, memory, time })
}

/// What memory there is to say.
fn memory_lines(memory: &MemoryPlan) -> Vec<String> {
    let peak = memory.expected_peak_bytes;
    let place = if peak.device > 0 {
        "on the card"
    } else {
        "in main memory"
    };
    let mut lines = vec![
        String::new(),
        format!(
            "Memory     {} {place}, {} can be had: {}",
            size_text(peak.at_work()),
            size_text(memory.free_bytes),
            if memory.fits {
                "it fits"
            } else {
                "it does not fit"
            }
        ),
    ];
    lines.extend(memory.stages.iter().map(|stage| {
        format!(
            "           {} in the {} stage",
            size_text(stage.peak_bytes),
            stage.stage
        )
    }));
    for (what, networks) in [("Resident", &memory.resident), ("Moved", &memory.moved)] {
        if !networks.is_empty() {
            let names: Vec<&str> = networks.iter().map(|network| network.as_str()).collect();
            lines.push(format!("{what:10} {}", names.join(", ")));
        }
    }
    lines.push(format!(
        "Decoding   in pieces of {} latent frames",
        memory.vae_tile_frames
    ));
    if memory.lm_cache_bytes > 0 {
        lines.push(format!("LM cache   {}", size_text(memory.lm_cache_bytes)));
    }
    if let Some(smaller) = &memory.next_smaller {
        lines.push(format!(
            "Smaller    {} with {}",
            size_text(smaller.expected_peak_bytes.at_work()),
            smaller.message
        ));
    } else if !memory.fits {
        lines.push("Smaller    no setting makes it fit on this machine".to_owned());
    }
    lines
}

/// What there is to say of time.
fn time_line(time: &TimePlan) -> String {
    let parts: Vec<String> = time
        .stages
        .iter()
        .map(|(stage, secs)| format!("{stage} {secs:.1}"))
        .collect();
    let source = if time.measured {
        "as runs took on this machine"
    } else {
        "estimated, no run was measured yet"
    };
    format!(
        "Time       {:.1} s, {source}: {} s",
        time.total,
        parts.join(", ")
    )
}

fn text(Answer { plan, memory, time }: &Answer) -> String {
    let on = |on: bool| if on { "on" } else { "off" };
    let service = &plan.resolved.service;
    let params = &plan.resolved.params;
    let mut lines = vec![
        format!(
            "Card       {}{}",
            if plan.vram_gb > 0.0 {
                format!("{} GB", plan.vram_gb)
            } else {
                "none, the processor is used".to_owned()
            },
            if plan.simulated { " (simulated)" } else { "" }
        ),
        format!(
            "Tier       {} ({})",
            plan.tier.as_str(),
            plan.tier.range_label()
        ),
        format!(
            "Length     up to {} with LM, {} without",
            minutes(f64::from(plan.max_duration_secs.with_lm)),
            minutes(f64::from(plan.max_duration_secs.without_lm))
        ),
        format!(
            "Takes      up to {} with LM, {} without",
            plan.max_batch_size.with_lm, plan.max_batch_size.without_lm
        ),
        format!(
            "LMs        {} (loaded by default: {})",
            if plan.lm_models.is_empty() {
                "none".to_owned()
            } else {
                plan.lm_models.join(", ")
            },
            on(plan.lm_default)
        ),
        format!(
            "Defaults   flash attention {}, offload {}, DiT offload {}, compile {}, quantisation {}",
            on(plan.defaults.flash_attention),
            on(plan.defaults.offload_to_cpu),
            on(plan.defaults.offload_dit_to_cpu),
            on(plan.defaults.compile),
            plan.defaults.quantization.as_str()
        ),
        String::new(),
        format!(
            "This run   {} x {} with {}, {} steps{}",
            minutes(plan.resolved.duration_secs),
            plan.resolved.batch_size,
            service.config_path,
            params
                .timesteps
                .as_ref()
                .map_or(params.inference_steps, Vec::len),
            if plan.resolved.with_lm {
                ", limits with LM"
            } else {
                ""
            }
        ),
        format!(
            "Settings   flash attention {}, offload {}, DiT offload {}, compile {}, quantisation {}",
            on(service.use_flash_attention),
            on(service.offload_to_cpu),
            on(service.offload_dit_to_cpu),
            on(service.compile),
            service.quantization.as_str()
        ),
    ];
    lines.extend(memory.iter().flat_map(memory_lines));
    lines.extend(time.iter().map(time_line));
    lines.extend(
        plan.notes
            .iter()
            .map(|note| format!("Note       {}", note.message)),
    );
    lines.join("\n")
}
