//! What must be there before a step can run: fetched where we may, else one sentence that says what to install.

use crate::shell::{Workspace, exists, run, stdout};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Target of the browser's half of the page.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The standard library for the browser, from rustup if it is not there.
pub(crate) fn wasm_target(workspace: &Workspace) -> Result<()> {
    let sysroot = stdout(workspace.program("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(WASM_TARGET)
        .is_dir()
    {
        return Ok(());
    }
    if !exists("rustup") {
        bail!(
            "Rust's {WASM_TARGET} target is missing. Install it by your package manager, or install Rust from https://rustup.rs."
        );
    }
    run(workspace
        .program("rustup")
        .args(["target", "add", WASM_TARGET]))
}

/// Playwright and axe in `end2end/node_modules`, exactly as locked.
pub(crate) fn npm_packages(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("end2end");
    let lock = fs::read(folder.join("package-lock.json"))
        .context("end2end/package-lock.json is missing")?;
    // npm leaves no record that can be compared, so the lock that was installed is kept beside the packages.
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if !exists(npm()) {
        bail!(
            "npm is missing. Install Node.js 20 or newer (on Debian: apt-get install nodejs npm)."
        );
    }
    run(Command::new(npm())
        .current_dir(&folder)
        .args(["ci", "--no-audit", "--no-fund"]))?;
    fs::write(stamp, lock)?;
    Ok(())
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Debian's Chromium, installed by apt where we are root; its path.
pub(crate) fn chromium(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = find_chromium() {
        return Ok(path);
    }
    if cfg!(target_os = "linux") && exists("apt-get") && is_root() {
        let apt = || {
            let mut command = workspace.program("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run(apt().args(["update", "-qq"]))?;
        run(apt().args([
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "chromium",
        ]))?;
    }
    find_chromium().context(
        "Chromium is missing. Install it (on Debian: apt-get install chromium) or name its program in CHROMIUM_PATH.",
    )
}

fn find_chromium() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' browser is chosen where they are started"
    )]
    let named = env::var_os("CHROMIUM_PATH").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    named
        .into_iter()
        .chain(usual.map(PathBuf::from))
        .find(|path| path.is_file())
}

fn is_root() -> bool {
    stdout(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
