//! `acestep bench`: how quick this machine is, beside what it could do at best.

mod lm;
mod quality;
mod song;

use std::process::ExitCode;

use clap::Subcommand;

use crate::env::Environment;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Tokens a language model reads and writes in a second
    Lm(lm::LmArgs),
    /// What quantisation changes: latents of a song beside those of exact weights
    Quality(Box<quality::QualityArgs>),
    /// Songs: a diffusion step and decoding beside the machine's rate, memory, growth with length
    Song(Box<song::SongArgs>),
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(command: &BenchCommand, environment: &Environment) -> ExitCode {
    match command {
        BenchCommand::Lm(args) => lm::run(args),
        BenchCommand::Quality(args) => quality::run(args, environment),
        BenchCommand::Song(args) => song::run(args, environment),
    }
}
