//! Running other programs and knowing where things lie.

use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

/// The repository and cargo's target folder.
pub(crate) struct Workspace {
    /// Top of the repository.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the user keeps it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and cargo's own configuration are honoured.
    pub(crate) fn find() -> Result<Self> {
        let mut command = cargo_in(None);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: serde_json::Value = serde_json::from_str(&stdout(&mut command)?)?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata names no {key}"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }

    /// The browser bundle: what the program carries inside.
    pub(crate) fn site(&self) -> PathBuf {
        self.target.join("site")
    }

    /// The program of a build in `profile` ("debug" or "release").
    pub(crate) fn binary(&self, profile: &str) -> PathBuf {
        self.target
            .join(profile)
            .join(format!("acestep{}", env::consts::EXE_SUFFIX))
    }

    /// Cargo, started at the top of the repository.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(Some(&self.root))
    }

    /// Any other program, started at the top of the repository.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(&self.root);
        command
    }
}

fn cargo_in(folder: Option<&Path>) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a build tool is where cargo's own variables are read"
    )]
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    command
}

/// Runs a command with its output on the terminal; fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs a command with its output on the terminal and gives the lines of it that `keep` wants, also when it fails.
pub(crate) fn run_keeping(
    command: &mut Command,
    keep: impl Fn(&str) -> bool + Sync,
    kept: &mut Vec<String>,
) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    let streams = (child.stdout.take(), child.stderr.take());
    let read = |stream: Option<Box<dyn Read + Send>>| {
        let mut kept = Vec::new();
        for line in stream
            .map(BufReader::new)
            .into_iter()
            .flat_map(BufRead::lines)
        {
            let Ok(line) = line else { continue };
            eprintln!("{line}");
            if keep(&line) {
                kept.push(line.trim().to_owned());
            }
        }
        kept
    };
    // Two readers, or a full pipe nobody reads would stop the child.
    thread::scope(|scope| {
        let errors = scope.spawn(|| read(streams.1.map(|stream| Box::new(stream) as _)));
        kept.extend(read(streams.0.map(|stream| Box::new(stream) as _)));
        kept.extend(errors.join().unwrap_or_default());
    });
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs a command and gives what it wrote to standard output; fails with its error output if it does.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed ({})\n{}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} wrote no UTF-8", describe(command)))
}

/// Whether a program is there and answers `--version`.
pub(crate) fn exists(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn describe(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_else(|| command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn lines_of_both_streams_are_kept_when_the_command_fails_too() {
        let mut kept = Vec::new();
        let script = "echo 'test result: ok'; echo noise; echo 'Summary 3 passed' >&2; exit 3";
        let result = run_keeping(
            Command::new("sh").args(["-c", script]),
            |line| !line.contains("noise"),
            &mut kept,
        );
        assert!(result.is_err());
        assert_eq!(kept, ["test result: ok", "Summary 3 passed"]);
    }
}
