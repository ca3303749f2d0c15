//! This machine as the commands see it: probed, with the simulated card applied.

use std::path::Path;

use acestep_domain::{
    capabilities::{Capabilities, LmEntry, ModelEntry},
    note::Note,
};
use acestep_engine::{capabilities::capabilities, checkpoint, memory::probe};

use crate::env::Environment;

/// What this machine can do, with the notes of finding out.
pub(crate) fn machine(environment: &Environment) -> (Capabilities, Vec<Note>) {
    let mut notes = environment.notes();
    let (simulated, more) = environment.simulated_vram();
    notes.extend(more);
    let (capabilities, more) = capabilities(&probe::probe(), simulated);
    notes.extend(more);
    (capabilities, notes)
}

/// Models and language models of `root`.
pub(crate) fn installed(root: &Path, machine: &Capabilities) -> (Vec<ModelEntry>, Vec<LmEntry>) {
    let entry =
        |built_in: bool| move |(name, bytes)| LmEntry::installed(name, bytes, built_in, machine);
    let lms = checkpoint::list_lms(root)
        .into_iter()
        .map(entry(false))
        .chain(checkpoint::built_in_lm(root).map(entry(true)))
        .collect();
    (checkpoint::list_models(root), lms)
}
