//! Downloads of released checkpoints, as a client asks for them.

use std::sync::{Arc, Weak};

use acestep_domain::release::{Download, Hub};

use super::{Shared, Studio};
use crate::error::{Error, Result};

/// Starts the thread that fetches. It holds nothing of the studio but the list, so that a slow network
/// never keeps the studio open.
pub(super) fn follow(shared: &Arc<Shared>) -> Result<()> {
    let downloads = Arc::clone(&shared.downloads);
    let studio: Weak<Shared> = Arc::downgrade(shared);
    std::thread::Builder::new()
        .name("downloads".to_owned())
        .spawn(move || {
            downloads.run(&|arrived| match studio.upgrade() {
                Some(shared) if arrived => shared.rescan(),
                Some(shared) => shared.touch(),
                None => {}
            });
        })
        .map_err(Error::file("Starting the thread of downloads"))?;
    Ok(())
}

impl Studio {
    /// All downloads.
    pub fn downloads(&self) -> Vec<Download> {
        self.shared().downloads.list()
    }

    /// Begins or resumes the download of a release, from `source` or the first hub that answers.
    ///
    /// # Errors
    /// There is no such release, it is here already, or service mode leaves it to the operator.
    pub fn start_download(&self, name: &str, source: Option<Hub>) -> Result<Download> {
        self.change(|shared| shared.downloads.start(name, source))
    }

    /// Stops a download; what was fetched is kept.
    ///
    /// # Errors
    /// There is no such download, or service mode leaves it to the operator.
    pub fn pause_download(&self, name: &str) -> Result<Download> {
        self.change(|shared| shared.downloads.pause(name))
    }

    /// Stops a download and drops what was fetched.
    ///
    /// # Errors
    /// There is no such download, its files cannot be removed, or service mode leaves it to the operator.
    pub fn remove_download(&self, name: &str) -> Result<()> {
        self.change(|shared| shared.downloads.remove(name))
    }

    fn change<T>(&self, change: impl FnOnce(&Shared) -> Result<T>) -> Result<T> {
        let shared = self.shared();
        shared
            .service
            .admit_to("checkpoints cannot be downloaded")?;
        let changed = change(shared)?;
        shared.touch();
        Ok(changed)
    }
}
