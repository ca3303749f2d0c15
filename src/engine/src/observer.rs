//! How a running stage talks to its caller: progress out, cancellation in.
//! Seen by the loops (denoise, tiles, tokens) and the pipeline, never by a model.

use crate::error::{Error, Result, Stage};

/// Receives progress and answers whether the run was cancelled.
/// Called from the engine's thread between steps, tokens and tiles.
pub trait Observer: Sync {
    /// `done` of `total` units (steps, tiles, …) of `stage` are finished for song `item` of the batch.
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize);

    /// True once the user asked to stop.
    fn cancelled(&self) -> bool;

    /// `Err(Error::Cancelled)` once the user asked to stop.
    fn check(&self) -> Result<()> {
        if self.cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// Ignores progress and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _: Stage, _: usize, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        false
    }
}
