//! What a sequence may say next: where the grammar and the decoding loop meet.

use crate::error::Result;

/// A set of token ids, a bit for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSet {
    words: Vec<u64>,
    vocabulary: usize,
}

impl TokenSet {
    /// The empty set over ids `0..vocabulary`.
    pub fn new(vocabulary: usize) -> Self {
        Self {
            words: vec![0; vocabulary.div_ceil(64)],
            vocabulary,
        }
    }

    /// Ids it can hold.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Adds `id`; ids outside the vocabulary are none of its business.
    pub fn insert(&mut self, id: u32) {
        if (id as usize) < self.vocabulary {
            self.words[id as usize / 64] |= 1 << (id % 64);
        }
    }

    /// Takes `id` out.
    pub fn remove(&mut self, id: u32) {
        if (id as usize) < self.vocabulary {
            self.words[id as usize / 64] &= !(1 << (id % 64));
        }
    }

    /// Whether `id` is in it.
    pub fn contains(&self, id: u32) -> bool {
        (id as usize) < self.vocabulary && self.words[id as usize / 64] >> (id % 64) & 1 == 1
    }

    /// Ids in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    index as u32 * 64 + bit
                })
            })
        })
    }

    /// How many ids are in it.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Adds all ids of `other`, a set over the same vocabulary.
    pub fn union_with(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Becomes a copy of `other`, a set over the same vocabulary, without a new allocation.
    pub fn copy_from(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
        self.vocabulary = other.vocabulary;
    }
}

impl Extend<u32> for TokenSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, ids: I) {
        for id in ids {
            self.insert(id);
        }
    }
}

/// What a sequence may say next.
#[derive(Debug)]
pub enum Next<'a> {
    /// These tokens follow, whatever the model thinks: nothing is sampled.
    Forced(Vec<u32>),
    /// One of these follows.
    Choice {
        /// Never empty.
        allowed: &'a TokenSet,
        /// The best one is taken, whatever the temperature.
        greedy: bool,
    },
    /// The text is complete.
    Done,
}

/// One sequence's grammar, independent of every other sequence.
pub trait Constraint: Send {
    /// What may follow now.
    fn next(&mut self) -> Next<'_>;

    /// Takes one token, forced or sampled, in order.
    ///
    /// # Errors
    /// It is not allowed here; the state stays as it was.
    fn advance(&mut self, token: u32) -> Result<()>;

    /// Just before a value that was given is written: the grammar of what could be said in its
    /// place. Each value is asked about once.
    fn aside(&mut self) -> Option<Box<dyn Constraint>> {
        None
    }

    /// Which field is being written, for progress and errors: `bpm`, `caption`, `codes`, ….
    fn field(&self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_outside_its_vocabulary() {
        let mut set = TokenSet::new(130);
        set.extend([0, 63, 64, 129, 130, 4_000_000]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(129) && !set.contains(1) && !set.contains(130));
        set.remove(63);
        let mut other = TokenSet::new(130);
        other.insert(5);
        other.union_with(&set);
        assert_eq!(other.iter().collect::<Vec<_>>(), [0, 5, 64, 129]);
        other.clear();
        assert!(other.is_empty());
    }
}
