//! Where the files of a checkpoint are: a folder, or a table of bytes inside the binary.
//!
//! Paths are given with `/` and relative to the root, as in a hub repository.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result, Stage},
    nn::weights::{OpenError, WeightFile, header},
};

/// Config and tokenizer files beyond this are not what they should be.
const LARGEST_TEXT_FILE: u64 = 256 << 20;

/// A root of files.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files inside the binary.
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl Source {
    /// A path for messages.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        match self {
            Self::Folder(root) => file
                .split('/')
                .fold(root.clone(), |path, part| path.join(part)),
            Self::Embedded(_) => Path::new("built in").join(file),
        }
    }

    pub(super) fn has(&self, file: &str) -> bool {
        match self {
            Self::Folder(_) => self.path(file).is_file(),
            Self::Embedded(files) => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// Names of files and folders in a folder, sorted; empty when there is none.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let names: BTreeSet<String> = match self {
            Self::Folder(_) => fs::read_dir(self.path(folder))
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
                .collect(),
            Self::Embedded(files) => files
                .iter()
                .filter_map(|(name, _)| {
                    let below = if folder.is_empty() {
                        name
                    } else {
                        name.strip_prefix(folder)?.strip_prefix('/')?
                    };
                    Some(below.split('/').next()?.to_owned())
                })
                .collect(),
        };
        names.into_iter().collect()
    }

    pub(super) fn has_folder(&self, folder: &str) -> bool {
        match self {
            Self::Folder(_) => self.path(folder).is_dir(),
            Self::Embedded(_) => !self.names(folder).is_empty(),
        }
    }

    /// Bytes of a file, 0 when it is not there.
    pub(super) fn size(&self, file: &str) -> u64 {
        match self {
            Self::Folder(_) => fs::metadata(self.path(file)).map_or(0, |meta| meta.len()),
            Self::Embedded(files) => files
                .iter()
                .find(|(name, _)| *name == file)
                .map_or(0, |(_, bytes)| bytes.len() as u64),
        }
    }

    /// A small file as a whole; an LFS pointer, a web page or an empty file is called what it is.
    pub(super) fn read(&self, file: &str) -> Result<Cow<'static, [u8]>> {
        let path = self.path(file);
        let bytes = match self {
            Self::Folder(_) => {
                if self.size(file) > LARGEST_TEXT_FILE {
                    return Err(Error::checkpoint(
                        path,
                        "the file is far too large for what it should hold",
                    ));
                }
                Cow::Owned(fs::read(&path).map_err(|error| unread(&path, &error))?)
            }
            Self::Embedded(files) => match files.iter().find(|(name, _)| *name == file) {
                Some((_, bytes)) => Cow::Borrowed(*bytes),
                None => return Err(Error::checkpoint(path, "the file is missing")),
            },
        };
        header::reject_impostors(&bytes)
            .map_err(|damage| Error::checkpoint(path, damage.to_string()))?;
        Ok(bytes)
    }

    /// A weight file, mapped or where it lies.
    pub(super) fn open(&self, file: &str) -> Result<WeightFile> {
        let path = self.path(file);
        let opened = match self {
            Self::Folder(_) => WeightFile::open(&path),
            Self::Embedded(files) => match files.iter().find(|(name, _)| *name == file) {
                Some((_, bytes)) => WeightFile::from_static(bytes).map_err(OpenError::from),
                None => return Err(Error::checkpoint(path, "the file is missing")),
            },
        };
        opened.map_err(|error| match error {
            OpenError::Io(error) => unread(&path, &error),
            OpenError::Damage(damage) => Error::checkpoint(path, damage.to_string()),
        })
    }
}

/// A file of a checkpoint that could not be read or mapped.
fn unread(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::OutOfMemory {
        // Nothing is wrong with the file.
        return Error::OutOfMemory {
            stage: Stage::Load,
            needed: fs::metadata(path).ok().map(|meta| meta.len()),
            free: None,
        };
    }
    Error::checkpoint(path, unreadable(error))
}

pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "the file is missing".into(),
        std::io::ErrorKind::PermissionDenied => "the file may not be read by this user".into(),
        _ => format!("the file cannot be read ({error})"),
    }
}
