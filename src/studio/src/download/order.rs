//! A released folder with what it needs beside it: listed, fetched into a folder of its own, then put
//! among the checkpoints as a whole, so that nothing half there can ever be loaded.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use acestep_domain::release::{Hub, Release, ReleaseKind};
use acestep_engine::checkpoint;

use super::{
    error::{Error, Result},
    fetch::{Watch, begun, fetch, is_whole},
    hub::{Client, RemoteFile},
};

/// Below the checkpoints folder; a leading dot keeps it out of the list of models.
const STAGING: &str = ".acestep-download";

/// Where the files of a download wait until it is whole.
pub(super) fn staging(root: &Path, name: &str) -> PathBuf {
    root.join(STAGING).join(name)
}

/// The downloads that an earlier run left.
pub(super) fn begun_downloads(root: &Path) -> Vec<&'static Release> {
    let Ok(entries) = fs::read_dir(root.join(STAGING)) else {
        return Vec::new();
    };
    let mut found: Vec<&Release> = entries
        .flatten()
        .filter_map(|entry| Release::find(&entry.file_name().to_string_lossy()))
        .collect();
    found.sort_by_key(|release| release.name);
    found
}

/// Bytes of all files below `folder`.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// Drops what was fetched of `name`, and the folder of downloads when it was the last.
///
/// # Errors
/// It cannot be removed.
pub(super) fn drop_staging(root: &Path, name: &str) -> Result<()> {
    match fs::remove_dir_all(staging(root, name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::disk("Removing a download")(error));
        }
        _ => {}
    }
    // Refused while other downloads lie there.
    fs::remove_dir(root.join(STAGING)).ok();
    Ok(())
}

/// Whether `release` is not in `root`, or not whole, by its configs and headers.
pub(super) fn is_lacking(root: &Path, release: &Release) -> bool {
    let folder = root.join(release.name);
    if !folder.is_dir() {
        return true;
    }
    let found = checkpoint::inspect(&folder);
    !found.problems.is_empty() || found.models.iter().any(|model| !model.problems.is_empty())
}

/// The same for lists, which are made often: a folder that has what it must have, not cut off, is taken
/// for whole.
pub(super) fn looks_lacking(root: &Path, release: &Release) -> bool {
    let beside: &[&str] = match (release.kind, release.name) {
        (ReleaseKind::Main, _) => &["silence_latent.pt"],
        (ReleaseKind::Part, "vae") => &[],
        _ => &["tokenizer.json"],
    };
    !checkpoint::has_files(root, release.name, beside) && is_lacking(root, release)
}

/// The folders that a download of `release` fetches: the parts that are lacking, then its own.
pub(super) fn folders(root: &Path, release: &'static Release) -> Vec<&'static Release> {
    let parts = release.parts().filter(|part| is_lacking(root, part));
    parts.chain([release]).collect()
}

/// Bytes that can still be written below `root`, or below the nearest folder above it that exists.
pub(super) fn free_bytes(root: &Path) -> Option<u64> {
    let whole = std::path::absolute(root).ok()?;
    let there = whole.ancestors().find(|folder| folder.is_dir())?;
    fs4::available_space(there).ok()
}

/// A file on its way.
struct Item {
    folder: &'static str,
    file: RemoteFile,
}

impl Item {
    fn label(&self) -> String {
        format!("{}/{}", self.folder, self.file.path)
    }
}

/// What is fetched, from where, to where.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) client: &'a Client,
    pub(super) root: &'a Path,
    pub(super) release: &'static Release,
    /// The hub to take; `None` takes the first that answers.
    pub(super) source: Option<Hub>,
    /// The first time between tries.
    pub(super) pause: Duration,
}

impl Order<'_> {
    /// Fetches it.
    ///
    /// # Errors
    /// Why it could not be fetched, or that the user stopped it; what was fetched is kept.
    pub(super) fn carry_out(&self, watch: &mut dyn Watch) -> Result<()> {
        let staging = staging(self.root, self.release.name);
        fs::create_dir_all(&staging).map_err(Error::disk("Creating the folder of a download"))?;
        // Held until the end: two programs that append to one file would ruin it.
        let lock = lock(&staging)?;
        let (source, listed) = self.list(watch)?;
        let wanted = self.lacking(listed, watch)?;
        let total = wanted.iter().map(|item| item.file.bytes).sum();
        watch.begins(source, total);
        let there: u64 = wanted
            .iter()
            .map(|item| begun(&staging.join(item.label())).min(item.file.bytes))
            .sum();
        if let Some(free) = free_bytes(self.root)
            && free < total - there
        {
            return Err(Error::NoSpace {
                needed: total - there,
                free,
            });
        }
        let mut before = 0;
        for item in &wanted {
            let label = item.label();
            watch.file(&label);
            let mut ahead = Ahead {
                watch: &mut *watch,
                before,
            };
            let to = staging.join(&label);
            fetch(
                self.client,
                &item.file,
                (&to, &label),
                self.pause,
                &mut ahead,
            )?;
            before += item.file.bytes;
        }
        for item in &wanted {
            install(
                &staging.join(item.label()),
                &self.root.join(item.folder),
                item,
            )?;
        }
        drop(lock);
        drop_staging(self.root, self.release.name)
    }

    /// The files of all folders, from the first hub that has them.
    fn list(&self, watch: &mut dyn Watch) -> Result<(Hub, Vec<Item>)> {
        let folders = folders(self.root, self.release);
        let of = |hub: Hub| -> Result<Vec<Item>> {
            let mut items = Vec::new();
            for release in &folders {
                let files = self.client.list(hub, release)?;
                items.extend(files.into_iter().map(|file| Item {
                    folder: release.name,
                    file,
                }));
            }
            Ok(items)
        };
        if let Some(hub) = self.source {
            return Ok((hub, of(hub)?));
        }
        let [first, second] = Hub::ALL;
        let error = match of(first) {
            Ok(items) => return Ok((first, items)),
            Err(error @ (Error::Disk { .. } | Error::Stopped)) => return Err(error),
            Err(error) => error,
        };
        tracing::info!("{error}; asking {}", self.client.host(second));
        if !watch.goes_on() {
            return Err(Error::Stopped);
        }
        match of(second) {
            Ok(items) => Ok((second, items)),
            // Both are away: most likely this machine is.
            Err(Error::Unreachable { host, source })
                if matches!(error, Error::Unreachable { .. }) =>
            {
                Err(Error::Unreachable {
                    host: format!("{} and {host}", self.client.host(first)),
                    source,
                })
            }
            Err(_) => Err(error),
        }
    }

    /// The files that are not among the checkpoints already.
    fn lacking(&self, listed: Vec<Item>, watch: &mut dyn Watch) -> Result<Vec<Item>> {
        let mut wanted = Vec::with_capacity(listed.len());
        for item in listed {
            let there = self.root.join(item.folder).join(&item.file.path);
            if !is_whole(&there, &item.file, watch)? {
                wanted.push(item);
            }
        }
        Ok(wanted)
    }
}

/// Puts a fetched file in its place, whatever was there.
fn install(from: &Path, folder: &Path, item: &Item) -> Result<()> {
    let to = folder.join(&item.file.path);
    let moving = Error::disk("Putting a download among the checkpoints");
    to.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::rename(from, &to))
        .map_err(moving)
}

fn lock(staging: &Path) -> Result<File> {
    let opening = "Opening the folder of a download";
    let file = File::create(staging.join(".lock")).map_err(Error::disk(opening))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse),
        Err(TryLockError::Error(source)) => Err(Error::disk(opening)(source)),
    }
}

/// Adds the files before to what is told of one.
struct Ahead<'a> {
    watch: &'a mut dyn Watch,
    before: u64,
}

impl Watch for Ahead<'_> {
    fn begins(&mut self, source: Hub, total_bytes: u64) {
        self.watch.begins(source, total_bytes);
    }

    fn file(&mut self, label: &str) {
        self.watch.file(label);
    }

    fn bytes(&mut self, done: u64) {
        self.watch.bytes(self.before + done);
    }

    fn goes_on(&self) -> bool {
        self.watch.goes_on()
    }

    fn wait(&self, time: Duration) -> bool {
        self.watch.wait(time)
    }
}
