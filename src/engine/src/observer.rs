//! How a running stage talks to its caller: progress out, cancellation in.
//! Seen by the loops (denoise, tiles, tokens) and the pipeline, never by a model.

use acestep_domain::SongPlan;

use crate::error::{Error, Result, Stage};

/// Receives progress and answers whether the run was cancelled.
/// Called from the engine's thread between steps, tokens and tiles.
pub trait Observer: Sync {
    /// `done` of `total` units (steps, tiles, …) of `stage` are finished for song `item` of the batch.
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize);

    /// The language model wrote more; see [`Writing`].
    fn writing(&self, _writing: &Writing<'_>) {}

    /// The language model has written a plan.
    fn planned(&self, _plan: &SongPlan) {}

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

/// How far the language model is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Writing<'a> {
    /// What it writes: `bpm`, `caption`, `lyrics`, `codes`, ….
    pub field: &'static str,
    /// All text so far, of a text job; empty while codes are written.
    pub text: &'a str,
    /// Tokens of each sequence so far.
    pub tokens: usize,
    /// Tokens of each sequence in all, where that is known: codes are counted beforehand.
    pub total: Option<usize>,
    /// Tokens in a second, of all sequences together.
    pub tokens_per_sec: f64,
    /// Seconds left, where the total is known and a rate could be measured.
    pub secs_left: Option<f64>,
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
