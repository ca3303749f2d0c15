//! Compiles the CUDA build on a machine without a card.
//!
//! Where there is no CUDA toolkit, a virtual environment under the target folder gets the one that NVIDIA publishes
//! as Python wheels, and the few links that a build expects of an installed one. Nothing is run: there need be no
//! card and no driver.

use crate::{
    reference,
    shell::{Workspace, exists, run},
};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The toolkit in parts, of one version: newer than 13.0 is refused by cudarc 0.19.
const WHEELS: [&str; 8] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-nvrtc==13.0.*",
    "nvidia-cublas==13.0.*",
    "nvidia-curand==10.4.*",
];

/// What a build for cards of the Ampere generation and later has; below it bf16 kernels are left out.
const COMPUTE_CAPABILITY: &str = "80";

/// Lints the engine and the program with CUDA, and links the program where that is asked.
pub(crate) fn check(workspace: &Workspace, features: &str, link: bool) -> Result<()> {
    let toolkit = toolkit(workspace)?;
    let cuda = |arguments: &[&str]| {
        let mut cargo = workspace.cargo();
        cargo
            .args(arguments)
            .args(["--locked", "--no-default-features", "--features", features]);
        if let Some(toolkit) = &toolkit {
            in_toolkit(&mut cargo, toolkit, features);
        }
        // Other flags than those of other builds, so a folder of its own keeps theirs.
        cargo.env("CARGO_TARGET_DIR", workspace.target.join("cuda"));
        run(&mut cargo)
    };
    for package in ["acestep-engine", "acestep"] {
        cuda(&["clippy", "--package", package])?;
    }
    if link {
        cuda(&["build", "--release", "--package", "acestep"])?;
    }
    Ok(())
}

/// The toolkit from wheels; `None` where one is installed.
fn toolkit(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if exists("nvcc") {
        return Ok(None);
    }
    if !cfg!(target_os = "linux") {
        bail!("nvcc is missing. Install the CUDA toolkit 13.0 or older.");
    }
    let folder = workspace.target.join("cuda-toolkit");
    let toolkit = folder.join("wheels/nvidia/cu13");
    let ready = folder.join("ready");
    let wanted = format!("{WHEELS:?}");
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(toolkit));
    }
    let python = reference::virtual_environment(workspace, &folder.join("venv"))?;
    run(Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--upgrade", "--target"])
        .arg(folder.join("wheels"))
        .args(WHEELS))?;
    complete(&toolkit)?;
    fs::write(ready, wanted)?;
    Ok(Some(toolkit))
}

/// Libraries that come with a driver or with an installation of their own: the name to link by, and the one to load by.
const FROM_ELSEWHERE: [(&str, &str); 2] = [
    ("libcuda.so", "libcuda.so.1"),
    ("libcudnn.so", "libcudnn.so.9"),
];

/// What wheels leave out: `lib64`, libraries without a version in their name, and those from elsewhere, of which a build
/// needs no more than the name.
fn complete(toolkit: &Path) -> Result<()> {
    let lib = toolkit.join("lib");
    let entries = fs::read_dir(&lib)
        .with_context(|| format!("the wheels hold no {}", lib.display()))?
        .collect::<std::io::Result<Vec<_>>>()?;
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((plain, _)) = name.split_once(".so.") {
            link(&name, &lib.join(format!("{plain}.so")))?;
        }
    }
    link("lib", &toolkit.join("lib64"))?;
    for (name, loaded) in FROM_ELSEWHERE {
        run(Command::new("cc")
            .args(["-shared", "-x", "c", "/dev/null"])
            .arg(format!("-Wl,-soname,{loaded}"))
            .arg("-o")
            .arg(lib.join(name)))?;
        link(name, &lib.join(loaded))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(to: &str, from: &Path) -> Result<()> {
    if from.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(to, from)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> Result<()> {
    bail!("links are made on Unix only")
}

/// Points a build at the toolkit. Symbols of the driver stay open: it brings them where there is a card. The empty
/// libraries that stand for it have none, so a linker leaves them out unless it is told to keep them.
fn in_toolkit(cargo: &mut Command, toolkit: &Path, features: &str) {
    let lib = toolkit.join("lib");
    #[expect(
        clippy::disallowed_methods,
        reason = "programs of the toolkit come before those of the path"
    )]
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(toolkit.join("bin")).chain(env::split_paths(&path));
    if let Ok(paths) = env::join_paths(paths) {
        cargo.env("PATH", paths);
    }
    for name in [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ] {
        cargo.env(name, toolkit);
    }
    let cudnn = features.split(',').any(|feature| feature == "cudnn");
    let kept = if cudnn { "-lcuda,-lcudnn" } else { "-lcuda" };
    cargo
        .env("CUDA_COMPUTE_CAP", COMPUTE_CAPABILITY)
        .env("LD_LIBRARY_PATH", &lib)
        .env(
            "RUSTFLAGS",
            format!(
                "--cfg erase_components -L native={} -C link-arg=-Wl,--unresolved-symbols=ignore-all,--no-as-needed,{kept}",
                lib.display()
            ),
        );
}

#[cfg(all(test, unix))]
mod tests {
    use super::{complete, in_toolkit};
    use std::{fs, process::Command};

    #[test]
    fn a_toolkit_from_wheels_gets_what_a_build_looks_for() {
        let toolkit = tempfile::tempdir().unwrap();
        let lib = toolkit.path().join("lib");
        assert!(complete(toolkit.path()).is_err(), "there are no libraries");
        fs::create_dir(&lib).unwrap();
        fs::write(lib.join("libcublas.so.13"), "it").unwrap();
        for _ in 0..2 {
            complete(toolkit.path()).unwrap();
        }
        assert_eq!(fs::read_to_string(lib.join("libcublas.so")).unwrap(), "it");
        assert!(toolkit.path().join("lib64/libcuda.so").is_file());
        assert!(toolkit.path().join("lib64/libcudnn.so.9").is_file());

        let mut cargo = Command::new("cargo");
        in_toolkit(&mut cargo, toolkit.path(), "cuda");
        let value = |name: &str| {
            cargo
                .get_envs()
                .find(|(key, _)| *key == name)
                .and_then(|(_, value)| value?.to_str().map(str::to_owned))
        };
        let place = toolkit.path().to_str().unwrap();
        assert_eq!(value("CUDA_HOME").as_deref(), Some(place));
        assert!(value("PATH").is_some_and(|path| path.starts_with(place)));
        let cudnn = |value: Option<String>| value.is_some_and(|flags| flags.contains("-lcudnn"));
        assert!(!cudnn(value("RUSTFLAGS")));

        let mut cargo = Command::new("cargo");
        in_toolkit(&mut cargo, toolkit.path(), "cuda,cudnn");
        let flags = cargo
            .get_envs()
            .find_map(|(key, value)| (key == "RUSTFLAGS").then_some(value?.to_str()?.to_owned()));
        assert!(cudnn(flags));
    }
}
