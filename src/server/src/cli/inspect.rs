//! `acestep inspect`: what is in a folder of checkpoints or adapters, sizes, number formats, what is wrong with it.

use std::{path::PathBuf, process::ExitCode};

use acestep_engine::checkpoint;
use clap::Args;

use super::output::{say, say_json};

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Checkpoints folder, the folder or GGUF file of one model, a folder of adapters, or one adapter
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Inspects and prints; exit code 1 when something is wrong with the folder.
pub(crate) fn run(args: &InspectArgs) -> ExitCode {
    let found = checkpoint::inspect(&args.dir);
    if args.json {
        say_json(&found);
    } else {
        say(found.to_string().trim_end());
    }
    let sound = found.problems.is_empty()
        && found.models.iter().all(|model| model.problems.is_empty())
        && found.loras.iter().all(|lora| lora.problems.is_empty());
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
