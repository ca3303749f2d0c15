//! Quantised weights kept beside the checkpoint they were made from.
//!
//! Quantising takes a while, so it is done once: the result is a GGUF file in the checkpoint's own
//! folder, mapped the next time. For a card it holds blocks; for a processor it holds panels, which
//! are multiplied where they are mapped, so that opening it reads nothing. It names the files it was
//! made from with their sizes, times and hashes ([`origin`]); when one has changed, or what it holds is no
//! longer what was written, it is made again. It is written tensor by tensor under a temporary name,
//! [sealed](super::seal) and renamed, so that it is whole or not there. A folder that cannot be written to
//! costs nothing but the time of the next load.

mod origin;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use acestep_domain::note::Note;

use self::origin::{Found, Hashes, Origin};
use super::{
    seal::{Sealing, amend, intact},
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
    let now = Origin::of(&paths, formats);
    let found = match kept(&path) {
        Some(kept) => kept.compare(&now, &paths, check)?,
        None => Found::Changed,
    };
    let mut damaged = false;
    if found != Found::Changed {
        if intact(&path).unwrap_or(false) {
            if let Found::Touched(touched) = found {
                // Where it cannot be written the files are hashed again at the next load.
                keep(&path, &touched).ok();
            }
            if let Ok(made) = WeightFile::open(&path) {
                return Ok((Some(made), None));
            }
        }
        damaged = true;
    }
    remove_abandoned(&path);
    let files = names
        .iter()
        .map(|name| source.open(&format!("{folder}/{name}")))
        .collect::<Result<Vec<_>>>()?;
    let temporary = path.with_extension(format!("gguf.part-{}", std::process::id()));
    let written = write(
        &temporary,
        &entries(&files, formats, order),
        (now, &files),
        check,
    );
    let made = match written {
        Ok(Ok(())) => fs::rename(&temporary, &path)
            .and_then(|()| WeightFile::open(&path).map_err(io::Error::other)),
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

/// What the cache was made from.
fn kept(path: &Path) -> Option<Origin> {
    let file = WeightFile::open(path).ok()?;
    let metadata = file.metadata()?;
    let is_cache = metadata.text("general.architecture") == Some(ARCHITECTURE);
    is_cache.then_some(Origin::parse(metadata.text(SOURCES)?)?)
}

/// Writes what a whole cache was made from over what it says so far, which has the same length.
fn keep(path: &Path, origin: &Origin) -> io::Result<()> {
    let text = origin.to_text();
    let place = {
        let file = WeightFile::open(path).map_err(io::Error::other)?;
        let metadata = file.metadata();
        metadata.and_then(|metadata| metadata.text_place(SOURCES))
    };
    match place {
        Some(place) if place.len() == text.len() => {
            amend(path, place.start as u64, text.as_bytes())
        }
        _ => Err(io::Error::other("it names other files")),
    }
}

/// A tensor of the cache: where it comes from, and what becomes of it.
struct Entry<'a> {
    name: &'a str,
    file: &'a WeightFile,
    /// Number of the file.
    number: usize,
    info: &'a TensorInfo,
    /// Blocks to be made of a matrix `[rows, width]`; otherwise it stays as it is.
    packed: Option<(Format, (usize, usize))>,
    order: Order,
}

impl Entry<'_> {
    /// As it is in its file.
    fn data(&self) -> &[u8] {
        &self.file.bytes()[self.info.range.clone()]
    }

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
        .enumerate()
        .flat_map(|(number, file)| {
            let tensors = file.tensors().iter();
            tensors.map(move |tensor| (number, file, tensor))
        })
        .map(|(number, file, (name, info))| {
            let packed = match (&info.stored, info.shape.as_slice()) {
                (Stored::Plain(_), &[rows, width]) => formats
                    .of(Role::of(name), width)
                    .map(|format| (format, (rows, width))),
                _ => None,
            };
            Entry {
                name,
                file,
                number,
                info,
                packed,
                order,
            }
        })
        .filter(|entry| entry.kind().is_some())
        .collect()
}

/// Writes the cache of `files`, which are hashed as they are read; the outer error is `check`'s.
fn write(
    path: &Path,
    entries: &[Entry<'_>],
    (origin, files): (Origin, &[WeightFile]),
    check: &dyn Fn() -> Result<()>,
) -> Result<io::Result<()>> {
    let start = || -> io::Result<Sealing<BufWriter<File>>> {
        let mut out = Sealing::new(BufWriter::new(File::create(path)?));
        out.write_all(&header(entries, &origin.to_text()))?;
        Ok(out)
    };
    let mut out = match start() {
        Ok(out) => out,
        Err(error) => return Ok(Err(error)),
    };
    let mut hashed = Hashes::default();
    for entry in entries {
        check()?;
        hashed.take(entry.number, entry.name, entry.data());
        if let Err(error) = write_tensor(&mut out, entry) {
            return Ok(Err(error));
        }
    }
    let hashes = files.iter().enumerate();
    let hashes = hashes
        .map(|(number, file)| hashed.of_file(number, file, check))
        .collect::<Result<Vec<_>>>()?;
    Ok(out
        .seal()
        .and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| {
            keep(path, &origin.with_hashes(hashes))?;
            file.sync_all()
        }))
}

fn write_tensor(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let data = entry.data();
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
