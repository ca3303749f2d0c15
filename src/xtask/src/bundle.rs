//! The site folder (script, wasm, style, static files, each with compressed copies) and the program round it.
//!
//! A file is written only if its bytes changed, so that cargo sees an untouched folder and a second start of the
//! launcher takes seconds.

use crate::{
    shell::{Workspace, run},
    style, wasm, words,
};
use anyhow::{Context, Result, anyhow};
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Extensions whose files are small already.
const COMPRESSED_KINDS: [&str; 6] = ["png", "jpg", "webp", "woff2", "mp3", "flac"];

/// Builds page and program and prints the program's path.
pub(crate) fn build(workspace: &Workspace, release: bool, features: Option<&str>) -> Result<()> {
    site(workspace, release)?;
    program(workspace, release, features)?;
    // On standard output, where the launchers read it.
    println!(
        "{}",
        workspace
            .binary(if release { "release" } else { "debug" })
            .display()
    );
    Ok(())
}

/// Builds both for development and runs the studio.
pub(crate) fn dev(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build(workspace, false, None)?;
    run(std::process::Command::new(workspace.binary("debug"))
        .current_dir(&workspace.root)
        .args(arguments))
}

/// Builds the program alone, with whatever site there is.
pub(crate) fn program(workspace: &Workspace, release: bool, features: Option<&str>) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "acestep", "--bin", "acestep"]);
    if release {
        cargo.arg("--release");
    }
    if let Some(features) = features {
        cargo.args(["--features", features]);
    }
    run(&mut cargo)
}

/// Fills the site folder and removes from it what belongs to an older build.
pub(crate) fn site(workspace: &Workspace, release: bool) -> Result<()> {
    let bindings = wasm::build(workspace, release)?;
    let mut site = Site {
        root: workspace.site(),
        release,
        kept: BTreeSet::new(),
    };
    site.put(
        Path::new("pkg/acestep.css"),
        &style::build(workspace, release)?,
    )?;
    site.copy(&bindings, Path::new("pkg"))?;
    let texts = words::read(&workspace.root.join("app/locales"))
        .map_err(|error| anyhow!("app/locales: {error}"))?;
    for (number, language) in words::LANGUAGES.iter().enumerate() {
        site.put(
            Path::new(&format!("pkg/words-{language}.txt")),
            words::lines(&texts, number).as_bytes(),
        )?;
    }
    site.copy(&workspace.root.join("public"), Path::new(""))?;
    site.sweep(&workspace.site())
}

struct Site {
    root: PathBuf,
    release: bool,
    kept: BTreeSet<PathBuf>,
}

impl Site {
    fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        for item in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
            let item = item?;
            let place = to.join(item.file_name());
            if item.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if item.file_type()?.is_dir() {
                self.copy(&item.path(), &place)?;
            } else {
                self.put(&place, &fs::read(item.path())?)?;
            }
        }
        Ok(())
    }

    /// Writes a file with its compressed copies, unless it is there already.
    fn put(&mut self, place: &Path, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(place);
        let unchanged = fs::read(&path).is_ok_and(|old| old == bytes);
        if !unchanged {
            fs::create_dir_all(path.parent().context("a site file has a folder")?)?;
            fs::write(&path, bytes)?;
        }
        let kind = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for (suffix, pack) in [("br", brotli as fn(&[u8]) -> Result<Vec<u8>>), ("gz", gzip)] {
            let copy = path.with_extension(format!("{kind}.{suffix}"));
            // A development build is served from the same machine: there packing costs more than it saves.
            if !self.release || COMPRESSED_KINDS.contains(&kind.as_str()) {
                continue;
            }
            if unchanged && copy.is_file() {
                self.kept.insert(copy);
                continue;
            }
            let packed = pack(bytes)?;
            if packed.len() < bytes.len() {
                fs::write(&copy, packed)?;
                self.kept.insert(copy);
            }
        }
        self.kept.insert(path);
        Ok(())
    }

    fn sweep(&self, folder: &Path) -> Result<()> {
        for item in fs::read_dir(folder)? {
            let path = item?.path();
            if path.is_dir() {
                self.sweep(&path)?;
                if fs::read_dir(&path)?.next().is_none() {
                    fs::remove_dir(&path)?;
                }
            } else if !self.kept.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)?;
    Ok(packed)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site_in(folder: &Path) -> Site {
        Site {
            root: folder.to_owned(),
            release: true,
            kept: BTreeSet::new(),
        }
    }

    #[test]
    fn a_file_gets_copies_that_unpack_to_itself() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let text = "body { color: red }\n".repeat(40);
        site_in(folder.path()).put(Path::new("pkg/a.css"), text.as_bytes())?;
        let mut plain = Vec::new();
        brotli::BrotliDecompress(
            &mut &fs::read(folder.path().join("pkg/a.css.br"))?[..],
            &mut plain,
        )?;
        assert_eq!(plain, text.as_bytes());
        let mut plain = Vec::new();
        let packed = fs::read(folder.path().join("pkg/a.css.gz"))?;
        std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain)?;
        assert_eq!(plain, text.as_bytes());
        Ok(())
    }

    #[test]
    fn an_unchanged_file_is_not_written_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let place = Path::new("a.js");
        let path = folder.path().join(place);
        site_in(folder.path()).put(place, b"let a = 1;")?;
        let before = fs::metadata(&path)?.modified()?;
        fs::File::options()
            .write(true)
            .open(&path)?
            .set_modified(before - std::time::Duration::from_mins(1))?;
        let aged = fs::metadata(&path)?.modified()?;
        site_in(folder.path()).put(place, b"let a = 1;")?;
        assert_eq!(fs::metadata(&path)?.modified()?, aged);
        Ok(())
    }

    #[test]
    fn what_an_older_build_left_is_removed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join("pkg/parts-1"))?;
        fs::write(folder.path().join("pkg/parts-1/old.wasm"), "old")?;
        fs::write(folder.path().join("pkg/old.js"), "old")?;
        let mut site = site_in(folder.path());
        site.put(Path::new("pkg/new.js"), b"new")?;
        site.sweep(folder.path())?;
        assert!(!folder.path().join("pkg/old.js").exists());
        assert!(!folder.path().join("pkg/parts-1").exists());
        assert!(folder.path().join("pkg/new.js").exists());
        Ok(())
    }
}
