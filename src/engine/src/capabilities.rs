//! What this build and machine can do, with the reason for each no. `cfg(feature)` stands here so
//! that no model needs it.

use acestep_domain::{
    capabilities::{Availability, Capabilities, CardEntry, DeviceKind},
    note::Note,
    tier::{GpuTier, Vram},
};

use crate::{
    cards::{self, Card},
    memory::probe::Probe,
};

const CUDA_BUILD: bool = cfg!(feature = "cuda");
const FLASH_BUILD: bool = cfg!(feature = "flash-attn");
const METAL_BUILD: bool = cfg!(feature = "metal");

fn yes(detail: &str) -> Availability {
    Availability {
        available: true,
        detail: detail.to_owned(),
    }
}

fn no(detail: &str) -> Availability {
    Availability {
        available: false,
        detail: detail.to_owned(),
    }
}

/// Cards that this build cannot use.
fn not_used(cards: &[Card]) -> impl Iterator<Item = Note> {
    cards.iter().filter(|_| !CUDA_BUILD).map(|card| {
        Note::new(
            "card_not_used",
            "device",
            format!(
                "Device: {} ({:.1} GiB) was found, but this build has no CUDA, so the processor is used.",
                card.name, card.total_gib
            ),
        )
    })
}

fn entries(cards: &[Card], used: Option<&Card>) -> Vec<CardEntry> {
    let entry = |card: &Card| CardEntry {
        index: card.index,
        name: card.name.clone(),
        total_gib: card.total_gib,
        used: used.is_some_and(|used| used.index == card.index),
        problem: card.ordinal.clone().err(),
    };
    cards.iter().map(entry).collect()
}

/// What can be done on the machine of `probe` with the card that [`cards::choose`] takes for `wanted`;
/// `simulated_gib` replaces the card's size.
pub fn capabilities(
    probe: &Probe,
    wanted: Option<&str>,
    simulated_gib: Option<f64>,
) -> (Capabilities, Vec<Note>) {
    let (usable_card, mut notes) = cards::choose(&probe.cards, wanted);
    notes.extend(not_used(&probe.cards));
    notes.extend(probe.other_gpus.iter().map(|maker| maker.note()));
    let device = if usable_card.is_some() {
        DeviceKind::Cuda
    } else if METAL_BUILD {
        DeviceKind::Metal
    } else {
        DeviceKind::Cpu
    };
    // A Mac shares its memory; three quarters of it may be wired for the GPU (guide of the original).
    let read_gib = match device {
        DeviceKind::Cuda => usable_card.map_or(0.0, |card| card.total_gib),
        DeviceKind::Metal => probe.host.total_gib * 0.75,
        DeviceKind::Cpu => 0.0,
    };
    let vram = Vram {
        total_gib: simulated_gib.unwrap_or(read_gib),
        simulated: simulated_gib.is_some(),
    };
    let mut devices = vec![DeviceKind::Cpu];
    if device != DeviceKind::Cpu {
        devices.insert(0, device);
    }
    // bf16 came with compute capability 8.0. A card that does not tell it is taken for a newer one.
    let old =
        usable_card.filter(|card| card.compute_capability.is_some_and(|(major, _)| major < 8));
    let full_precision = old.is_some();
    if let Some(card) = old {
        notes.push(Note::new(
            "full_precision",
            "device",
            format!(
                "Device: {} has no bf16, so networks run in f32, which takes twice the memory; int8 quantisation takes a quarter of that.",
                card.name
            ),
        ));
    }
    let flash_attention = match device {
        DeviceKind::Cpu => yes(
            "On the processor: scores are made block by block and never stored whole. Less memory, same sound.",
        ),
        DeviceKind::Cuda if !FLASH_BUILD => no(
            "This build has no fused attention for cards (`--features flash-attn`); the card uses standard attention in blocks.",
        ),
        DeviceKind::Cuda if full_precision => no(
            "Fused attention needs a card of the Ampere generation or later; this one uses standard attention in blocks.",
        ),
        DeviceKind::Cuda => yes("On the card: scores are never stored. Faster, less memory."),
        DeviceKind::Metal => yes(
            "On the GPU: scores are not stored, but for windows, which are computed in blocks. Faster, less memory.",
        ),
    };
    let offload = yes(match device {
        DeviceKind::Cpu => {
            "On the processor: each stage reads its networks from their files and drops them after use. Less memory, a later start of each stage, the same sound."
        }
        _ => {
            "Weights wait in their mapped files in host memory and visit the card for their stage; what fits stays there."
        }
    });
    let capabilities = Capabilities {
        device,
        device_name: match (device, usable_card) {
            (DeviceKind::Cuda, Some(card)) => card.name.clone(),
            _ => format!("{}, {} threads", probe.host.name, probe.host.threads),
        },
        devices,
        cards: entries(&probe.cards, usable_card),
        vram,
        free_gib: Some(usable_card.map_or(probe.host.available_gib, |card| card.free_gib)),
        tier: GpuTier::from_vram_gib(vram.total_gib),
        memory_gb_per_sec: None,
        full_precision,
        flash_attention,
        offload_to_cpu: offload.clone(),
        offload_dit_to_cpu: offload,
        compile: match device {
            DeviceKind::Cpu => yes(
                "On the processor: layers that are not quantised are put in the order of multiplication while they are read. Faster, and half the memory for those stored in bf16; quantised ones always are.",
            ),
            _ => no(
                "On a card weights are multiplied as they are; what can be prepared once a song is, in any case.",
            ),
        },
        quantization: yes(
            "Smaller weights, made at the first load and kept beside the model. What is heard directly (the autoencoder) and what every layer hangs on stays exact; main models below 1 GiB stay as they are.",
        ),
    };
    (capabilities, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cards::silent::Maker, memory::probe::Host};

    fn machine(card: Option<f64>) -> Probe {
        Probe {
            other_gpus: Vec::new(),
            cards: card
                .into_iter()
                .map(|total_gib| Card {
                    index: 0,
                    name: "NVIDIA Test".into(),
                    total_gib,
                    free_gib: total_gib / 2.0,
                    compute_capability: Some((8, 6)),
                    ordinal: if CUDA_BUILD {
                        Ok(0)
                    } else {
                        Err("this build has no CUDA".into())
                    },
                })
                .collect(),
            host: Host {
                name: "Test CPU".into(),
                threads: 2,
                total_gib: 16.0,
                available_gib: 8.0,
            },
        }
    }

    #[test]
    fn a_simulated_size_decides_the_tier_on_any_machine() {
        for (gib, tier) in [
            (4.0, GpuTier::Tier1),
            (8.0, GpuTier::Tier4),
            (24.0, GpuTier::Unlimited),
        ] {
            let (found, _) = capabilities(&machine(None), None, Some(gib));
            assert_eq!((found.tier, found.vram.simulated), (tier, true));
        }
    }

    #[test]
    fn without_a_card_tier_one_and_every_no_has_its_reason() {
        let (found, notes) = capabilities(&machine(None), None, None);
        if !METAL_BUILD {
            assert_eq!((found.tier, found.vram.total_gib), (GpuTier::Tier1, 0.0));
            assert_eq!(notes, []);
        }
        for availability in [
            found.flash_attention,
            found.offload_to_cpu,
            found.offload_dit_to_cpu,
            found.compile,
            found.quantization,
        ] {
            assert!(!availability.detail.is_empty());
        }
    }

    #[test]
    fn a_gpu_that_nobody_answers_for_is_named() {
        let probe = Probe {
            other_gpus: vec![Maker::Nvidia, Maker::Amd],
            ..machine(None)
        };
        let (_, notes) = capabilities(&probe, None, None);
        let told: Vec<&str> = notes.iter().map(|note| note.message.as_str()).collect();
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("nvidia-smi") && told[1].contains("AMD"),
            "{told:?}"
        );
    }

    #[test]
    fn a_card_before_ampere_runs_in_f32_and_says_what_it_cannot_do() {
        let mut probe = machine(Some(11.0));
        probe.cards[0].compute_capability = Some((7, 5));
        probe.cards[0].ordinal = Ok(0);
        let (found, notes) = capabilities(&probe, None, None);
        assert!(found.full_precision && !found.flash_attention.available);
        assert!(
            notes.iter().any(|note| note.code == "full_precision"),
            "{notes:?}"
        );
        probe.cards[0].compute_capability = Some((8, 0));
        let (found, notes) = capabilities(&probe, None, None);
        assert!(!found.full_precision);
        assert!(
            notes.iter().all(|note| note.code != "full_precision"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_card_this_build_cannot_use_is_named() {
        let (found, notes) = capabilities(&machine(Some(24.0)), None, None);
        if CUDA_BUILD {
            assert_eq!(
                (found.tier, found.device),
                (GpuTier::Unlimited, DeviceKind::Cuda)
            );
        } else {
            assert_eq!(found.device_name, "Test CPU, 2 threads");
            assert_eq!(notes[0].code, "card_not_used");
            assert!(!found.cards[0].used && found.cards[0].problem.is_some());
        }
    }
}
