//! The one entry point for building, checking and testing this repository: `cargo xtask <command>`.
//!
//! Everything it needs beyond Rust itself is fetched by `cargo`, `rustup`, `npm` and, where it may, `apt-get`; it
//! downloads no tool of its own. What each command does stands in [`Command`].

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build tool speaks to the terminal it was started from"
)]

mod browser;
mod bundle;
mod check;
mod cuda;
mod docs;
mod layers;
mod reference;
mod setup;
mod shell;
mod stage;
mod style;
mod wasm;
#[path = "../../../app/words.rs"]
mod words;

use anyhow::Result;
use clap::{Parser, Subcommand};
use shell::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, checks and tests acestep")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and the program around it
    Build {
        /// Optimised for use: small page, fast engine
        #[arg(long)]
        release: bool,
        /// Cargo features of the program, as in `--features cuda`
        #[arg(long)]
        features: Option<String>,
    },
    /// Build both for development and start the studio; arguments after `--` go to it
    Dev {
        /// Arguments of the program
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Formatting, generated docs, lints, layers and all tests but the browser's
    Check,
    /// Everything `check` does, then the release build and the browser tests on it
    Test,
    /// Compile the CUDA build, on a machine without a card too (needs Python and the network there)
    CheckCuda {
        /// Cargo features to compile
        #[arg(long, default_value = "cuda,cudnn")]
        features: String,
        /// Link the program as well
        #[arg(long)]
        link: bool,
    },
    /// Write the parity fixtures anew from the reference implementation (needs Python and the network)
    Reference {
        /// Only the scripts whose file name contains this
        filter: Option<String>,
    },
    /// Write the generated parts of the documentation
    Docs {
        /// Change nothing, fail if something would change
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let workspace = Workspace::find()?;
    match cli.command {
        Command::Build { release, features } => {
            bundle::build(&workspace, release, features.as_deref())
        }
        Command::Dev { arguments } => bundle::dev(&workspace, &arguments),
        Command::Check => check::check(&workspace),
        Command::Test => check::test(&workspace),
        Command::CheckCuda { features, link } => cuda::check(&workspace, &features, link),
        Command::Reference { filter } => reference::write_fixtures(&workspace, filter.as_deref()),
        Command::Docs { check } => docs::run(&workspace, check),
    }
}
