//! Which keys a query may look at, said as an intention.
//!
//! A network says what it means; the attention turns that into a kernel argument, a band of
//! blocks or a dense tensor. There is no padding mask: sequences of different lengths are run
//! one after another at their true lengths, which gives the same numbers as a mask and makes a
//! song independent of the batch it is in (the reference discards the padding mask in
//! cross-attention, so its batches influence each other).

/// Which keys a query may look at.
///
/// With `lq` queries and `lk` keys, query `i` stands at key position `i + lk - lq`, so that the
/// same words hold when earlier keys come from a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// Every key.
    #[default]
    None,
    /// Keys up to and including the query's own position.
    Causal,
    /// Keys at most this far from the query's position, on both sides, both ends included:
    /// `Window(128)` is 257 keys wide.
    Window(usize),
}

impl Mask {
    /// The keys that the query at key position `position` may see, out of `lk`.
    pub fn keys(self, position: usize, lk: usize) -> std::ops::Range<usize> {
        match self {
            Self::None => 0..lk,
            Self::Causal => 0..(position + 1).min(lk),
            Self::Window(n) => {
                position.saturating_sub(n)..position.saturating_add(n).saturating_add(1).min(lk)
            }
        }
    }

    /// `None` when the mask hides nothing at these lengths, so that short sequences take the
    /// unmasked path.
    #[must_use]
    pub fn simplified(self, lq: usize, lk: usize) -> Self {
        match self {
            Self::Causal if lq == 1 => Self::None,
            Self::Window(n) if lk <= n.saturating_add(1) => Self::None,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn window_is_inclusive_on_both_sides_and_clipped() {
        let mask = Mask::Window(2);
        assert_eq!(mask.keys(0, 10), 0..3);
        assert_eq!(mask.keys(5, 10), 3..8);
        assert_eq!(mask.keys(9, 10), 7..10);
    }

    #[test]
    fn a_mask_that_hides_nothing_is_none() {
        assert_eq!(Mask::Window(128).simplified(129, 129), Mask::None);
        assert_eq!(Mask::Window(128).simplified(130, 130), Mask::Window(128));
        assert_eq!(Mask::Causal.simplified(1, 40), Mask::None);
        assert_eq!(Mask::Causal.simplified(2, 40), Mask::Causal);
    }
}
