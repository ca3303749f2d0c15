//! The only subscriber of the libraries' traces: to stderr, since stdout is for data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much is logged when `RUST_LOG` says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What went wrong: commands that print a result.
    Quiet,
    /// What a user would want in a bug report: the studio.
    Normal,
    /// `--debug`.
    Debug,
}

/// Starts logging; `filter` is `RUST_LOG`.
pub(crate) fn start(level: Level, filter: Option<&str>) {
    let default = match level {
        Level::Quiet => "warn".to_owned(),
        Level::Normal => ours("info"),
        Level::Debug => ours("debug") + ",tower_http=debug",
    };
    let chosen = filter
        .filter(|filter| !filter.trim().is_empty())
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(level == Level::Debug)
        .finish();
    // A second start in one process (tests) keeps the first.
    tracing::subscriber::set_global_default(subscriber).ok();
}

fn ours(level: &str) -> String {
    ["server", "studio", "engine", "app"]
        .iter()
        .fold("warn".to_owned(), |all, name| {
            format!("{all},acestep_{name}={level}")
        })
}
