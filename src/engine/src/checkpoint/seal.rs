//! Checksums at the end of a file, by which damage inside it is found before it is used.
//!
//! After what a file holds follow the CRC-32 of each [`PIECE`] of it, their number and [`MARK`]. Pieces are
//! checked side by side, so a file of gigabytes that the system has in memory takes a fraction of a second.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use crc32fast::Hasher;
use rayon::prelude::*;

/// Bytes of a checksum.
const PIECE: u64 = 8 << 20;

/// Ends a sealed file.
const MARK: &[u8; 8] = b"ACEcrc32";

/// Counts what is written, and seals it.
pub(super) struct Sealing<W> {
    out: W,
    hasher: Hasher,
    /// Bytes of the piece so far.
    len: u64,
    sums: Vec<u32>,
}

impl<W: Write> Sealing<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            hasher: Hasher::new(),
            len: 0,
            sums: Vec::new(),
        }
    }

    fn end_piece(&mut self) {
        let hasher = std::mem::take(&mut self.hasher);
        self.sums.push(hasher.finalize());
        self.len = 0;
    }

    /// Writes the checksums.
    pub(super) fn seal(mut self) -> io::Result<W> {
        if self.len > 0 {
            self.end_piece();
        }
        for sum in &self.sums {
            self.out.write_all(&sum.to_le_bytes())?;
        }
        self.out
            .write_all(&(self.sums.len() as u64).to_le_bytes())?;
        self.out.write_all(MARK)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(PIECE - self.len).unwrap_or(usize::MAX);
        let written = self.out.write(&data[..data.len().min(room)])?;
        self.hasher.update(&data[..written]);
        self.len += written as u64;
        if self.len == PIECE {
            self.end_piece();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes that a sealed file holds; its checksums follow them. `None` where it is not sealed.
fn held(file: &mut File) -> io::Result<Option<u64>> {
    let len = file.metadata()?.len();
    let mut end = [0; 16];
    if len < end.len() as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(len - end.len() as u64))?;
    file.read_exact(&mut end)?;
    let (count, mark) = end.split_at(8);
    let count = count.try_into().map_or(0, u64::from_le_bytes);
    let sums_len = count.saturating_mul(4);
    if mark != MARK || sums_len > len - 16 || (len - 16 - sums_len).div_ceil(PIECE) != count {
        return Ok(None);
    }
    Ok(Some(len - 16 - sums_len))
}

/// Whether a file is sealed and as it was then.
pub(super) fn intact(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(held) = held(&mut file)? else {
        return Ok(false);
    };
    file.seek(SeekFrom::Start(held))?;
    let mut sums = vec![0; held.div_ceil(PIECE) as usize * 4];
    file.read_exact(&mut sums)?;
    sums.as_chunks()
        .0
        .par_iter()
        .enumerate()
        .map(|(index, sum)| {
            let start = index as u64 * PIECE;
            let found = sum_of(path, start, PIECE.min(held - start))?;
            Ok(found == u32::from_le_bytes(*sum))
        })
        .try_reduce(|| true, |a, b| Ok(a && b))
}

/// Writes `data` over what an [`intact`] file holds from `place` on, and seals it again. Where that is cut
/// off, the file is not intact.
pub(super) fn amend(path: &Path, place: u64, data: &[u8]) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let held = held(&mut file)?.ok_or(io::ErrorKind::InvalidData)?;
    let end = place + data.len() as u64;
    if end > held || data.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.seek(SeekFrom::Start(place))?;
    file.write_all(data)?;
    for piece in place / PIECE..end.div_ceil(PIECE) {
        let start = piece * PIECE;
        let sum = sum_of(path, start, PIECE.min(held - start))?;
        file.seek(SeekFrom::Start(held + 4 * piece))?;
        file.write_all(&sum.to_le_bytes())?;
    }
    file.sync_all()
}

/// The checksum of `len` bytes from `start`. Read, not mapped, so that they do not count as memory in use.
fn sum_of(path: &Path, start: u64, len: u64) -> io::Result<u32> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut left = len;
    while left > 0 {
        let most = buffer.len().min(left as usize);
        let read = file.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..read]);
        left -= read as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::{PIECE, Sealing, amend, intact};

    #[test]
    fn any_changed_byte_breaks_the_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        for len in [0, 1, PIECE as usize, 2 * PIECE as usize + 12_345] {
            let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut out = Sealing::new(Vec::new());
            out.write_all(&data).unwrap();
            let sealed = out.seal().unwrap();
            assert_eq!(sealed[..len], data);
            fs::write(&path, &sealed).unwrap();
            assert!(intact(&path).unwrap(), "{len}");
            let places = [
                0,
                len / 3,
                len.saturating_sub(1),
                sealed.len().saturating_sub(17),
                sealed.len() - 1,
            ];
            for place in places {
                let mut damaged = sealed.clone();
                damaged[place] ^= 4;
                fs::write(&path, &damaged).unwrap();
                assert!(!intact(&path).unwrap_or(false), "{len}: {place}");
            }
            fs::write(&path, &sealed[..sealed.len() - 1]).unwrap();
            assert!(!intact(&path).unwrap());
        }
        fs::write(&path, b"short").unwrap();
        assert!(!intact(&path).unwrap());
        amend(&path, 0, b"s").unwrap_err();
    }

    #[test]
    fn what_is_amended_is_sealed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let len = PIECE as usize + 100;
        let mut out = Sealing::new(Vec::new());
        out.write_all(&vec![7; len]).unwrap();
        let sealed = out.seal().unwrap();
        for place in [0, PIECE as usize - 2, PIECE as usize, len - 4] {
            fs::write(&path, &sealed).unwrap();
            amend(&path, place as u64, b"here").unwrap();
            assert!(intact(&path).unwrap(), "{place}");
            let mut expected = vec![7; len];
            expected[place..][..4].copy_from_slice(b"here");
            assert!(fs::read(&path).unwrap()[..len] == expected, "{place}");
        }
        amend(&path, len as u64 - 3, b"here").unwrap_err();
    }
}
