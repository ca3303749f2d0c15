//! Memory a network needs, told from its config before a weight is read.

use std::ops::Add;

/// Bytes of one network for given input sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Weights, resident as long as the network is.
    pub weights: u64,
    /// Peak of the values in flight during one forward.
    pub activations: u64,
    /// What is kept between forwards of one run: prepared keys and values, tables.
    pub cache: u64,
}

impl Footprint {
    /// Everything at once.
    pub const fn total(&self) -> u64 {
        self.weights + self.activations + self.cache
    }
}

impl Add for Footprint {
    type Output = Self;

    /// Two networks that are resident together and run one after the other: weights and caches
    /// add up, activations do not.
    fn add(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            activations: self.activations.max(other.activations),
            cache: self.cache + other.cache,
        }
    }
}
