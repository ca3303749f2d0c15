//! The browser's half of the page: compiled to wasm, bound to JavaScript.
//!
//! cargo-leptos is not used because it fetches tools from the network; the steps are the same.

use crate::{
    setup::{self, WASM_TARGET},
    shell::{Workspace, run},
};
use anyhow::{Context, Result, anyhow};
use std::{fs, path::PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// Name of the page's script, as the page's `HydrationScripts` asks for it (`acestep.js`, `acestep_bg.wasm`).
const OUTPUT_NAME: &str = "acestep";

/// Compiles and binds; gives the folder with the script, its wasm and its snippets.
pub(crate) fn build(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    setup::wasm_target(workspace)?;
    let profile = if release { "wasm-release" } else { "dev" };
    run(workspace
        .cargo()
        .args([
            "rustc",
            "--package",
            "acestep-app",
            "--lib",
            "--crate-type",
            "cdylib",
            "--target",
            WASM_TARGET,
        ])
        .args([
            "--no-default-features",
            "--features",
            "hydrate",
            "--profile",
            profile,
        ]))?;
    let folder = if release { "wasm-release" } else { "debug" };
    let module = workspace
        .target
        .join(WASM_TARGET)
        .join(folder)
        .join("acestep_app.wasm");

    let out = workspace.target.join("site-bindings").join(folder);
    let stamp = out.join("module.wasm");
    let compiled =
        fs::read(&module).with_context(|| format!("cargo wrote no {}", module.display()))?;
    // Cargo knows whether the module is fresh; an unchanged one was bound before.
    if fs::read(&stamp).is_ok_and(|bound| bound == compiled) {
        return Ok(out.join("pkg"));
    }
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    Bindgen::new()
        .input_bytes(OUTPUT_NAME, compiled.clone())
        .out_name(OUTPUT_NAME)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                .remove_name_section(release)
                .remove_producers_section(release)
                .keep_debug(!release)
                .generate(out.join("pkg"))
        })
        .map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?;
    fs::write(stamp, compiled)?;
    Ok(out.join("pkg"))
}
