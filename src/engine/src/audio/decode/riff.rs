//! Wav files whose outermost length is wrong.
//!
//! Who writes a wav as it is recorded does not know its length: some leave a mark, some a 0, and a
//! recorder that was cut off never came back to correct it. The sound is in the file all the same, so
//! the length of the whole is read as unknown, and the file's end is where it ends.

use std::io::{Read, Result, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Where the length of the whole stands, behind `RIFF`.
const LENGTH: std::ops::Range<u64> = 4..8;

/// A file as it is, but a wav of unknown length.
pub(super) struct UnknownLength {
    file: Box<dyn MediaSource>,
    at: u64,
    is_wav: bool,
}

impl UnknownLength {
    /// From the start of `file`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn new(mut file: Box<dyn MediaSource>) -> Result<Self> {
        let mut head = [0; 12];
        let mut filled = 0;
        while filled < head.len() {
            match file.read(&mut head[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        file.rewind()?;
        Ok(Self {
            file,
            at: 0,
            is_wav: head.starts_with(b"RIFF") && head.ends_with(b"WAVE"),
        })
    }
}

impl Read for UnknownLength {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let read = self.file.read(bytes)?;
        if self.is_wav {
            for (place, byte) in (self.at..).zip(&mut bytes[..read]) {
                if LENGTH.contains(&place) {
                    *byte = u8::MAX;
                }
                if place >= LENGTH.end {
                    break;
                }
            }
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for UnknownLength {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

impl MediaSource for UnknownLength {
    fn is_seekable(&self) -> bool {
        self.file.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.file.byte_len()
    }
}
