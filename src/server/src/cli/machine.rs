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
    notes.extend(unlimited_in_vain(service.unlimited, &capabilities));
    take_card(&probe, &capabilities);
    (capabilities, notes)
}

/// Limits are lifted only where there is no card; a simulated one is one.
fn unlimited_in_vain(asked: bool, machine: &Capabilities) -> Option<Note> {
    let vram = machine.vram;
    (asked && vram.total_gib > 0.0).then(|| {
        Note::new(
            "unlimited_ignored",
            "unlimited",
            format!(
                "--unlimited: not used, since there is {} of {} GB; the limits of {} hold.",
                if vram.simulated {
                    "a simulated card"
                } else {
                    "a card"
                },
                vram.total_gib,
                machine.tier.as_str()
            ),
        )
    })
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

#[cfg(test)]
mod tests {
    use acestep_domain::tier::{GpuTier, Vram};

    use super::*;

    #[test]
    fn limits_of_a_card_that_stay_are_told() {
        let machine = |total_gib| Capabilities {
            tier: GpuTier::Tier4,
            vram: Vram {
                total_gib,
                simulated: true,
            },
            ..Capabilities::default()
        };
        let told = |asked, gib| unlimited_in_vain(asked, &machine(gib)).map(|note| note.message);
        let message = told(true, 8.0).unwrap();
        assert!(message.contains("a simulated card of 8 GB"), "{message}");
        assert_eq!((told(true, 0.0), told(false, 8.0)), (None, None));
    }
}
