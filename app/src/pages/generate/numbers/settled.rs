//! How a typed number is written once its field is left: as it is used.

use acestep_domain::{
    generation::{clamp::minutes, read::places},
    metadata::{Bpm, is_auto},
    number::decimal,
};

use crate::state::fields::seconds;

/// Auto in every spelling, in a field where 0 is none.
fn is_open(text: &str) -> bool {
    is_auto(text) || decimal(text.trim()).is_some_and(|n| n == 0.0 || n == -1.0)
}

/// A length once it is typed: `240` is `4:00`, and what means auto is auto.
pub(super) fn settled_length(text: &str) -> Option<String> {
    if is_open(text) {
        return Some(String::new());
    }
    seconds(text).map(minutes)
}

/// A tempo once it is typed: a whole number, as it is used.
pub(super) fn settled_tempo(text: &str) -> Option<String> {
    if is_open(text) {
        return Some(String::new());
    }
    Bpm::parse(text).ok().map(|bpm| bpm.to_string())
}

/// Seeds once they are typed: a place that was left open before a fixed one gets a seed of its own, so
/// that each stays with its take.
pub(super) fn settled_seeds(text: &str) -> Option<String> {
    settled_seeds_with(text, fresh_seed)
}

fn settled_seeds_with(text: &str, mut fresh: impl FnMut() -> u32) -> Option<String> {
    let is_random = |place: &str| is_auto(place) || place == "-1";
    let all: Vec<&str> = places(text).collect();
    let Some(last) = all.iter().rposition(|place| !is_random(place)) else {
        return Some(String::new());
    };
    let gaps = all[..last].iter().any(|place| is_random(place));
    gaps.then(|| {
        let settled: Vec<String> = all[..=last]
            .iter()
            .map(|place| {
                if is_random(place) {
                    fresh().to_string()
                } else {
                    (*place).to_owned()
                }
            })
            .collect();
        settled.join(", ")
    })
}

/// A seed that nobody chose; the server has no field that is left.
fn fresh_seed() -> u32 {
    #[cfg(feature = "hydrate")]
    return (js_sys::Math::random() * f64::from(u32::MAX)) as u32;
    #[cfg(not(feature = "hydrate"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_numbers_are_written_as_they_are_used() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(settled_length("240"), some("4:00"));
        assert_eq!(settled_length("1:75"), None);
        assert_eq!(settled_tempo("120.5"), some("121"));
        assert_eq!(settled_tempo("fast"), None);
        for open in ["-1", "0", "N/A", " "] {
            assert_eq!(
                (settled_length(open), settled_tempo(open)),
                (some(""), some(""))
            );
        }
    }

    #[test]
    fn a_gap_between_seeds_gets_a_seed_and_moves_none() {
        let settled = |text| settled_seeds_with(text, || 9);
        assert_eq!(settled("1,,2").as_deref(), Some("1, 9, 2"));
        assert_eq!(settled("-1, 2").as_deref(), Some("9, 2"));
        assert_eq!(settled("1, 2,"), None);
        assert_eq!(settled("-1").as_deref(), Some(""));
        assert_eq!(settled("7"), None);
    }
}
