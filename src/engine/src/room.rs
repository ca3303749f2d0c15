//! Room in main memory, asked for before it is used.
//!
//! Rust ends the program when a vector cannot have its memory, and tensors are vectors. So what is
//! about to be made is asked for as one block first, in a way that can be refused: a network's
//! values before it runs, a tensor before it is read. What is refused becomes an error of its
//! stage, and the program lives. A card says no by itself.

use std::{cell::Cell, hint::black_box};

use candle_core::{Device, Result, bail};

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
    static RESERVING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is asking right now: an allocation that may be refused and is given back
/// unused. Allocators of tests refuse it and do not count it; one may ask from within an allocation.
pub fn asking() -> bool {
    ASKING.get()
}

/// Whether an allocation of this thread may be refused right now, used or not.
pub(crate) fn may_be_refused() -> bool {
    ASKING.get() || RESERVING.get()
}

/// An empty vector with room for `len` values.
///
/// # Errors
/// They cannot be had.
pub(crate) fn with_room<T>(len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    RESERVING.set(true);
    let had = values.try_reserve_exact(len).is_ok();
    RESERVING.set(false);
    if !had {
        refuse(len.saturating_mul(size_of::<T>()) as u64)?;
    }
    Ok(values)
}

/// The error of memory that cannot be had, as it is recognised.
fn refuse(bytes: u64) -> Result<()> {
    bail!("memory allocation of {bytes} bytes failed")
}

/// Asks for `bytes` of main memory; nothing to ask for where tensors live on a card.
///
/// # Errors
/// They cannot be had.
pub(crate) fn ask(bytes: u64, device: &Device) -> Result<()> {
    if !device.is_cpu() {
        return Ok(());
    }
    let had = usize::try_from(bytes).is_ok_and(|bytes| {
        let mut block = Vec::<u8>::new();
        ASKING.set(true);
        let had = block.try_reserve_exact(bytes).is_ok();
        // Or the compiler leaves out what nobody uses.
        black_box(block.as_ptr());
        drop(block);
        ASKING.set(false);
        had
    });
    if had { Ok(()) } else { refuse(bytes) }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use crate::error::{Error, Stage};

    #[test]
    fn what_cannot_be_had_is_out_of_memory() {
        super::ask(1 << 20, &Device::Cpu).unwrap();
        for bytes in [u64::MAX, 1 << 62] {
            let refused = super::ask(bytes, &Device::Cpu).unwrap_err();
            let error = Error::in_stage(Stage::Decode)(refused);
            assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        }
        assert!(!super::asking());
    }

    #[test]
    fn room_that_cannot_be_had_is_out_of_memory() {
        assert!(super::with_room::<f32>(1 << 10).unwrap().capacity() >= 1 << 10);
        let refused = super::with_room::<f32>(1 << 60).unwrap_err();
        let error = Error::in_stage(Stage::Load)(refused);
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        assert!(!super::may_be_refused());
    }
}
