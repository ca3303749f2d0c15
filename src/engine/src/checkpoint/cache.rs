//! Quantised weights kept beside the checkpoint they were made from.
//!
//! Quantising takes a while, so it is done once: the result is a GGUF file in the checkpoint's own
//! folder, mapped the next time. For a card it holds blocks; for a processor it holds panels, which
//! are multiplied where they are mapped, so that opening it reads nothing. It names the files it was
//! made from with their sizes, times and a hash of samples of them (to read a released model whole takes
//! longer than to load it); when one differs, or what it holds is no longer what was written, it is made again. It
//! is written tensor by tensor under a temporary name, [sealed](super::seal) and renamed, so that it is whole or not there. A folder that cannot
//! be written to costs nothing but the time of the next load.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use acestep_domain::note::Note;
use sha2::{Digest, Sha256};

use super::{
    seal::{Sealing, intact},
    source::Source,
};
use crate::{
    error::Result,
    kernels::quantized::{ALIGNMENT, Format, Panels, arranged, quantize},
    nn::{
        Formats, WeightFile,
        weights::{Role, Stored, TensorInfo, floats, gguf},
    },
};

/// `general.architecture` of a cache, which is no model of its own.
const ARCHITECTURE: &str = "acestep-cache";

const SOURCES: &str = "acestep.cache.sources";

/// Opens the cache of the weights `names` in `folder`, made now if need be. `None`, with a note,
/// where there can be none.
///
/// # Errors
/// Whatever `check` gives back: it is asked between tensors.
pub(super) fn open(
    source: &Source,
    folder: &str,
    names: &[String],
    (formats, order): (Formats, Order),
    check: &dyn Fn() -> Result<()>,
) -> Result<(Option<WeightFile>, Option<Note>)> {
    let (Source::Folder(_), Some(layers)) = (source, formats.layers) else {
        return Ok((None, None));
    };
    let path = source.path(&format!("{folder}/{}", file_name(layers, order)));
    let paths: Vec<PathBuf> = names
        .iter()
        .map(|name| source.path(&format!("{folder}/{name}")))
        .collect();
    let stamp = stamp(&paths, formats);
    let mut damaged = false;
    if let Some(made) = valid(&path, &stamp) {
        if intact(&path).unwrap_or(false) {
            return Ok((Some(made), None));
        }
        damaged = true;
    }
    remove_abandoned(&path);
    let files = names
        .iter()
        .map(|name| source.open(&format!("{folder}/{name}")))
        .collect::<Result<Vec<_>>>()?;
    let temporary = path.with_extension(format!("gguf.part-{}", std::process::id()));
    let written = write(&temporary, &entries(&files, formats, order), &stamp, check);
    let made = match written {
        Ok(Ok(())) => fs::rename(&temporary, &path)
            .and_then(|()| valid(&path, &stamp).ok_or_else(|| io::Error::other("it changed"))),
        Ok(Err(error)) => Err(error),
        Err(stopped) => {
            remove(&temporary);
            return Err(stopped);
        }
    };
    match made {
        Ok(made) => Ok((Some(made), damaged.then(|| remade(&path)))),
        Err(error) => {
            remove(&temporary);
            let note = Note::new(
                "quantization_not_kept",
                "quantization",
                format!(
                    "{} cannot be written ({error}): the weights are quantised again at the next load.",
                    shown(&path)
                ),
            );
            Ok((None, Some(note)))
        }
    }
}

/// In which order a file holds quantised matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Row by row.
    Blocks,
    /// As a processor multiplies them.
    Panels,
}

/// Name of the cache file of a format.
fn file_name(layers: Format, order: Order) -> String {
    let order = match order {
        Order::Blocks => "",
        Order::Panels => "-panels",
    };
    let format = layers.as_str().to_ascii_lowercase();
    format!("acestep-cache-{format}{order}.gguf")
}

/// The file as a user may see it, who may sit at another machine: folder and name.
fn shown(path: &Path) -> String {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    [path.parent().and_then(name), name(path)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("/")
}

fn remade(path: &Path) -> Note {
    Note::new(
        "quantization_remade",
        "quantization",
        format!("{} was damaged, so it was made again.", shown(path)),
    )
}

/// Removes what programs that were killed have left of this cache. One that is at work writes all the time.
fn remove_abandoned(path: &Path) {
    const ABANDONED: Duration = Duration::from_mins(10);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let start = format!("{}.part-", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|meta| meta.modified());
        let old = written.is_ok_and(|at| at.elapsed().is_ok_and(|since| since > ABANDONED));
        if old && entry.file_name().to_string_lossy().starts_with(&start) {
            remove(&entry.path());
        }
    }
}

/// What is left of a failed attempt; that it cannot be removed either changes nothing.
fn remove(path: &Path) {
    drop(fs::remove_file(path));
}

/// The cache, when it was made from these files in this way and is whole.
fn valid(path: &Path, stamp: &str) -> Option<WeightFile> {
    let file = WeightFile::open(path).ok()?;
    let metadata = file.metadata()?;
    let fits = metadata.text("general.architecture") == Some(ARCHITECTURE)
        && metadata.text(SOURCES) == Some(stamp);
    fits.then_some(file)
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

/// Names, sizes, times and sampled hashes of the files, and the formats.
fn stamp(paths: &[PathBuf], formats: Formats) -> String {
    let mut stamp = format!("5 {formats:?}");
    for path in paths {
        let (size, nanos) = fs::metadata(path).map_or((0, 0), |meta| {
            let since = meta
                .modified()
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            (meta.len(), since.map_or(0, |since| since.as_nanos()))
        });
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A file that cannot be read is told by whoever reads it whole.
        let hash = sampled(path).unwrap_or_default();
        stamp.push_str(&format!("\n{name} {size} {nanos} {hash}"));
    }
    stamp
}

/// A tensor of the cache: where it comes from, and what becomes of it.
struct Entry<'a> {
    name: &'a str,
    file: &'a WeightFile,
    info: &'a TensorInfo,
    /// Blocks to be made of a matrix `[rows, width]`; otherwise it stays as it is.
    packed: Option<(Format, (usize, usize))>,
    order: Order,
}

impl Entry<'_> {
    fn bytes(&self) -> usize {
        match (self.packed, self.order) {
            (Some((format, dims)), Order::Panels) => Panels::bytes_for(format, dims),
            (Some((format, (rows, width))), Order::Blocks) => {
                rows * format.row_bytes(width).unwrap_or_default()
            }
            (None, _) => self.info.range.len(),
        }
    }

    fn kind(&self) -> Option<u32> {
        match (self.packed, self.order) {
            (Some((format, _)), Order::Panels) => gguf::type_number(&Stored::Panels(format)),
            (Some((format, _)), Order::Blocks) => gguf::type_number(&Stored::Packed(format)),
            (None, _) => gguf::type_number(&self.info.stored),
        }
    }
}

/// Every tensor that a GGUF file can hold, with what is to become of it.
fn entries(files: &[WeightFile], formats: Formats, order: Order) -> Vec<Entry<'_>> {
    files
        .iter()
        .flat_map(|file| file.tensors().iter().map(move |tensor| (file, tensor)))
        .map(|(file, (name, info))| {
            let packed = match (&info.stored, info.shape.as_slice()) {
                (Stored::Plain(_), &[rows, width]) => formats
                    .of(Role::of(name), width)
                    .map(|format| (format, (rows, width))),
                _ => None,
            };
            Entry {
                name,
                file,
                info,
                packed,
                order,
            }
        })
        .filter(|entry| entry.kind().is_some())
        .collect()
}

/// Writes the cache; the outer error is `check`'s.
fn write(
    path: &Path,
    entries: &[Entry<'_>],
    stamp: &str,
    check: &dyn Fn() -> Result<()>,
) -> Result<io::Result<()>> {
    let start = || -> io::Result<Sealing<BufWriter<File>>> {
        let mut out = Sealing::new(BufWriter::new(File::create(path)?));
        out.write_all(&header(entries, stamp))?;
        Ok(out)
    };
    let mut out = match start() {
        Ok(out) => out,
        Err(error) => return Ok(Err(error)),
    };
    for entry in entries {
        check()?;
        if let Err(error) = write_tensor(&mut out, entry) {
            return Ok(Err(error));
        }
    }
    Ok(out
        .seal()
        .and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| file.sync_all()))
}

fn write_tensor(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let data = &entry.file.bytes()[entry.info.range.clone()];
    match (entry.packed, &entry.info.stored) {
        (Some((format, dims)), Stored::Plain(stored)) => {
            let row = dims.1 * stored.size_in_bytes();
            let blocks = quantize(format, dims, |index, out| {
                floats(*stored, &data[index * row..][..row], out);
            });
            let mut data = blocks.map_err(io::Error::other)?;
            if entry.order == Order::Panels {
                data = arranged(format, dims, &data).map_err(io::Error::other)?;
            }
            out.write_all(&data)?;
        }
        _ => out.write_all(data)?,
    }
    entry.file.release(entry.info.range.clone());
    let gap = entry.bytes().next_multiple_of(ALIGNMENT) - entry.bytes();
    out.write_all(&[0; ALIGNMENT][..gap])
}

/// Version 3: two texts and the alignment, then each tensor's name, shape (fastest dimension first), kind, offset.
fn header(entries: &[Entry<'_>], stamp: &str) -> Vec<u8> {
    const VERSION: u32 = 3;
    const TEXT: u32 = 8;
    const NUMBER: u32 = 4;
    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }
    let mut out = gguf::MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((entries.len() as u64).to_le_bytes());
    let values = [("general.architecture", ARCHITECTURE), (SOURCES, stamp)];
    out.extend((values.len() as u64 + 1).to_le_bytes());
    for (key, value) in values {
        text(&mut out, key);
        out.extend(TEXT.to_le_bytes());
        text(&mut out, value);
    }
    text(&mut out, "general.alignment");
    out.extend(NUMBER.to_le_bytes());
    out.extend((ALIGNMENT as u32).to_le_bytes());
    let mut offset = 0u64;
    for entry in entries {
        text(&mut out, entry.name);
        out.extend((entry.info.shape.len() as u32).to_le_bytes());
        for size in entry.info.shape.iter().rev() {
            out.extend((*size as u64).to_le_bytes());
        }
        out.extend(entry.kind().unwrap_or_default().to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += entry.bytes().next_multiple_of(ALIGNMENT) as u64;
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}
