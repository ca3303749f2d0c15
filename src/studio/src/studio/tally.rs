//! How many jobs there are.

use std::collections::BTreeMap;

use acestep_domain::job::JobState;

use super::Studio;
use crate::{error::Result, jobs};

/// Jobs that were ever asked for, and the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Jobs by the name of their state.
    pub by_state: BTreeMap<&'static str, usize>,
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that may wait.
    pub limit: usize,
}

impl Tally {
    /// Jobs in one of `states`.
    pub fn of(&self, states: &[JobState]) -> usize {
        let counts = states
            .iter()
            .map(|state| self.by_state.get(state.as_str()).copied().unwrap_or(0));
        counts.sum()
    }

    /// All jobs.
    pub fn total(&self) -> usize {
        self.by_state.values().sum()
    }
}

impl Studio {
    /// Counts the jobs.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn tally(&self) -> Result<Tally> {
        let shared = self.shared();
        Ok(Tally {
            by_state: shared.store.read(jobs::count)?,
            waiting: shared.queue.len(),
            limit: shared.queue.limit(),
        })
    }
}
