//! Downloads of released checkpoints: one at a time on a thread of its own, the others wait. What was
//! fetched outlives pauses, faults and restarts.
//!
//! `list` keeps them; `order` fetches one release, `fetch` one file, `hub` speaks to the hubs.

mod error;
mod fetch;
mod hub;
mod list;
mod order;

use std::{path::Path, time::Duration};

use acestep_domain::release::{Downloadable, Hub, RELEASES, Release, ReleaseKind};

pub(crate) use self::list::Downloads;
pub use self::{error::Error, fetch::Watch, hub::Endpoints};
use self::{
    hub::Client,
    order::{Order, looks_lacking},
};

/// First time between tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Where downloads come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadOptions {
    /// The hub to take; `None` takes the first that answers.
    pub source: Option<Hub>,
    /// Where the hubs are.
    pub endpoints: Endpoints,
    /// First time between tries.
    pub pause: Duration,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            source: None,
            endpoints: Endpoints::default(),
            pause: PAUSE,
        }
    }
}

/// Fetches `release` into `root` and waits for it. Takes up what an earlier try left.
///
/// # Errors
/// Why it could not be fetched, or that `watch` stopped it; what was fetched is kept.
pub fn download(
    root: &Path,
    release: &'static Release,
    options: &DownloadOptions,
    watch: &mut dyn Watch,
) -> std::result::Result<(), Error> {
    let order = Order {
        client: &Client::new(options.endpoints.clone()),
        root,
        release,
        source: options.source,
        pause: options.pause,
    };
    order.carry_out(watch)
}

/// What can be fetched into `root`: releases that are not there, or not whole, with what is lacking
/// beside them.
pub fn downloadable(root: &Path) -> Vec<Downloadable> {
    // Looked at once, though every main model needs them: it takes reading their files.
    let parts: Vec<&Release> = RELEASES
        .iter()
        .filter(|release| release.kind == ReleaseKind::Part && looks_lacking(root, release))
        .collect();
    Release::models()
        .filter_map(|release| {
            let is_main = release.kind == ReleaseKind::Main;
            let beside: u64 = parts
                .iter()
                .filter(|_| is_main)
                .map(|part| part.bytes)
                .sum();
            // A whole model whose autoencoder is gone is not whole.
            let own = if looks_lacking(root, release) {
                release.bytes
            } else {
                0
            };
            (own + beside > 0).then(|| Downloadable {
                name: release.name.to_owned(),
                kind: release.kind,
                bytes: own + beside,
                damaged: root.join(release.name).is_dir(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
