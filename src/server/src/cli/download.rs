//! `acestep download`: released checkpoints from a hub into the checkpoints folder. What was fetched
//! outlives Ctrl-C; the same command takes it up again.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use acestep_domain::{
    error::UserError,
    release::{Downloadable, Hub, Release},
};
use acestep_engine::checkpoint;
use acestep_studio::download::{DownloadOptions, Watch, download, downloadable};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    output::{fail, say, say_json, tell, tell_notes},
    service::DownloadSourceArgs,
};
use crate::{cli::output::Failure, env::Environment};

/// What to fetch.
#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Names of releases, for example acestep-v15-turbo; a main model brings what it needs. Without a name, those that are not here are listed
    names: Vec<String>,
    /// Folder with the checkpoints [default: checkpoints]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    #[command(flatten)]
    source: DownloadSourceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was fetched.
#[derive(Debug, Serialize)]
struct Fetched {
    name: String,
    /// Absent where all was here already.
    source: Option<Hub>,
    /// Bytes fetched, those of an earlier run included.
    bytes: u64,
}

/// Fetches or lists; exit code 2 for a name that is no release, 1 when one could not be fetched.
pub(crate) fn run(args: &DownloadArgs, environment: &Environment) -> ExitCode {
    let mut notes = Vec::new();
    let options = args.source.options(environment, &mut notes);
    tell_notes(&notes);
    let root = args
        .checkpoints
        .clone()
        .unwrap_or_else(|| PathBuf::from("checkpoints"));
    if args.names.is_empty() {
        list(&downloadable(&root), args.json);
        return ExitCode::SUCCESS;
    }
    let outcome = wanted(&args.names).and_then(|releases| {
        releases
            .into_iter()
            .map(|release| fetch(&root, release, &options))
            .collect::<Result<Vec<Fetched>, Failure>>()
    });
    match outcome {
        Ok(fetched) if args.json => {
            say_json(&serde_json::json!({ "downloads": fetched }));
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, args.json),
    }
}

fn list(lacking: &[Downloadable], json: bool) {
    if json {
        say_json(&serde_json::json!({ "downloadable": lacking }));
        return;
    }
    if lacking.is_empty() {
        say("All releases are here.");
    }
    for release in lacking {
        let damaged = if release.damaged { "  damaged" } else { "" };
        say(&format!(
            "{:<30} {:>5.1} GB{damaged}",
            release.name,
            release.bytes as f64 / 1e9
        ));
    }
}

/// All names are looked at before the first byte comes.
fn wanted(names: &[String]) -> Result<Vec<&'static Release>, Failure> {
    let release = |name: &String| {
        Release::find_model(name).ok_or_else(|| {
            Failure::input(UserError::invalid(
                "name",
                format!("There is no released checkpoint {name:?}."),
                "`acestep download` lists those that can be fetched.",
            ))
        })
    };
    names.iter().map(release).collect()
}

/// Whether `release` and what it needs beside it lie below `root` and can be loaded, by their configs and
/// headers. A list of releases does not look as closely, since it is made often.
fn is_here(root: &Path, release: &Release) -> bool {
    let is_whole = |folder: &str| {
        let found = checkpoint::inspect(&root.join(folder));
        let mut problems = found.models.iter().flat_map(|model| &model.problems);
        found.problems.is_empty() && problems.next().is_none()
    };
    is_whole(release.name) && release.parts().all(|part| is_whole(part.name))
}

fn fetch(
    root: &Path,
    release: &'static Release,
    options: &DownloadOptions,
) -> Result<Fetched, Failure> {
    let name = release.name;
    let mut fetched = Fetched {
        name: name.to_owned(),
        source: None,
        bytes: 0,
    };
    if is_here(root, release) {
        tell(&format!("{name} is here already."));
        return Ok(fetched);
    }
    let mut shown = Shown::new(name);
    let outcome = download(root, release, options, &mut shown);
    shown.bar.finish_and_clear();
    outcome.map_err(|error| Failure::run(error.into()))?;
    fetched.source = shown.source;
    fetched.bytes = shown.bar.length().unwrap_or_default();
    tell(&format!("{name} is in {}.", root.display()));
    Ok(fetched)
}

/// Progress of one release. Ctrl-C ends the program, so nothing here stops a download.
struct Shown {
    name: &'static str,
    bar: ProgressBar,
    source: Option<Hub>,
}

impl Shown {
    fn new(name: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant; a wrong one would only lose the looks.
        if let Ok(style) = ProgressStyle::with_template(
            "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
        ) {
            bar.set_style(style);
        }
        Self {
            name,
            bar,
            source: None,
        }
    }
}

impl Watch for Shown {
    fn begins(&mut self, source: Hub, total_bytes: u64) {
        self.source = Some(source);
        self.bar.set_length(total_bytes);
        tell(&format!(
            "{}: {:.1} GB from {}",
            self.name,
            total_bytes as f64 / 1e9,
            source.as_str()
        ));
    }

    fn file(&mut self, label: &str) {
        self.bar.set_message(label.to_owned());
    }

    fn bytes(&mut self, done: u64) {
        self.bar.set_position(done);
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn wait(&self, time: Duration) -> bool {
        std::thread::sleep(time);
        true
    }
}
