//! The order of the checks: cheapest first, so that a slip is told in seconds.
//!
//! Dependencies are compiled twice for use (tests under `dev`, where they are optimised, and the release program)
//! and once for the lints, which need no code.

use crate::{
    browser, bundle, docs, layers,
    setup::{self, WASM_TARGET},
    shell::{Workspace, exists, run},
    stage::Stages,
};
use anyhow::Result;

/// Everything but the browser.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("set up", || setup::wasm_target(workspace))?;
    checks(workspace, &mut stages)?;
    stages.summary(None);
    Ok(())
}

/// Everything.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("set up", || {
        setup::wasm_target(workspace)?;
        setup::npm_packages(workspace)?;
        setup::chromium(workspace).map(drop)
    })?;
    checks(workspace, &mut stages)?;
    stages.run("page", || bundle::site(workspace, true))?;
    stages.run("program", || bundle::program(workspace, true, None))?;
    stages.run("browser tests", || {
        browser::test(workspace, &workspace.binary("release"))
    })?;
    stages.summary(None);
    Ok(())
}

fn checks(workspace: &Workspace, stages: &mut Stages) -> Result<()> {
    stages.run("format", || {
        run(workspace.cargo().args(["fmt", "--all", "--check"]))
    })?;
    stages.run("generated docs", || docs::run(workspace, true))?;
    stages.run("layers", || layers::check(workspace))?;
    stages.run("lints", || {
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
    stages.run("lints of the browser's half", || {
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
    stages.run("tests", || tests(workspace))
}

/// Units, parity, HTTP and launchers; nextest where it is installed, since it names what is slow.
fn tests(workspace: &Workspace) -> Result<()> {
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
    run(&mut cargo)
}
