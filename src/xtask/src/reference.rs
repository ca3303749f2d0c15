//! Makes the parity fixtures from the reference implementation.
//!
//! A virtual environment under the target folder holds diffusers and transformers at fixed versions; torch comes
//! without its CUDA packages. Every script beside this module (`src/xtask/reference/*.py`) gets the fixtures folder
//! as its argument and writes what it is named after.

use crate::shell::{Workspace, exists, run};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Installed with their dependencies after torch, which two of them ask for and then have.
const PACKAGES: [&str; 7] = [
    "diffusers==0.42.1",
    "transformers",
    "safetensors",
    "numpy",
    "gguf",
    "peft==0.21.2",
    "lycoris-lora==4.1.3",
];
/// Installed alone: its own list would bring several gigabytes of CUDA.
const TORCH: &str = "torch";
/// What torch needs on a CPU.
const TORCH_NEEDS: [&str; 7] = [
    "sympy",
    "networkx",
    "jinja2",
    "filelock",
    "typing_extensions",
    "fsspec",
    "setuptools",
];

/// Runs the scripts whose name contains `filter`, or all.
pub(crate) fn write_fixtures(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let python = environment(workspace)?;
    let fixtures = workspace.root.join("src/engine/tests/fixtures");
    fs::create_dir_all(&fixtures)?;
    let scripts = workspace.root.join("src/xtask/reference");
    let mut paths: Vec<PathBuf> = fs::read_dir(&scripts)
        .with_context(|| format!("cannot read {}", scripts.display()))?
        .map(|item| item.map(|item| item.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut ran = 0;
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // A leading underscore marks a module that others import.
        let script = path.extension().is_some_and(|kind| kind == "py") && !name.starts_with('_');
        if !script || filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        eprintln!("── {name}");
        run(std::process::Command::new(&python)
            .current_dir(&scripts)
            .arg(&path)
            .arg(&fixtures))?;
        ran += 1;
    }
    if ran == 0 {
        bail!("no script in {} matches", scripts.display());
    }
    Ok(())
}

/// The virtual environment's Python, made on first use.
fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("reference-venv");
    let ready = folder.join("ready");
    let wanted = format!("{PACKAGES:?} {TORCH} {TORCH_NEEDS:?}");
    let python = python_in(&folder);
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    virtual_environment(workspace, &folder)?;
    let pip = |options: &[&str], packages: &[&str]| {
        run(std::process::Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(options)
            .args(packages))
    };
    pip(&["--no-deps"], &[TORCH])?;
    pip(&[], &TORCH_NEEDS)?;
    pip(&[], &PACKAGES)?;
    fs::write(ready, wanted)?;
    Ok(python)
}

fn python_in(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}

/// A virtual environment in `folder`; its Python.
pub(crate) fn virtual_environment(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let system = if cfg!(windows) { "python" } else { "python3" };
    if !exists(system) {
        bail!(
            "Python is missing. Install Python 3.10 or newer with its venv module (on Debian: apt-get install python3-venv)."
        );
    }
    run(workspace.program(system).args(["-m", "venv"]).arg(folder))?;
    Ok(python_in(folder))
}
