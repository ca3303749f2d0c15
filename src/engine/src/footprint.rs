//! Memory a network needs, told from its config before a weight is read.

use std::ops::Add;

use candle_core::DType;

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
    /// A network of `parameters` parameters in `dtype`.
    pub fn new(parameters: u64, dtype: DType) -> Self {
        Self {
            weights: parameters * dtype.size_in_bytes() as u64,
            ..Self::default()
        }
    }

    /// With `bytes` of values in flight.
    #[must_use]
    pub const fn with_activations(self, bytes: u64) -> Self {
        Self {
            activations: bytes,
            ..self
        }
    }

    /// With `values` kept between forwards, in `dtype`.
    #[must_use]
    pub fn with_cache(self, values: u64, dtype: DType) -> Self {
        Self {
            cache: values * dtype.size_in_bytes() as u64,
            ..self
        }
    }

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
