//! Keys and values in the order in which [`stream`](super::stream) multiplies them.

use crate::kernels::{tile::Panels, transpose::transpose};

/// How keys and values of a head are cut, the same for all heads. They are packed once, all heads in one
/// buffer, and read by every block of queries.
pub(super) struct Cut {
    /// `[lk, d]`
    pub(super) keys: Panels,
    /// `[d, lk]`
    pub(super) values: Panels,
}

impl Cut {
    pub(super) fn new(lk: usize, d: usize) -> Self {
        Self {
            keys: Panels::new(lk, d),
            values: Panels::new(d, lk),
        }
    }

    /// Values of a packed head.
    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.values.len()
    }

    /// Packs one head.
    pub(super) fn fill(&self, k: &[f32], v: &[f32], d: usize, packed: &mut [f32]) {
        let (keys, values) = packed.split_at_mut(self.keys.len());
        self.keys.fill_panels(keys, |panel, data| {
            let rows = &k[panel.first_row * d..];
            transpose((rows, d), (panel.rows, d), (data, panel.size));
        });
        self.values.fill_panels(values, |panel, data| {
            for (column, v) in data.chunks_exact_mut(panel.size).zip(v.chunks_exact(d)) {
                for (slot, value) in column.iter_mut().zip(&v[panel.first_row..][..panel.rows]) {
                    *slot = *value;
                }
            }
        });
    }

    /// Keys and values of a packed head.
    pub(super) fn head<'a>(&'a self, packed: &'a [f32]) -> PackedHead<'a> {
        let (keys, values) = packed.split_at(self.keys.len());
        PackedHead {
            cut: self,
            keys,
            values,
        }
    }
}

/// A packed head where it lies.
#[derive(Clone, Copy)]
pub(super) struct PackedHead<'a> {
    pub(super) cut: &'a Cut,
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
}
