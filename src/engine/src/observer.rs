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

/// One of several equal parts of a stage: its progress is told as that of the whole.
pub(crate) struct PartOf<'a> {
    pub(crate) whole: &'a dyn Observer,
    /// Parts that are done.
    pub(crate) before: usize,
    pub(crate) parts: usize,
}

impl Observer for PartOf<'_> {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        let done = self.before * total + done;
        self.whole.progress(stage, item, done, self.parts * total);
    }

    fn writing(&self, writing: &Writing<'_>) {
        self.whole.writing(writing);
    }

    fn planned(&self, plan: &SongPlan) {
        self.whole.planned(plan);
    }

    fn cancelled(&self) -> bool {
        self.whole.cancelled()
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Observer, PartOf};
    use crate::error::Stage;

    struct Seen(Mutex<Vec<(usize, usize)>>);

    impl Observer for Seen {
        fn progress(&self, _: Stage, _: usize, done: usize, total: usize) {
            self.0.lock().unwrap().push((done, total));
        }

        fn cancelled(&self) -> bool {
            true
        }
    }

    #[test]
    fn parts_of_a_stage_go_on_where_the_part_before_ended() {
        let seen = Seen(Mutex::default());
        for before in 0..2 {
            let part = PartOf {
                whole: &seen,
                before,
                parts: 2,
            };
            for done in 1..=3 {
                part.progress(Stage::Encode, 0, done, 3);
            }
            assert!(part.cancelled());
        }
        let want: Vec<_> = (1..=6).map(|done| (done, 6)).collect();
        assert_eq!(*seen.0.lock().unwrap(), want);
    }
}
