//! GPUs that Linux lists and no driver of NVIDIA answers for: who bought one should not have to guess why it
//! is not used.

use std::{fs, path::Path};

use acestep_domain::note::Note;

/// Where Linux lists graphics devices.
const LIST: &str = "/sys/class/drm";

/// A maker of GPUs. Those of Intel are left out: nearly all of them are parts of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// Whose driver does not answer.
    Nvidia,
    /// Whose GPUs this program does not compute on.
    Amd,
}

impl Maker {
    /// By the number that the PCI-SIG gave him.
    fn from_pci(vendor: &str) -> Option<Self> {
        match vendor.trim() {
            "0x10de" => Some(Self::Nvidia),
            "0x1002" => Some(Self::Amd),
            _ => None,
        }
    }

    /// What there is to say where a processor computes instead.
    pub(crate) fn note(self) -> Note {
        let text = match self {
            Self::Nvidia => {
                "Device: an NVIDIA card is there, but its driver does not answer, so the processor is used. Install NVIDIA's driver; `nvidia-smi` should list the card then."
            }
            Self::Amd => {
                "Device: a GPU of AMD is there; this program computes on NVIDIA's cards and on Apple's, so the processor is used."
            }
        };
        Note::new("gpu_not_used", "device", text)
    }
}

/// Makers of the GPUs of this machine, each once.
pub(crate) fn makers() -> Vec<Maker> {
    makers_in(Path::new(LIST))
}

fn makers_in(list: &Path) -> Vec<Maker> {
    let entries = fs::read_dir(list).into_iter().flatten().flatten();
    let vendors =
        entries.filter_map(|entry| fs::read_to_string(entry.path().join("device/vendor")).ok());
    let mut makers: Vec<Maker> = vendors
        .filter_map(|vendor| Maker::from_pci(&vendor))
        .collect();
    makers.sort_unstable();
    makers.dedup();
    makers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_told_by_their_makers_once() {
        let list = tempfile::tempdir().unwrap();
        assert_eq!(makers_in(list.path()), []);
        assert_eq!(makers_in(&list.path().join("nowhere")), []);
        for (name, vendor) in [
            ("card0", "0x8086\n"),
            ("card1", "0x10de\n"),
            ("card1-DP-1", ""),
            ("card2", "0x1002\n"),
            ("renderD129", "0x10de\n"),
        ] {
            let device = list.path().join(name).join("device");
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("vendor"), vendor).unwrap();
        }
        assert_eq!(makers_in(list.path()), [Maker::Nvidia, Maker::Amd]);
    }
}
