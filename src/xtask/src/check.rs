//! The order of the checks: cheapest first, so that a slip is told in seconds.
//!
//! Dependencies are compiled twice for use (tests under `dev`, where they are optimised, and the release program)
//! and once for the lints, which need no code.

use crate::{
    browser, bundle, docs, layers,
    setup::{self, WASM_TARGET},
    shell::{Workspace, exists, run, run_keeping},
    stage::Stages,
};
use anyhow::Result;

/// Everything but the browser.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("set up", |_| setup::wasm_target(workspace))?;
    checks(workspace, &mut stages)?;
    stages.summary(None);
    Ok(())
}

/// Everything.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("set up", |_| {
        setup::wasm_target(workspace)?;
        setup::npm_packages(workspace)?;
        setup::chromium(workspace).map(drop)
    })?;
    checks(workspace, &mut stages)?;
    stages.run("page", |_| bundle::site(workspace, true))?;
    stages.run("program", |_| bundle::program(workspace, true, None))?;
    stages.run("browser tests", |quotes| {
        browser::test(workspace, &workspace.binary("release"), quotes)
    })?;
    stages.summary(None);
    Ok(())
}

fn checks(workspace: &Workspace, stages: &mut Stages) -> Result<()> {
    stages.run("format", |_| {
        run(workspace.cargo().args(["fmt", "--all", "--check"]))
    })?;
    stages.run("generated docs", |_| docs::run(workspace, true))?;
    stages.run("layers", |_| layers::check(workspace))?;
    stages.run("lints", |_| {
        run(workspace.cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stages.run("lints of the browser's half", |_| {
        run(workspace
            .cargo()
            .args([
                "clippy",
                "--locked",
                "--package",
                "acestep-app",
                "--lib",
                "--target",
                WASM_TARGET,
            ])
            .args([
                "--no-default-features",
                "--features",
                "hydrate",
                "--",
                "-D",
                "warnings",
            ])
            .env(
                "CLIPPY_CONF_DIR",
                workspace.root.join("src/xtask/clippy-wasm"),
            ))
    })?;
    stages.run("tests", |quotes| tests(workspace, quotes))
}

/// Units, parity, HTTP and launchers; nextest where it is installed, since it names what is slow.
fn tests(workspace: &Workspace, quotes: &mut Vec<String>) -> Result<()> {
    let mut cargo = workspace.cargo();
    if exists("cargo-nextest") {
        cargo.args([
            "nextest",
            "run",
            "--locked",
            "--workspace",
            "--no-fail-fast",
        ]);
    } else {
        cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    }
    run_keeping(
        &mut cargo,
        |line| line.starts_with("test result:") || line.trim_start().starts_with("Summary ["),
        quotes,
    )
}
