//! `acestep plan`: what a request would use on this machine. Reads no weights.

use std::{path::PathBuf, process::ExitCode};

use acestep_domain::{
    generation::clamp::minutes,
    plan::{Plan, Request, plan},
    service::Installed,
};
use clap::Args;

use super::{
    machine::{installed, machine},
    output::{Failure, fail, read_json, say, say_json},
    service::ServiceArgs,
};
use crate::env::Environment;

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Parameters as JSON; `-` reads stdin [default: those of a fresh form]
    #[arg(long, value_name = "FILE|-")]
    params: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Plans and prints.
pub(crate) fn run(args: &PlanArgs, environment: &Environment) -> ExitCode {
    match planned(args, environment) {
        Ok(plan) if args.json => {
            say_json(&plan);
            ExitCode::SUCCESS
        }
        Ok(plan) => {
            say(&text(&plan));
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn planned(args: &PlanArgs, environment: &Environment) -> Result<Plan, Failure> {
    let params = args.params.as_deref().map(read_json).transpose()?;
    let (capabilities, mut notes) = machine(environment);
    let (config, more) = args.service.config(environment);
    notes.extend(more);
    let (models, mut lms) = installed(&args.service.root(), &capabilities);
    // The built-in language model takes no memory worth planning; it counts when it is asked for.
    if config.init_llm.is_none() {
        lms.retain(|lm| !lm.built_in || config.lm_model_path.as_deref() == Some(&lm.name));
    }
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
    Ok(plan)
}

fn text(plan: &Plan) -> String {
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
    lines.extend(
        plan.notes
            .iter()
            .map(|note| format!("Note       {}", note.message)),
    );
    lines.join("\n")
}
