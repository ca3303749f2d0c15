//! The command line. Flags keep the original's names; both spellings (`--init_service`,
//! `--init-service`) work. `acestep` alone is `acestep serve`.

mod about;
mod bench;
mod download;
mod files;
mod generate;
mod inspect;
mod lm;
mod machine;
pub(crate) mod output;
mod plan;
mod raw;
mod serve;
mod service;
mod understand;
mod vae;
mod values;

use std::process::ExitCode;

use acestep_engine::{kernels::start_threads, memory::last_words::end_with};
use clap::{CommandFactory, Parser, Subcommand};

use crate::{env::Environment, telemetry};

/// ACE-Step 1.5 music generation: studio, API and command line in one program
#[derive(Debug, Parser)]
#[command(
    name = "acestep",
    version,
    args_conflicts_with_subcommands = true,
    // Launchers put what the user adds last, and the last one wins.
    args_override_self = true,
    after_help = "Without a command the studio starts (`acestep serve`)."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Threads that compute [default: one for each core this program may use]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the studio: the page and the API
    #[command(args_override_self = true)]
    Serve(Box<serve::ServeArgs>),
    /// Make songs without a server
    Generate(Box<generate::GenerateArgs>),
    /// Tell what a request would use on this machine; reads no weights
    Plan(Box<plan::PlanArgs>),
    /// Take the gain off a song: what the network made, before any level was set
    Raw(raw::RawArgs),
    /// Fetch released checkpoints from a hub, or list those that are not here
    Download(download::DownloadArgs),
    /// Tell what is in a folder of checkpoints or adapters and what is wrong with it
    Inspect(inspect::InspectArgs),
    /// Let the language model plan a song: caption, tempo, key, length, lyrics
    PlanSong(lm::PlanSongArgs),
    /// Let the language model describe a song: caption, tempo, key, lyrics
    Understand(Box<understand::UnderstandArgs>),
    /// Time the lyrics of a song: when each line is sung
    Lyrics(Box<about::LyricsArgs>),
    /// Score a song: how clearly it is sung, and how well it does what was asked
    Score(Box<about::ScoreArgs>),
    /// The language model alone
    #[command(subcommand)]
    Lm(lm::LmCommand),
    /// Measure how quick this machine is
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// The autoencoder alone
    #[command(subcommand)]
    Vae(vae::VaeCommand),
}

/// Does what the command line asks for. Usage errors end with exit code 2.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::load();
    // Known before there is a command that could be asked for its flag.
    let json = std::env::args_os().any(|word| word == "--json");
    if !matches!(cli.command, None | Some(Command::Serve(_))) {
        end_with(output::last_words(json));
    }
    if computes(cli.command.as_ref())
        && let Err(error) = start_threads(cli.threads.map(usize::from))
    {
        return output::fail(&output::without_threads(&error), json);
    }
    let level = match &cli.command {
        None => cli.serve.log_level(),
        Some(Command::Serve(args)) => args.log_level(),
        Some(_) => telemetry::Level::Quiet,
    };
    telemetry::start(level, environment.log_filter());
    output::exit_code(match cli.command {
        None => serve::run(&cli.serve, &environment),
        Some(Command::Serve(args)) => serve::run(&args, &environment),
        Some(Command::Generate(args)) => generate::run(&args, &environment),
        Some(Command::Plan(args)) => plan::run(&args, &environment),
        Some(Command::Raw(args)) => raw::run(&args),
        Some(Command::Download(args)) => download::run(&args, &environment),
        Some(Command::Inspect(args)) => inspect::run(&args),
        Some(Command::PlanSong(args)) => lm::plan_song(&args, &environment),
        Some(Command::Understand(args)) => understand::run(&args, &environment),
        Some(Command::Lyrics(args)) => about::lyrics(&args, &environment),
        Some(Command::Score(args)) => about::score(&args, &environment),
        Some(Command::Lm(command)) => lm::run(&command),
        Some(Command::Bench(command)) => bench::run(&command, &environment),
        Some(Command::Vae(command)) => vae::run(&command),
    })
}

/// Whether a command runs kernels.
fn computes(command: Option<&Command>) -> bool {
    !matches!(
        command,
        Some(Command::Download(_) | Command::Inspect(_) | Command::Raw(_))
    )
}

/// The command line as clap knows it, for tests and generated pages.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
