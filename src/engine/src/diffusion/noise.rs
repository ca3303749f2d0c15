//! Seeded noise, made on the host so that a seed means one song on every device.
//!
//! The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"),
//! used the way torch fills a CUDA tensor while it fits one launch: key = seed, counter = the
//! element's index, Box-Muller on the first two words. A value depends on nothing but seed,
//! purpose and place, so neither batch nor threads nor length move it.

use std::f32::consts::TAU;

/// What the noise is for. Each purpose is a stream of its own under the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The state at the first timestep: torch's own stream.
    Start,
    /// The fresh noise of one SDE step.
    Step(usize),
    /// What the language model writes as text; the number counts attempts.
    Text(usize),
    /// The codes the language model writes.
    Codes,
    /// Where the slices of a reference recording begin; the number counts references.
    Slices(usize),
}

impl Purpose {
    /// The upper half of the key; torch leaves it 0 for seeds of 32 bits.
    fn key(self) -> u32 {
        match self {
            Self::Start => 0,
            Self::Step(index) => 0x0100_0000 + index as u32,
            Self::Text(attempt) => 0x0200_0000 + attempt as u32,
            Self::Codes => 0x0300_0000,
            Self::Slices(reference) => 0x0400_0000 + reference as u32,
        }
    }
}

/// `count` standard normal values.
pub fn normal(seed: u32, purpose: Purpose, count: usize) -> Vec<f32> {
    let key = [seed, purpose.key()];
    (0..count as u64)
        .map(|place| {
            // Offset 0 in the lower half, the subsequence in the upper one.
            let words = philox([0, 0, place as u32, (place >> 32) as u32], key);
            box_muller(words[0], words[1])
        })
        .collect()
}

/// The value at `place` of a stream of uniform numbers, 0 included and 1 not.
pub fn uniform(seed: u32, purpose: Purpose, place: u64) -> f64 {
    let words = philox(
        [0, 0, place as u32, (place >> 32) as u32],
        [seed, purpose.key()],
    );
    let bits = (u64::from(words[0]) << 32 | u64::from(words[1])) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// The sine half of Box-Muller. The uniforms are rounded to f32 as on the card; logarithm and sine
/// are taken in f64, so the result hardly depends on the platform's mathematical library.
fn box_muller(first: u32, second: u32) -> f32 {
    const STEP: f32 = 1.0 / 4_294_967_296.0;
    let u = (first as f32).mul_add(STEP, STEP / 2.0);
    let v = (second as f32).mul_add(STEP * TAU, STEP * TAU / 2.0);
    ((-2.0 * f64::from(u).ln()).max(0.0).sqrt() * f64::from(v).sin()) as f32
}

/// Ten rounds of Philox on four words.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            // Weyl sequence: golden ratio and sqrt(3) - 1.
            key = [
                key[0].wrapping_add(0x9E37_79B9),
                key[1].wrapping_add(0xBB67_AE85),
            ];
        }
        let low = u64::from(counter[0]) * 0xD251_1F53;
        let high = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_vectors() {
        // Random123, kat_vectors, philox4x32 10.
        for (counter, key, expected) in [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn values_are_standard_normal() {
        let values = normal(42, Purpose::Start, 200_000);
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let power = |n: i32| values.iter().map(|&v| f64::from(v).powi(n)).sum::<f64>() / count;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((power(2) - 1.0).abs() < 0.02, "{}", power(2));
        assert!((power(4) - 3.0).abs() < 0.1, "{}", power(4));
        let beyond = values.iter().filter(|v| v.abs() > 1.96).count() as f64 / count;
        assert!((beyond - 0.05).abs() < 0.003, "{beyond}");
        // Neighbours have nothing to do with each other.
        let lag: f64 = values
            .windows(2)
            .map(|pair| f64::from(pair[0] * pair[1]))
            .sum();
        assert!((lag / count).abs() < 0.01);
    }

    #[test]
    fn a_longer_song_begins_with_the_same_noise() {
        let short = normal(7, Purpose::Start, 100);
        assert_eq!(normal(7, Purpose::Start, 1000)[..100], short);
    }

    #[test]
    fn seeds_and_purposes_are_streams_of_their_own() {
        let streams = [
            normal(7, Purpose::Start, 64),
            normal(8, Purpose::Start, 64),
            normal(7, Purpose::Step(0), 64),
            normal(7, Purpose::Step(1), 64),
        ];
        for (i, a) in streams.iter().enumerate() {
            for b in &streams[i + 1..] {
                let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
                assert_eq!(same, 0);
            }
        }
    }

    #[test]
    fn the_edges_of_the_generator_stay_finite() {
        for (first, second) in [(0, 0), (u32::MAX, u32::MAX), (0, u32::MAX), (u32::MAX, 0)] {
            assert!(box_muller(first, second).is_finite());
        }
    }
}
