//! How a device is named, on the command line and at the API alike.

use std::str::FromStr;

use super::DeviceChoice;

/// A device, and of cards which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceName {
    /// What kind of device.
    pub choice: DeviceChoice,
    /// Index or part of the name of a card.
    pub card: Option<String>,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const ALLOWED: &str = "allowed: auto, cuda, cuda:INDEX, cuda:NAME, mps, cpu";
        let (kind, card) = match text.split_once(':') {
            Some((kind, card)) => (kind, Some(card.trim())),
            None => (text, None),
        };
        let choice = match kind.trim().to_ascii_lowercase().as_str() {
            "auto" => DeviceChoice::Auto,
            "cuda" => DeviceChoice::Cuda,
            "mps" | "metal" => DeviceChoice::Mps,
            "cpu" => DeviceChoice::Cpu,
            "xpu" => return Err(format!("Intel XPU is not supported; {ALLOWED}")),
            _ => return Err(ALLOWED.to_owned()),
        };
        match card {
            Some(card) if card.is_empty() || choice != DeviceChoice::Cuda => {
                Err(ALLOWED.to_owned())
            }
            card => Ok(Self {
                choice,
                card: card.map(str::to_owned),
            }),
        }
    }
}

/// What tells whether a card of this index and name is the one that `wanted` means: by its index, or by part of its name
/// in any case. A long number that no card has as its index is of a name: RTX 4090.
pub fn means_card(
    wanted: &str,
    mut indices: impl Iterator<Item = u32>,
) -> impl Fn(u32, &str) -> bool {
    let index = wanted
        .parse::<u32>()
        .ok()
        .filter(|index| wanted.len() < 3 || indices.any(|own| own == *index));
    let lower = wanted.to_lowercase();
    move |own, name| match index {
        Some(index) => own == index,
        None => name.to_lowercase().contains(&lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_name_one_card_of_several() {
        let device = |text: &str| text.parse::<DeviceName>();
        let card = |card: &str| {
            Ok(DeviceName {
                choice: DeviceChoice::Cuda,
                card: Some(card.to_owned()),
            })
        };
        assert_eq!(device("cuda:1"), card("1"));
        assert_eq!(device("CUDA: RTX 3060 "), card("RTX 3060"));
        let plain = |choice| Ok(DeviceName { choice, card: None });
        assert_eq!(device(" cuda "), plain(DeviceChoice::Cuda));
        assert_eq!(device("metal"), plain(DeviceChoice::Mps));
        assert_eq!(device("CPU"), plain(DeviceChoice::Cpu));
        assert_eq!(device("auto"), plain(DeviceChoice::Auto));
        for text in ["cuda:", "cpu:1", "auto:0", "gpu", "xpu"] {
            let allowed = device(text).unwrap_err();
            assert!(allowed.contains("cuda:INDEX"), "{text}: {allowed}");
        }
    }
}
