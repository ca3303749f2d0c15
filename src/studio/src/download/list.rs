//! The list of downloads and the thread that works through it.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use acestep_domain::{
    UserError,
    release::{Download, DownloadState, Hub, Release},
};
use serde::{Deserialize, Serialize};

use super::{
    DownloadOptions, download,
    error::Error,
    fetch::Watch,
    order::{self, begun_downloads, bytes_below, drop_staging, folders, is_lacking, staging},
};
use crate::error::{Error as StudioError, Result};

/// How often progress is told at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// How much a new reading of the rate counts.
const RATE_WEIGHT: f64 = 0.3;

/// What of a download is kept beside its files.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) paused: bool,
    source: Option<Hub>,
    total_bytes: Option<u64>,
}

impl Kept {
    const FILE: &str = "download.json";

    pub(super) fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join(Self::FILE)).unwrap_or_default();
        // Without it the hub tells again; nothing that was fetched is lost.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, folder: &Path) {
        let written = serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .and_then(|text| {
                fs::create_dir_all(folder)?;
                fs::write(folder.join(Self::FILE), text)
            });
        if let Err(error) = written {
            tracing::warn!("the state of a download could not be kept: {error}");
        }
    }
}

#[derive(Debug)]
struct Entry {
    release: &'static Release,
    shown: Download,
    /// The hub that was asked for.
    source: Option<Hub>,
    /// The user took it away while it ran.
    dropped: bool,
}

impl Entry {
    fn keep(&self, root: &Path, paused: bool) {
        let kept = Kept {
            paused,
            source: self.source,
            total_bytes: self.shown.total_bytes,
        };
        kept.write(&staging(root, self.release.name));
    }
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    /// The one whose files a thread is writing, wanted or not.
    busy: Option<String>,
    stopped: bool,
}

/// The list of downloads.
#[derive(Debug)]
pub(crate) struct Downloads {
    root: PathBuf,
    options: DownloadOptions,
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Downloads {
    /// Opens the list; what an earlier run left goes on unless it was paused.
    pub(crate) fn open(root: PathBuf, options: DownloadOptions) -> Self {
        let entries = begun_downloads(&root)
            .into_iter()
            .map(|release| {
                let folder = staging(&root, release.name);
                let kept = Kept::read(&folder);
                Entry {
                    release,
                    source: kept.source,
                    dropped: false,
                    shown: Download {
                        name: release.name.to_owned(),
                        state: if kept.paused {
                            DownloadState::Paused
                        } else {
                            DownloadState::Waiting
                        },
                        done_bytes: kept
                            .total_bytes
                            .map_or(0, |total| bytes_below(&folder).min(total)),
                        total_bytes: kept.total_bytes,
                        ..Download::default()
                    },
                }
            })
            .collect();
        Self {
            root,
            options,
            inner: Mutex::new(Inner {
                entries,
                ..Inner::default()
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, in the order in which they were asked for.
    pub(crate) fn list(&self) -> Vec<Download> {
        let inner = self.lock();
        inner
            .entries
            .iter()
            .map(|entry| entry.shown.clone())
            .collect()
    }

    /// Bytes that the disk of the checkpoints folder still takes.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        order::free_bytes(&self.root)
    }

    /// Begins or resumes a download.
    ///
    /// # Errors
    /// There is no such release, or it is here already.
    pub(crate) fn start(&self, name: &str, source: Option<Hub>) -> Result<Download> {
        let release = released(name)?;
        let under_way = self
            .lock()
            .entries
            .iter()
            .any(|entry| entry.release == release && entry.shown.state != DownloadState::Done);
        // Looking into models takes a second, and nobody who asks for the list should wait for it.
        if !under_way && folders(&self.root, release).len() == 1 && !is_lacking(&self.root, release)
        {
            return Err(StudioError::Conflict {
                what: format!("{name} is in the checkpoints folder already."),
                hint: "Choose it as it is; to fetch it anew, remove its folder first.",
            });
        }
        let mut inner = self.lock();
        let known = inner
            .entries
            .iter()
            .position(|entry| entry.release == release);
        let at = known.unwrap_or_else(|| {
            inner.entries.push(Entry {
                release,
                shown: Download {
                    name: name.to_owned(),
                    ..Download::default()
                },
                source: None,
                dropped: false,
            });
            inner.entries.len() - 1
        });
        let entry = &mut inner.entries[at];
        entry.source = source.or(entry.source).or(self.options.source);
        // One that is stopping at this moment takes its wish back.
        entry.dropped = false;
        if entry.shown.state != DownloadState::Running {
            entry.shown.state = DownloadState::Waiting;
            entry.shown.error = None;
        }
        let shown = entry.shown.clone();
        self.changed.notify_all();
        Ok(shown)
    }

    /// Stops a download; what was fetched is kept.
    ///
    /// # Errors
    /// There is no such download.
    pub(crate) fn pause(&self, name: &str) -> Result<Download> {
        let mut inner = self.lock();
        let busy = inner.busy.as_deref() == Some(name);
        let entry = find(&mut inner, name)?;
        if matches!(
            entry.shown.state,
            DownloadState::Waiting | DownloadState::Running
        ) {
            entry.shown.state = DownloadState::Paused;
            entry.shown.bytes_per_sec = None;
            entry.shown.eta_secs = None;
            // The thread that is at work on it keeps its state when it lets go.
            if !busy {
                entry.keep(&self.root, true);
            }
        }
        let shown = entry.shown.clone();
        self.changed.notify_all();
        Ok(shown)
    }

    /// Stops a download and drops what was fetched.
    ///
    /// # Errors
    /// There is no such download, or its files cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let mut inner = self.lock();
        let busy = inner.busy.as_deref() == Some(name);
        let entry = find(&mut inner, name)?;
        if busy {
            // Its thread is among the files; it drops them when it has let go.
            entry.dropped = true;
            entry.shown.state = DownloadState::Paused;
        } else {
            // One whose files stay can be removed again.
            if entry.shown.state != DownloadState::Done {
                drop_staging(&self.root, name)?;
            }
            inner.entries.retain(|entry| entry.shown.name != name);
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the thread of [`Self::run`], soon.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Carries out what is asked for, until [`Self::stop`]. `told` is called when something that a
    /// client shows has changed; with true when a folder among the checkpoints may have.
    pub(crate) fn run(&self, told: &dyn Fn(bool)) {
        while let Some((release, source)) = self.next() {
            told(false);
            let options = DownloadOptions {
                source,
                ..self.options.clone()
            };
            let mut watcher = Watcher {
                downloads: self,
                release,
                told,
                last: Instant::now(),
                at: None,
            };
            let fetch = AssertUnwindSafe(|| download(&self.root, release, &options, &mut watcher));
            // The panic hook has told it; the other downloads go on.
            let outcome = catch_unwind(fetch).unwrap_or(Err(Error::Defect));
            self.ended(release, outcome);
            told(true);
        }
    }

    /// Waits for the next to fetch; `None` at the end.
    fn next(&self) -> Option<(&'static Release, Option<Hub>)> {
        let mut inner = self.lock();
        loop {
            if inner.stopped {
                return None;
            }
            let waiting = inner
                .entries
                .iter_mut()
                .find(|entry| entry.shown.state == DownloadState::Waiting);
            if let Some(entry) = waiting {
                entry.shown.state = DownloadState::Running;
                let next = (entry.release, entry.source);
                inner.busy = Some(next.0.name.to_owned());
                return Some(next);
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn ended(&self, release: &Release, outcome: std::result::Result<(), Error>) {
        let mut inner = self.lock();
        inner.busy = None;
        let stopped = inner.stopped;
        let Some(at) = inner
            .entries
            .iter()
            .position(|entry| entry.release == release)
        else {
            return;
        };
        let entry = &mut inner.entries[at];
        entry.shown.bytes_per_sec = None;
        entry.shown.eta_secs = None;
        entry.shown.file = None;
        if entry.dropped {
            match drop_staging(&self.root, release.name) {
                Ok(()) => {
                    inner.entries.remove(at);
                }
                Err(error) => {
                    tracing::warn!("{}: {error}", release.name);
                    entry.dropped = false;
                    entry.shown.state = DownloadState::Failed;
                    entry.shown.error = Some(UserError::from(error));
                }
            }
            return;
        }
        match outcome {
            Ok(()) => {
                tracing::info!("{} is in the checkpoints folder", release.name);
                entry.shown.state = DownloadState::Done;
                return;
            }
            // Paused, perhaps resumed since: then its state says so and it is taken up again.
            Err(Error::Stopped) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "{} was not downloaded",
                    release.name
                );
                entry.shown.state = DownloadState::Failed;
                entry.shown.error = Some(UserError::from(error));
            }
        }
        // What stops with the program goes on with it.
        let paused = entry.shown.state == DownloadState::Paused && !stopped;
        entry.keep(&self.root, paused);
    }
}

fn released(name: &str) -> Result<&'static Release> {
    Release::find_model(name).ok_or_else(|| {
        let names: Vec<&str> = Release::models().map(|release| release.name).collect();
        let shown: String = name.chars().take(80).collect();
        UserError::invalid(
            "name",
            format!("There is no released checkpoint {shown:?}."),
            format!("There are {}.", names.join(", ")),
        )
        .into()
    })
}

fn find<'a>(inner: &'a mut Inner, name: &str) -> Result<&'a mut Entry> {
    let found = inner
        .entries
        .iter_mut()
        .find(|entry| entry.shown.name == name);
    found.ok_or_else(|| StudioError::NotFound {
        what: "download",
        id: name.to_owned(),
    })
}

/// Carries what one download tells into the list.
struct Watcher<'a> {
    downloads: &'a Downloads,
    release: &'static Release,
    told: &'a dyn Fn(bool),
    last: Instant,
    /// When and where the rate was read last.
    at: Option<(Instant, u64)>,
}

impl Watcher<'_> {
    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut inner = self.downloads.lock();
        let mut entries = inner.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.release == self.release) {
            change(entry);
        }
    }
}

impl Watch for Watcher<'_> {
    fn begins(&mut self, source: Hub, total_bytes: u64) {
        let root = &self.downloads.root;
        self.change(|entry| {
            entry.shown.source = Some(source);
            entry.shown.total_bytes = Some(total_bytes);
            entry.keep(root, false);
        });
        (self.told)(false);
    }

    fn file(&mut self, label: &str) {
        // What is there of it already did not come now.
        self.at = None;
        self.change(|entry| entry.shown.file = Some(label.to_owned()));
    }

    fn bytes(&mut self, done: u64) {
        let now = Instant::now();
        let Some((then, before)) = self.at else {
            self.at = Some((now, done));
            self.change(|entry| entry.shown.done_bytes = done);
            return;
        };
        if now - self.last < TOLD_EVERY {
            self.change(|entry| entry.shown.done_bytes = done);
            return;
        }
        let rate = done.saturating_sub(before) as f64 / (now - then).as_secs_f64().max(1e-3);
        self.change(|entry| {
            let shown = &mut entry.shown;
            shown.done_bytes = done;
            let rate = shown
                .bytes_per_sec
                .map_or(rate, |old| old + RATE_WEIGHT * (rate - old));
            shown.bytes_per_sec = Some(rate);
            shown.eta_secs = shown
                .total_bytes
                .filter(|_| rate > 0.0)
                .map(|total| total.saturating_sub(done) as f64 / rate);
        });
        self.at = Some((now, done));
        self.last = now;
        (self.told)(false);
    }

    fn goes_on(&self) -> bool {
        let inner = self.downloads.lock();
        let mut entries = inner.entries.iter();
        let wanted = entries.any(|entry| {
            entry.release == self.release
                && !entry.dropped
                && entry.shown.state == DownloadState::Running
        });
        wanted && !inner.stopped
    }

    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.goes_on() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let inner = self.downloads.lock();
            // Whatever changed, the loop looks again.
            drop(self.downloads.changed.wait_timeout(inner, left));
        }
        false
    }
}
