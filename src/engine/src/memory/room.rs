//! Room for a stage: what it is about to use, against what can be had now.
//!
//! The plan was held against free memory before the run; by the time of a stage others may have
//! taken some. A system that promises more than it has would end the program when the promise is
//! used, so what is much is compared with what is there as well.

use candle_core::Device;

use super::{give_back, probe};
use crate::{
    error::{Error, Result, Stage},
    footprint::Footprint,
    room::ask,
};

/// Buffers of the kernels beside inputs and outputs: decoded blocks, packed panels, one a thread.
pub(crate) const SCRATCH_BYTES: u64 = 24 << 20;

/// Less than this is not worth a look at the system.
const MUCH: u64 = 64 << 20;

/// Makes sure that a network can work in `stage` on `device`: of its footprint everything but the
/// weights, which are there.
///
/// # Errors
/// [`Error::OutOfMemory`] with what is needed, and what can be had where that is known.
pub(crate) fn for_network(stage: Stage, footprint: Footprint, device: &Device) -> Result<()> {
    let working = footprint.activations + footprint.cache;
    for_bytes(stage, working + SCRATCH_BYTES, device)
}

/// Makes sure that `bytes` of main memory can be had in `stage`.
///
/// # Errors
/// See [`for_network`].
pub(crate) fn for_bytes(stage: Stage, bytes: u64, device: &Device) -> Result<()> {
    if !device.is_cpu() {
        return Ok(());
    }
    let out_of_memory = |free| Error::OutOfMemory {
        stage,
        needed: Some(bytes),
        free,
    };
    if bytes >= MUCH
        && let Some(free) = shortage(bytes, probe::available_bytes, give_back)
    {
        return Err(out_of_memory(Some(free)));
    }
    ask(bytes, device).map_err(|_refused| out_of_memory(None))
}

/// What is free where `bytes` are not. Buffers of the step before, which are kept for the next one, count as
/// taken with the system until they are given back, so that is done before anything is called short.
fn shortage(bytes: u64, free: impl Fn() -> Option<u64>, give_back: impl FnOnce()) -> Option<u64> {
    let short = || free().filter(|free| bytes > *free);
    short()?;
    give_back();
    short()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use candle_core::Device;

    use super::*;

    #[test]
    fn what_is_kept_for_the_next_step_is_given_back_before_memory_is_short() {
        let free = Cell::new(300);
        let asked =
            |bytes, kept| shortage(bytes, || Some(free.get()), || free.set(free.get() + kept));
        assert_eq!(
            (asked(300, 500), free.get()),
            (None, 300),
            "nothing is given back in plenty"
        );
        assert_eq!((asked(700, 500), free.get()), (None, 800));
        assert_eq!(asked(900, 50), Some(850), "what is free then is told");
        assert_eq!(
            shortage(900, || None, || panic!("the system says nothing")),
            None
        );
    }

    #[test]
    fn more_than_the_machine_has_is_refused_with_both_figures() {
        let asked = 1 << 50;
        let error = for_bytes(Stage::Decode, asked, &Device::Cpu).unwrap_err();
        let Error::OutOfMemory {
            stage,
            needed,
            free,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((stage, needed), (Stage::Decode, Some(asked)));
        assert!(free.is_none_or(|free| free < asked));
        for_bytes(Stage::Decode, 1 << 20, &Device::Cpu).unwrap();
    }
}
