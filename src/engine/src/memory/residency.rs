//! Which networks stay on the device between stages, and how the others come and go.
//!
//! A stage asks for its network and gets a guard. A network that stays is lent; one that moves is
//! read when the guard is made and dropped with it, so at most the networks of one stage are there
//! beside those that stay. Weights wait in their mapped file, which is host memory that the system
//! may take back: on a card they are staged from it, on a processor they are read from it. The file
//! is opened anew at each visit, so nothing of it counts as used in between. Reading again costs
//! time and changes no value: a song has the same bytes either way.

use std::ops::Deref;

use super::HugePages;
use crate::{cards, error::Result};

/// How a network is read.
type Load<T> = Box<dyn Fn() -> Result<T> + Send>;

/// The place of one network.
pub(crate) enum Slot<T> {
    /// It stays.
    Resident(T),
    /// It is read for each visit.
    Moved(Load<T>),
}

/// A network for the time of a stage.
pub(crate) enum Guard<'a, T> {
    /// It stays when the guard goes.
    Lent(&'a T, Leaving),
    /// It goes with the guard.
    Visiting(T, Leaving),
}

/// The end of a visit: what the stage has used goes back to the system, after the network if that goes.
pub(crate) struct Leaving;

impl<T> Slot<T> {
    /// A network that `stays`, read now, or one that is read for each visit.
    ///
    /// # Errors
    /// Whatever `load` gives back.
    pub(crate) fn new(stays: bool, load: impl Fn() -> Result<T> + Send + 'static) -> Result<Self> {
        Ok(if stays {
            Self::Resident(load()?)
        } else {
            Self::Moved(Box::new(load))
        })
    }

    /// The network, for as long as the guard lives.
    ///
    /// # Errors
    /// It has to be read and cannot be.
    pub(crate) fn visit(&self) -> Result<Guard<'_, T>> {
        Ok(match self {
            Self::Resident(network) => Guard::Lent(network, Leaving),
            Self::Moved(load) => Guard::Visiting(load()?, Leaving),
        })
    }

    /// Puts another in the place of a network that stays; see [`Guard::changed`] for one that moves.
    pub(crate) fn change(&mut self, change: impl FnOnce(&T) -> T) {
        if let Self::Resident(network) = self {
            *network = change(network);
        }
    }
}

impl<T> Guard<'_, T> {
    /// A visitor as `change` makes it; what is lent was changed in its place.
    pub(crate) fn changed(self, change: impl FnOnce(&T) -> T) -> Self {
        match self {
            Self::Lent(network, leaving) => Self::Lent(network, leaving),
            Self::Visiting(network, leaving) => Self::Visiting(change(&network), leaving),
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Lent(network, _) => network,
            Self::Visiting(network, _) => network,
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives everything back that was freed and is still held for whoever asks next: what was needed to load or
/// to measure is no part of what runs.
pub(crate) fn give_back() {
    HugePages::give_back();
    trim();
    cards::trim();
}

/// Gives freed memory back to the system. glibc keeps blocks of up to 32 MiB for itself once such a
/// block was freed; other systems keep little.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a function of the C library")]
fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: it takes no pointer, and may be called by any thread at any time.
    unsafe { malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::Slot;
    use crate::error::Error;

    /// Counts how many there are.
    struct Network(Arc<AtomicUsize>);

    impl Drop for Network {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn slot(stays: bool) -> (Slot<Network>, Arc<AtomicUsize>) {
        let there = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&there);
        let load = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Network(Arc::clone(&counted)))
        };
        (Slot::new(stays, load).unwrap(), there)
    }

    #[test]
    fn what_moves_is_there_only_while_it_is_visited() {
        let (slot, there) = slot(false);
        let count = || there.load(Ordering::Relaxed);
        assert_eq!(count(), 0);
        for _ in 0..2 {
            let guard = slot.visit().unwrap();
            assert_eq!((count(), guard.0.load(Ordering::Relaxed)), (1, 1));
            drop(guard);
            assert_eq!(count(), 0);
        }
    }

    #[test]
    fn what_stays_is_read_once() {
        let (slot, there) = slot(true);
        for _ in 0..2 {
            drop(slot.visit().unwrap());
            assert_eq!(there.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_of_the_stage() {
        let slot: Slot<Network> = Slot::new(false, || Err(Error::Cancelled)).unwrap();
        assert!(slot.visit().is_err());
        assert!(Slot::<Network>::new(true, || Err(Error::Cancelled)).is_err());
    }
}
