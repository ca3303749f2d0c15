//! Ranges of memory that nobody uses, kept for the next who asks.
//!
//! Pure book-keeping on addresses, in whole pages and without an allocation of its own: what must be
//! unmapped is handed to a function.

/// Ranges that are remembered; more than a run ever leaves apart from each other.
const MOST_RANGES: usize = 128;

/// Addresses `start..start + len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: usize,
    len: usize,
}

/// What is kept, and how much is in use.
#[derive(Debug)]
pub(super) struct Kept {
    ranges: [Range; MOST_RANGES],
    count: usize,
    /// Bytes in the ranges.
    spare: usize,
    /// Bytes in use.
    used: usize,
    /// The most that was in use at once since [`Self::clear`].
    most: usize,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self {
            ranges: [Range { start: 0, len: 0 }; MOST_RANGES],
            count: 0,
            spare: 0,
            used: 0,
            most: 0,
        }
    }

    /// `len` bytes from the smallest range that holds them, in use from now on; `None` where they must
    /// be mapped. Then as much of the rest goes to `unmap` as keeps the program at what it held
    /// before, or at what it needs now.
    pub(super) fn take(&mut self, len: usize, unmap: impl FnMut(usize, usize)) -> Option<usize> {
        self.used += len;
        self.most = self.most.max(self.used);
        let fits = self.ranges[..self.count]
            .iter()
            .enumerate()
            .filter(|(_, range)| range.len >= len)
            .min_by_key(|(_, range)| range.len)
            .map(|(i, _)| i);
        let Some(i) = fits else {
            self.shrink(self.most - self.used, unmap);
            return None;
        };
        let start = self.ranges[i].start;
        self.spare -= len;
        self.ranges[i] = Range {
            start: start + len,
            len: self.ranges[i].len - len,
        };
        if self.ranges[i].len == 0 {
            self.remove(i);
        }
        Some(start)
    }

    /// The bytes are not in use after all: mapping them failed.
    pub(super) fn refused(&mut self, len: usize) {
        self.used -= len;
        // So much was never held.
        self.most = self.most.min(self.used + self.spare);
    }

    /// Keeps a range that was in use, joined with those beside it.
    pub(super) fn put(&mut self, start: usize, len: usize, mut unmap: impl FnMut(usize, usize)) {
        self.used -= len;
        let mut range = Range { start, len };
        let mut i = 0;
        while i < self.count {
            let other = self.ranges[i];
            if other.start + other.len == range.start || range.start + range.len == other.start {
                range = Range {
                    start: other.start.min(range.start),
                    len: other.len + range.len,
                };
                self.remove(i);
            } else {
                i += 1;
            }
        }
        if self.count == MOST_RANGES {
            unmap(start, len);
            return;
        }
        self.ranges[self.count] = range;
        self.count += 1;
        self.spare += len;
    }

    /// Unmaps everything, and forgets what was held before.
    pub(super) fn clear(&mut self, unmap: impl FnMut(usize, usize)) {
        self.shrink(0, unmap);
        self.most = self.used;
    }

    /// Unmaps from the ends of ranges until no more than `limit` bytes are kept.
    fn shrink(&mut self, limit: usize, mut unmap: impl FnMut(usize, usize)) {
        while self.spare > limit && self.count > 0 {
            let range = &mut self.ranges[self.count - 1];
            let cut = range.len.min(self.spare - limit);
            range.len -= cut;
            self.spare -= cut;
            unmap(range.start + range.len, cut);
            if range.len == 0 {
                self.count -= 1;
            }
        }
    }

    fn remove(&mut self, i: usize) {
        self.count -= 1;
        self.ranges[i] = self.ranges[self.count];
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, MOST_RANGES};
    use std::collections::BTreeSet;

    /// Memory of whole numbers: what is mapped, and where the next mapping begins.
    #[derive(Default)]
    struct Memory {
        mapped: BTreeSet<usize>,
        next: usize,
        mappings: usize,
    }

    impl Memory {
        fn alloc(&mut self, kept: &mut Kept, len: usize) -> usize {
            let mapped = &mut self.mapped;
            let found = kept.take(len, |start, len| {
                for address in start..start + len {
                    assert!(mapped.remove(&address), "{address} was mapped");
                }
            });
            let start = found.unwrap_or_else(|| {
                let start = self.next;
                self.next += len + 1;
                self.mappings += 1;
                self.mapped.extend(start..start + len);
                start
            });
            for address in start..start + len {
                assert!(self.mapped.contains(&address), "{address} is mapped");
            }
            start
        }

        fn dealloc(&mut self, kept: &mut Kept, start: usize, len: usize) {
            let mapped = &mut self.mapped;
            kept.put(start, len, |start, len| {
                for address in start..start + len {
                    assert!(mapped.remove(&address), "{address} was mapped");
                }
            });
        }
    }

    #[test]
    fn a_second_step_maps_nothing_and_the_most_never_grows_by_what_is_kept() {
        let (mut kept, mut memory) = (Kept::new(), Memory::default());
        let mut most = 0;
        for step in 0..5 {
            // Buffers of a layer: two large ones live beside a small one.
            let a = memory.alloc(&mut kept, 40);
            let b = memory.alloc(&mut kept, 40);
            let c = memory.alloc(&mut kept, 10);
            memory.dealloc(&mut kept, a, 40);
            let d = memory.alloc(&mut kept, 25);
            memory.dealloc(&mut kept, b, 40);
            memory.dealloc(&mut kept, c, 10);
            memory.dealloc(&mut kept, d, 25);
            most = most.max(memory.mapped.len());
            assert!(
                memory.mapped.len() <= 90,
                "step {step}: {}",
                memory.mapped.len()
            );
            if step == 0 {
                assert_eq!(memory.mappings, 3);
            }
        }
        assert_eq!(memory.mappings, 3, "later steps use the first one's");
        assert_eq!(most, 90);
    }

    #[test]
    fn what_does_not_fit_is_unmapped_before_more_is_held_than_ever() {
        let (mut kept, mut memory) = (Kept::new(), Memory::default());
        let a = memory.alloc(&mut kept, 30);
        let b = memory.alloc(&mut kept, 30);
        memory.dealloc(&mut kept, a, 30);
        memory.dealloc(&mut kept, b, 30);
        assert_eq!(memory.mapped.len(), 60);
        let c = memory.alloc(&mut kept, 50);
        assert_eq!(memory.mapped.len(), 60, "ten of the sixty stay");
        memory.dealloc(&mut kept, c, 50);
        let d = memory.alloc(&mut kept, 70);
        assert_eq!(
            memory.mapped.len(),
            70,
            "the need itself may exceed what was"
        );
        memory.dealloc(&mut kept, d, 70);
    }

    #[test]
    fn what_was_refused_was_never_held() {
        let (mut kept, mut memory) = (Kept::new(), Memory::default());
        let a = memory.alloc(&mut kept, 30);
        memory.dealloc(&mut kept, a, 30);
        let mut gone = 0;
        assert_eq!(kept.take(10_000, |_, len| gone += len), None);
        kept.refused(10_000);
        memory.mapped = (0..30 - gone).collect();
        let b = memory.alloc(&mut kept, 20);
        let c = memory.alloc(&mut kept, 20);
        memory.dealloc(&mut kept, b, 20);
        memory.dealloc(&mut kept, c, 20);
        memory.alloc(&mut kept, 25);
        assert!(memory.mapped.len() <= 45, "{}", memory.mapped.len());
    }

    #[test]
    fn clearing_leaves_what_is_in_use() {
        let (mut kept, mut memory) = (Kept::new(), Memory::default());
        let a = memory.alloc(&mut kept, 30);
        let b = memory.alloc(&mut kept, 20);
        memory.dealloc(&mut kept, a, 30);
        kept.clear(|start, len| {
            for address in start..start + len {
                assert!(memory.mapped.remove(&address));
            }
        });
        assert_eq!(memory.mapped.len(), 20);
        let c = memory.alloc(&mut kept, 5);
        memory.dealloc(&mut kept, b, 20);
        memory.dealloc(&mut kept, c, 5);
        assert_eq!(memory.mapped.len(), 25);
    }

    #[test]
    fn more_ranges_than_are_remembered_go_back() {
        let (mut kept, mut memory) = (Kept::new(), Memory::default());
        let all: Vec<_> = (0..MOST_RANGES + 9)
            .map(|_| memory.alloc(&mut kept, 3))
            .collect();
        for start in all {
            memory.dealloc(&mut kept, start, 3);
        }
        assert_eq!(memory.mapped.len(), 3 * MOST_RANGES);
    }
}
