//! This machine as the commands see it: probed, with the simulated card applied.

use std::path::Path;

use acestep_domain::{
    capabilities::{Capabilities, LmEntry, ModelEntry},
    note::Note,
};
use acestep_engine::{
    capabilities::capabilities,
    cards::{simulate, use_card},
    checkpoint,
    memory::probe::{Probe, probe},
};

use super::service::ServiceArgs;
use crate::env::Environment;

/// What this machine can do with the card that `service` asks for, with the notes of finding out. The card
/// is that of the process from then on.
pub(crate) fn machine(
    environment: &Environment,
    service: &ServiceArgs,
) -> (Capabilities, Vec<Note>) {
    let mut notes = environment.notes();
    let (simulated, more) = environment.simulated_vram();
    notes.extend(more);
    if let Some(gib) = simulated {
        simulate(gib);
    }
    let probe = probe();
    let wanted = service.card(environment);
    let (capabilities, more) = capabilities(&probe, wanted.as_deref(), simulated);
    notes.extend(more);
    take_card(&probe, &capabilities);
    (capabilities, notes)
}

/// Makes the card that is used that of the process.
pub(crate) fn take_card(probe: &Probe, machine: &Capabilities) {
    let used = machine.cards.iter().find(|entry| entry.used);
    let card = used.and_then(|used| probe.cards.iter().find(|card| card.index == used.index));
    if let Some(card) = card {
        use_card(card);
    }
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
