//! Puts the browser bundle into the binary.
//!
//! Reads the site folder that `cargo xtask build` fills (`$ACESTEP_SITE`, else `<target>/site`) and writes a
//! table of its files for `site.rs`. A missing folder is no error: the table is empty, so that `cargo check` and
//! the tests need no browser build, and the program says at start how to get one.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script has no other way to be told things"
)]

use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// One file of the site with the compressed copies that lie beside it.
#[derive(Default)]
struct Entry {
    plain: Option<PathBuf>,
    br: Option<PathBuf>,
    gz: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ACESTEP_SITE");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let site = site_folder(&out_dir);

    let mut entries = BTreeMap::new();
    if let Some(site) = &site {
        // Cargo takes a watched path that is missing for changed and would rebuild every time.
        fs::create_dir_all(site)?;
        println!("cargo:rerun-if-changed={}", site.display());
        collect(site, site, &mut entries)?;
    }
    fs::write(out_dir.join("site_files.rs"), table(&entries)?)
}

/// `$ACESTEP_SITE`, else `site` in the target folder, which is the ancestor that carries cargo's cache tag.
fn site_folder(out_dir: &Path) -> Option<PathBuf> {
    if let Some(folder) = env::var_os("ACESTEP_SITE").filter(|folder| !folder.is_empty()) {
        return Some(PathBuf::from(folder));
    }
    out_dir
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map(|target| target.join("site"))
}

fn collect(root: &Path, folder: &Path, entries: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        if path.is_dir() {
            collect(root, &path, entries)?;
            continue;
        }
        let Ok(relative) = path.strip_prefix(root) else {
            continue;
        };
        let name = relative.to_string_lossy().replace('\\', "/");
        if let Some(name) = name.strip_suffix(".br") {
            entries.entry(name.to_owned()).or_default().br = Some(path.clone());
        } else if let Some(name) = name.strip_suffix(".gz") {
            entries.entry(name.to_owned()).or_default().gz = Some(path.clone());
        } else {
            entries.entry(name).or_default().plain = Some(path.clone());
        }
    }
    Ok(())
}

/// Rust source of the table, sorted by path for a binary search.
fn table(entries: &BTreeMap<String, Entry>) -> io::Result<String> {
    let mut source = String::from("static FILES: &[(&str, SiteFile)] = &[\n");
    for (name, entry) in entries {
        let Some(plain) = &entry.plain else { continue };
        let digest = Sha256::digest(fs::read(plain)?);
        let mut etag = String::new();
        for byte in digest.iter().take(8) {
            write!(etag, "{byte:02x}").map_err(io::Error::other)?;
        }
        let include = |path: &Path| format!("include_bytes!({:?})", path.display().to_string());
        let optional = |path: &Option<PathBuf>| {
            path.as_deref().map_or_else(
                || "None".to_owned(),
                |path| format!("Some({})", include(path)),
            )
        };
        writeln!(
            source,
            "    ({name:?}, SiteFile {{ bytes: {}, br: {}, gz: {}, etag: {:?}, mime: {:?} }}),",
            include(plain),
            optional(&entry.br),
            optional(&entry.gz),
            format!("\"{etag}\""),
            mime(name),
        )
        .map_err(io::Error::other)?;
    }
    source.push_str("];\n");
    Ok(source)
}

/// Content types of what a site folder holds; browsers refuse wasm and modules under any other name.
fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
