//! Files that commands read and write: written to a temporary name first, so that a cut-off run
//! leaves no half of one under the name that was asked for.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use acestep_domain::{UserError, generation::AudioFormat};
use candle_core::{Device, Tensor, safetensors};

use super::output::Failure;

/// Refuses a place that cannot be written to, before the work is done.
pub(crate) fn check_place(path: &Path) -> Result<(), Failure> {
    let folder = folder(path);
    let reason = if path.is_dir() {
        format!("{} is a folder.", path.display())
    } else if folder.is_dir() {
        return Ok(());
    } else {
        format!("The folder {} is not there.", folder.display())
    };
    Err(Failure::input(UserError::new(
        "storage",
        reason,
        "Give the name of a file in a folder that exists.",
    )))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes `path` by way of a temporary file beside it; `fill` gets its name.
pub(crate) fn write_safely(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.partial", std::process::id()));
    let partial = folder(path).join(name);
    let written = fill(&partial).and_then(|()| {
        File::options()
            .write(true)
            .open(&partial)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|error| Failure::io(path, "written", &error))
    });
    if written.is_err() {
        // Nothing may have been written yet; the failure told is the first one.
        fs::remove_file(&partial).ok();
    }
    written
}

/// Name of one of `count` files: `F.wav` alone, `F-1.wav`, `F-2.wav` … otherwise.
pub(crate) fn numbered(path: &Path, item: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_path_buf();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}", item + 1));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// A name in the current folder that nothing has yet.
pub(crate) fn free_name(stem: &str, format: AudioFormat) -> PathBuf {
    let extension = format.extension();
    let plain = PathBuf::from(format!("{stem}.{extension}"));
    if !plain.exists() {
        return plain;
    }
    (2..10_000)
        .map(|number| PathBuf::from(format!("{stem}_{number}.{extension}")))
        .find(|path| !path.exists())
        .unwrap_or(plain)
}

/// The format that the extension of `path` names.
pub(crate) fn format_of(path: &Path) -> Result<AudioFormat, Failure> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("wav") => Ok(AudioFormat::Wav),
        Some("flac") => Ok(AudioFormat::Flac),
        Some("mp3") => Ok(AudioFormat::Mp3),
        _ => Err(Failure::input(UserError::invalid(
            "output",
            format!("{} has no extension of a song.", path.display()),
            "Let it end in .wav, .flac or .mp3.",
        ))),
    }
}

/// The tensor `name` of a safetensors file, on the host.
pub(crate) fn read_tensor(path: &Path, name: &str) -> Result<Tensor, Failure> {
    let wrong = |reason: String| {
        Failure::input(UserError::invalid(
            name,
            format!("{}: {reason}.", path.display()),
            format!("Give a safetensors file with one float32 tensor `{name}` [b, t, c]."),
        ))
    };
    let bytes = fs::read(path).map_err(|error| Failure::io(path, "read", &error))?;
    let mut tensors = safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|_| wrong("this is no safetensors file, or it is damaged".to_owned()))?;
    tensors.remove(name).ok_or_else(|| {
        let mut names: Vec<String> = tensors.into_keys().collect();
        names.sort();
        wrong(format!(
            "there is no tensor `{name}` in it; there {}",
            match names.as_slice() {
                [] => "is none".to_owned(),
                names => format!("are {}", names.join(", ")),
            }
        ))
    })
}

/// Writes tensors as safetensors.
pub(crate) fn write_tensors(path: &Path, tensors: &[(&str, Tensor)]) -> Result<(), Failure> {
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    write_safely(path, |partial| {
        safetensors::save(&tensors, partial).map_err(|error| {
            Failure::run(UserError::new(
                "storage",
                format!("{} could not be written: {error}.", path.display()),
                "Check the path, its permissions and the free space.",
            ))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_are_numbered_only_when_there_are_several() {
        let numbered = |path: &str, item, count| {
            numbered(Path::new(path), item, count)
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(numbered("a/song.wav", 0, 1), "a/song.wav");
        assert_eq!(numbered("a/song.wav", 0, 2), "a/song-1.wav");
        assert_eq!(numbered("a/my.song.wav", 1, 2), "a/my.song-2.wav");
    }

    #[test]
    fn a_failed_write_leaves_neither_the_file_nor_its_partial() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        let failed = write_safely(&path, |partial| {
            fs::write(partial, b"half").unwrap();
            Err(Failure::run(UserError::new("x", "x", "x")))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
