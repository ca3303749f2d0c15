//! One file: from where an earlier try ended to its hash.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use acestep_domain::release::Hub;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    error::{Error, Result},
    hub::{Client, Digest, RemoteFile, host_of},
};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Tries in a row that bring nothing before it is given up.
const TRIES: u32 = 5;

/// What a download tells of its progress, and asks: whether it is to go on.
pub trait Watch {
    /// A hub has answered, and there are so many bytes to fetch, those of earlier tries included.
    fn begins(&mut self, source: Hub, total_bytes: u64);
    /// This file, as `folder/file`, comes next.
    fn file(&mut self, label: &str);
    /// So many bytes are there.
    fn bytes(&mut self, done: u64);
    /// Whether the user still wants it.
    fn goes_on(&self) -> bool;
    /// Waits, but not longer than the user wants it; tells whether it goes on.
    fn wait(&self, time: Duration) -> bool;
}

/// The name of a file that is not whole yet.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Bytes of a file that are there from earlier tries.
pub(super) fn begun(path: &Path) -> u64 {
    let bytes = |path: &Path| fs::metadata(path).map(|meta| meta.len());
    bytes(path).or_else(|_| bytes(&part_of(path))).unwrap_or(0)
}

/// Fetches `file` to `path`, beginning where an earlier try ended. `path` exists only once the bytes
/// are what the hub lists. `label` names the file in errors; `pause` is the first time between tries.
///
/// # Errors
/// It cannot be fetched or written, is not what the hub lists, or the user stopped it.
pub(super) fn fetch(
    client: &Client,
    file: &RemoteFile,
    (path, label): (&Path, &str),
    pause: Duration,
    watch: &mut dyn Watch,
) -> Result<()> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() == file.bytes) {
        watch.bytes(file.bytes);
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::disk("Creating the folder of a download"))?;
    }
    let part = part_of(path);
    let mut incoming = Incoming::open(&part, file, watch)?;
    let mut failed = 0;
    while incoming.bytes < file.bytes {
        let before = incoming.bytes;
        let outcome = incoming.take(client, file, watch);
        if incoming.bytes > before {
            failed = 0;
        }
        match outcome {
            Ok(()) => {}
            Err(error) if error.may_pass() && failed + 1 < TRIES => {
                tracing::info!("{label}: {error}; trying again");
                if !watch.wait(pause * 2_u32.pow(failed)) {
                    return Err(Error::Stopped);
                }
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if !incoming.finish()?.matches(&file.digest) {
        fs::remove_file(&part).map_err(Error::disk("Removing a damaged download"))?;
        return Err(Error::Damaged {
            file: label.to_owned(),
        });
    }
    fs::rename(&part, path).map_err(Error::disk("Keeping a download"))
}

/// Whether the file at `path` is what the hub lists.
///
/// # Errors
/// It cannot be read, or the user stopped it.
pub(super) fn is_whole(path: &Path, file: &RemoteFile, watch: &mut dyn Watch) -> Result<bool> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() == file.bytes => {}
        _ => return Ok(false),
    }
    let mut there = File::open(path).map_err(Error::disk("Reading a checkpoint"))?;
    let mut sums = Sums::of(file);
    let mut chunk = vec![0; CHUNK];
    loop {
        if !watch.goes_on() {
            return Err(Error::Stopped);
        }
        let read = there
            .read(&mut chunk)
            .map_err(Error::disk("Reading a checkpoint"))?;
        if read == 0 {
            return Ok(sums.matches(&file.digest));
        }
        sums.update(&chunk[..read]);
    }
}

/// The sum that a file is checked by.
enum Sums {
    Sha256(Sha256),
    GitBlob(Sha1),
    None,
}

impl Sums {
    fn of(file: &RemoteFile) -> Self {
        match file.digest {
            Digest::Sha256(_) => Self::Sha256(Sha256::new()),
            Digest::GitBlob(_) => {
                let head = format!("blob {}\0", file.bytes);
                Self::GitBlob(Sha1::new_with_prefix(head))
            }
            Digest::Unknown => Self::None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::GitBlob(sum) => sum.update(bytes),
            Self::None => {}
        }
    }

    fn matches(self, wanted: &Digest) -> bool {
        let found = match self {
            Self::Sha256(sum) => format!("{:x}", sum.finalize()),
            Self::GitBlob(sum) => format!("{:x}", sum.finalize()),
            Self::None => return true,
        };
        match wanted {
            Digest::Sha256(wanted) | Digest::GitBlob(wanted) => found.eq_ignore_ascii_case(wanted),
            Digest::Unknown => true,
        }
    }
}

/// A file that is coming.
struct Incoming {
    to: File,
    bytes: u64,
    sums: Sums,
    chunk: Vec<u8>,
}

impl Incoming {
    /// Opens what an earlier try left, and sums it up.
    fn open(part: &Path, file: &RemoteFile, watch: &mut dyn Watch) -> Result<Self> {
        let to = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(part)
            .map_err(Error::disk("Opening a download"))?;
        let mut incoming = Self {
            bytes: 0,
            sums: Sums::of(file),
            chunk: vec![0; CHUNK],
            to,
        };
        loop {
            if !watch.goes_on() {
                return Err(Error::Stopped);
            }
            let read = incoming
                .to
                .read(&mut incoming.chunk)
                .map_err(Error::disk("Reading a download"))?;
            if read == 0 {
                break;
            }
            incoming.sums.update(&incoming.chunk[..read]);
            incoming.bytes += read as u64;
        }
        if incoming.bytes > file.bytes {
            incoming.begin_again(file)?;
        }
        watch.bytes(incoming.bytes);
        Ok(incoming)
    }

    /// Drops what is there.
    fn begin_again(&mut self, file: &RemoteFile) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let again = Error::disk("Beginning a download again");
        self.to
            .set_len(0)
            .and_then(|()| self.to.seek(SeekFrom::Start(0)))
            .map_err(again)?;
        self.bytes = 0;
        self.sums = Sums::of(file);
        Ok(())
    }

    /// Takes what one answer gives.
    fn take(&mut self, client: &Client, file: &RemoteFile, watch: &mut dyn Watch) -> Result<()> {
        let (begins, mut from) = client.open(file, self.bytes)?;
        if begins != self.bytes {
            self.begin_again(file)?;
        }
        while self.bytes < file.bytes {
            if !watch.goes_on() {
                return Err(Error::Stopped);
            }
            let broken = |source| Error::Broken {
                host: host_of(&file.url),
                source,
            };
            let wanted = (file.bytes - self.bytes).min(CHUNK as u64) as usize;
            let read = from.read(&mut self.chunk[..wanted]).map_err(broken)?;
            if read == 0 {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = &self.chunk[..read];
            self.to
                .write_all(bytes)
                .map_err(Error::disk("Writing a download"))?;
            self.sums.update(bytes);
            self.bytes += read as u64;
            watch.bytes(self.bytes);
        }
        Ok(())
    }

    fn finish(self) -> Result<Sums> {
        self.to
            .sync_all()
            .map_err(Error::disk("Writing a download"))?;
        Ok(self.sums)
    }
}
