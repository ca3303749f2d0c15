//! What a cache was made from: names, sizes, times and hashes of the weight files.
//!
//! To hash a released model whole takes as long as loading it, so that is done once, while the cache is
//! written. Later a file of the same size and times that is the same in samples counts as the same. Where
//! the times differ it is hashed again: that it was copied or touched changes nothing, and a change that no
//! sample sees is found.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{
    error::Result,
    nn::{Formats, WeightFile, weights::TensorInfo},
};

/// Written before the rest; another one makes every cache anew.
const VERSION: u32 = 6;

/// Digits of a SHA-256.
const HASH_DIGITS: usize = 64;

/// Bytes that are hashed at once.
const PIECE: usize = 1 << 20;

type Hash = [u8; 32];

/// The weight files of a checkpoint's folder, and the formats that are made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    formats: String,
    files: Vec<FileStamp>,
}

/// One of them. Its text has the same length whatever the times and hashes are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    name: String,
    bytes: u64,
    times: Times,
    /// Of samples.
    sampled: String,
    /// Of everything; zeros until it is known.
    whole: String,
}

/// Nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Times {
    modified: u64,
    /// When anything about the file last changed, which nobody can set; 0 where there is no such time.
    changed: u64,
}

/// How files are beside an earlier look at them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As they were.
    Same,
    /// The same content at other times: what to keep of it from now on.
    Touched(Origin),
    /// Not the same.
    Changed,
}

impl Origin {
    /// Of the files as they are now; their whole hashes are not known yet.
    pub(super) fn of(paths: &[PathBuf], formats: Formats) -> Self {
        Self {
            formats: format!("{VERSION} {formats:?}"),
            files: paths.iter().map(|path| FileStamp::of(path)).collect(),
        }
    }

    /// As [`Self::to_text`] wrote it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        Some(Self {
            formats: lines.next()?.to_owned(),
            files: lines.map(FileStamp::parse).collect::<Option<_>>()?,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.formats.clone();
        for file in &self.files {
            let FileStamp {
                name,
                bytes,
                times: Times { modified, changed },
                sampled,
                whole,
            } = file;
            // Writing to a text does not fail.
            write!(
                text,
                "\n{bytes} {modified:020} {changed:020} {sampled} {whole} {name}"
            )
            .ok();
        }
        text
    }

    /// With the whole hashes of its files, in their order.
    pub(super) fn with_hashes(mut self, hashes: impl IntoIterator<Item = String>) -> Self {
        for (file, hash) in self.files.iter_mut().zip(hashes) {
            file.whole = hash;
        }
        self
    }

    /// Compares what was kept with the files of `paths` as they are `now`; reads those whole whose times
    /// differ.
    ///
    /// # Errors
    /// Whatever `check` gives back: it is asked between tensors.
    pub(super) fn compare(
        &self,
        now: &Self,
        paths: &[PathBuf],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Found> {
        let alike = self.formats == now.formats
            && self.files.len() == now.files.len()
            && self.files.iter().zip(&now.files).all(|(then, now)| {
                (&then.name, then.bytes, &then.sampled) == (&now.name, now.bytes, &now.sampled)
            });
        if !alike {
            return Ok(Found::Changed);
        }
        let mut current = self.clone();
        for ((kept, now), path) in current.files.iter_mut().zip(&now.files).zip(paths) {
            if kept.times == now.times {
                continue;
            }
            let Ok(file) = WeightFile::open(path) else {
                return Ok(Found::Changed);
            };
            if whole(&file, check)? != kept.whole {
                return Ok(Found::Changed);
            }
            kept.times = now.times;
        }
        Ok(if current == *self {
            Found::Same
        } else {
            Found::Touched(current)
        })
    }
}

impl FileStamp {
    /// A file that cannot be read is told by whoever reads it whole.
    fn of(path: &Path) -> Self {
        let meta = fs::metadata(path).ok();
        Self {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            bytes: meta.as_ref().map_or(0, Metadata::len),
            times: meta.as_ref().map(Times::of).unwrap_or_default(),
            sampled: sampled(path).unwrap_or_else(|_| "0".repeat(HASH_DIGITS)),
            whole: "0".repeat(HASH_DIGITS),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(6, ' ');
        let mut next = || parts.next();
        Some(Self {
            bytes: next()?.parse().ok()?,
            times: Times {
                modified: next()?.parse().ok()?,
                changed: next()?.parse().ok()?,
            },
            sampled: next()?.to_owned(),
            whole: next()?.to_owned(),
            name: next()?.to_owned(),
        })
    }
}

impl Times {
    fn of(meta: &Metadata) -> Self {
        let modified = meta.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            modified: since.map_or(0, |since| since.as_nanos() as u64),
            changed: changed(meta),
        }
    }
}

#[cfg(unix)]
fn changed(meta: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let nanos = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
    u64::try_from(nanos).unwrap_or_default()
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> u64 {
    0
}

/// SHA-256 of the file's first bytes, where its table is, of its last, and of pieces between them.
fn sampled(path: &Path) -> io::Result<String> {
    const PIECES: u64 = 64;
    const PIECE_BYTES: usize = 16 << 10;
    let mut file = File::open(path)?;
    let last = file.metadata()?.len().saturating_sub(PIECE_BYTES as u64);
    let mut hash = Sha256::new();
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    for index in 0..PIECES {
        let place = (u128::from(last) * u128::from(index) / u128::from(PIECES - 1)) as u64;
        file.seek(SeekFrom::Start(place))?;
        piece.clear();
        (&mut file)
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece)?;
        hash.update(&piece);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Hashes of files whose tensors are read one after another anyway.
#[derive(Default)]
pub(super) struct Hashes<'a>(HashMap<(usize, &'a str), Hash>);

impl<'a> Hashes<'a> {
    /// Hashes a tensor of the file of that number.
    pub(super) fn take(&mut self, file: usize, name: &'a str, data: &[u8]) {
        self.0.insert((file, name), of_tensor(data));
    }

    /// The hash of the whole file, see [`whole`]; tensors that nobody took are read now.
    pub(super) fn of_file(
        &self,
        number: usize,
        file: &WeightFile,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<String> {
        of_file(file, |name, info| {
            if let Some(hash) = self.0.get(&(number, name)) {
                return Ok(*hash);
            }
            check()?;
            Ok(read(file, info))
        })
    }
}

/// SHA-256 over the file's table and the hashes of all its tensors.
///
/// # Errors
/// Whatever `check` gives back: it is asked between tensors.
fn whole(file: &WeightFile, check: &dyn Fn() -> Result<()>) -> Result<String> {
    of_file(file, |_, info| {
        check()?;
        Ok(read(file, info))
    })
}

fn of_file(
    file: &WeightFile,
    mut hash_of: impl FnMut(&str, &TensorInfo) -> Result<Hash>,
) -> Result<String> {
    let tensors = file.tensors();
    let table = tensors
        .values()
        .map(|info| info.range.start)
        .min()
        .unwrap_or(file.bytes().len());
    let mut hash = Sha256::new();
    hash.update(&file.bytes()[..table]);
    for (name, info) in tensors {
        hash.update(hash_of(name, info)?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn read(file: &WeightFile, info: &TensorInfo) -> Hash {
    let hash = of_tensor(&file.bytes()[info.range.clone()]);
    file.release(info.range.clone());
    hash
}

/// Pieces are hashed side by side.
fn of_tensor(data: &[u8]) -> Hash {
    let pieces: Vec<Hash> = data
        .par_chunks(PIECE)
        .map(|piece| Sha256::digest(piece).into())
        .collect();
    Sha256::digest(pieces.as_flattened()).into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use candle_core::{Device, Tensor};

    use super::*;
    use crate::error::Error;

    const BYTES: usize = 4 << 20;

    /// A weight file of one matrix.
    fn source(path: &Path) {
        let zeros = Tensor::zeros(BYTES / 4, candle_core::DType::F32, &Device::Cpu).unwrap();
        candle_core::safetensors::save(&HashMap::from([("weight", zeros)]), path).unwrap();
    }

    fn look(path: &Path) -> Origin {
        Origin::of(&[path.to_owned()], Formats::default())
    }

    fn hashed(path: &Path) -> Origin {
        let file = WeightFile::open(path).unwrap();
        let hash = whole(&file, &|| Ok(())).unwrap();
        look(path).with_hashes([hash])
    }

    fn compare(kept: &Origin, path: &Path) -> Found {
        let paths = [path.to_owned()];
        kept.compare(&look(path), &paths, &|| Ok(())).unwrap()
    }

    fn set_time(path: &Path, time: SystemTime) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    #[test]
    fn a_touched_file_is_the_same_and_a_byte_that_no_sample_sees_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a model.safetensors");
        source(&path);
        let kept = hashed(&path);
        assert_eq!(Origin::parse(&kept.to_text()).as_ref(), Some(&kept));
        assert_eq!(compare(&kept, &path), Found::Same);

        let hour = Duration::from_hours(1);
        set_time(&path, SystemTime::now() + hour);
        let Found::Touched(kept) = compare(&kept, &path) else {
            panic!("touched");
        };
        assert_eq!(compare(&kept, &path), Found::Same, "and known from now on");

        let mut bytes = fs::read(&path).unwrap();
        let piece = bytes.len() / 63;
        // Between two samples.
        bytes[30 * piece + piece / 2] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(look(&path).files[0].sampled, kept.files[0].sampled);
        assert_eq!(compare(&kept, &path), Found::Changed);
    }

    #[cfg(unix)]
    #[test]
    fn a_time_that_was_set_back_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        source(&path);
        let kept = hashed(&path);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let piece = bytes.len() / 63;
        bytes[10 * piece + piece / 2] ^= 1;
        // The clock of files moves in steps of a few milliseconds.
        while fs::metadata(&path).unwrap().modified().unwrap() == time {
            fs::write(&path, &bytes).unwrap();
        }
        set_time(&path, time);
        assert_eq!(
            look(&path).files[0].times.modified,
            kept.files[0].times.modified
        );
        assert_eq!(compare(&kept, &path), Found::Changed);
    }

    #[test]
    fn hashing_again_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        source(&path);
        let kept = hashed(&path);
        set_time(&path, UNIX_EPOCH);
        let paths = [path.clone()];
        let stopped = kept.compare(&look(&path), &paths, &|| Err(Error::Cancelled));
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }

    #[test]
    fn whether_read_for_another_reason_or_not_the_hash_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        source(&path);
        let file = WeightFile::open(&path).unwrap();
        let mut hashes = Hashes::default();
        let alone = hashes.of_file(0, &file, &|| Ok(())).unwrap();
        for (name, info) in file.tensors() {
            hashes.take(0, name, &file.bytes()[info.range.clone()]);
        }
        assert_eq!(hashes.of_file(0, &file, &|| Ok(())).unwrap(), alone);
        assert_eq!(whole(&file, &|| Ok(())).unwrap(), alone);
    }
}
