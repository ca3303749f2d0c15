//! The browser's half of the page: compiled to wasm, cut into parts, bound to JavaScript.
//!
//! cargo-leptos is not used because it fetches tools from the network; the steps are the same.

mod smaller;

use crate::{
    setup::{self, WASM_TARGET},
    shell::{Workspace, run},
};
use anyhow::{Context, Result, anyhow};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};
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
        ])
        // Where the program is cut, the addresses in it have to be known.
        .args(["--", "-Clink-args=--emit-relocs"]))?;
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
    let pkg = out.join("pkg");
    let main = cut(&compiled, &pkg, &out.join("main.wasm"), release)?;
    Bindgen::new()
        .input_bytes(OUTPUT_NAME, main)
        .out_name(OUTPUT_NAME)
        // The parts find the main program's memory and functions by the linker's names.
        .keep_lld_exports(true)
        .demangle(false)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                .remove_name_section(release)
                .remove_producers_section(release)
                .keep_debug(!release)
                .generate(&pkg)
        })
        .map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?;
    if release {
        let module = pkg.join(format!("{OUTPUT_NAME}_bg.wasm"));
        let script = pkg.join(format!("{OUTPUT_NAME}.js"));
        let (bound, text) = smaller::bound(&fs::read(&module)?, &fs::read_to_string(&script)?)?;
        fs::write(module, bound)?;
        fs::write(script, text)?;
    }
    fs::write(stamp, compiled)?;
    Ok(pkg)
}

/// Cuts the program at the functions that `app/src/parts.rs` marks; gives what is loaded first. The parts lie
/// in a folder named by the build, for a part of another build would not fit: it must not be found.
fn cut(compiled: &[u8], pkg: &Path, main: &Path, release: bool) -> Result<Vec<u8>> {
    let mut hasher = DefaultHasher::new();
    compiled.hash(&mut hasher);
    let folder = format!("parts-{:016x}", hasher.finish());
    let parts = pkg.join(&folder);
    fs::create_dir_all(&parts)?;
    let link = format!("./{folder}/load.js");
    let script = format!("../{OUTPUT_NAME}.js");
    let mut options = wasm_split_cli_support::Options::new(compiled);
    options.output_dir = pkg;
    options.main_out_path = main;
    options.link_name = &link;
    options.main_module = &script;
    let cut = wasm_split_cli_support::transform(options)
        .map_err(|error| anyhow!("wasm_split: {error:#}"))?;
    for part in cut.split_modules {
        let module = fs::read(&part)?;
        let name = part.file_name().context("a part has a name")?;
        let module = if release {
            smaller::sorted(&smaller::without_uncalled(&module, false)?)?
        } else {
            module
        };
        // The script that loads them looks beside itself.
        fs::write(parts.join(name), module)?;
        fs::remove_file(&part)?;
    }
    let compiled = fs::read(main)?;
    fs::remove_file(main)?;
    if release {
        // wasm-bindgen finds some functions by their names, and takes these out itself.
        smaller::without_uncalled(&compiled, true)
    } else {
        Ok(compiled)
    }
}
