//! An allocator that counts the bytes in use and their peak.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use acestep_engine::room::asking;

/// The system's allocator, counted.
pub(crate) struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static IN_ALL: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let in_use = IN_USE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(in_use, Relaxed);
    IN_ALL.fetch_add(bytes, Relaxed);
}

#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: every call goes to the system's allocator as it came; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Nothing is written to what is only asked for, so it takes no memory.
        if !asking() {
            taken(layout.size());
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        taken(new_size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if !asking() {
            IN_USE.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Bytes in use.
#[allow(dead_code, reason = "no test program needs all of it")]
pub(crate) fn in_use() -> usize {
    IN_USE.load(Relaxed)
}

/// Bytes that were ever asked for, given back or not.
#[allow(dead_code, reason = "no test program needs all of it")]
pub(crate) fn in_all() -> usize {
    IN_ALL.load(Relaxed)
}

/// The most bytes in use since the last call, which begins anew.
#[allow(dead_code, reason = "no test program needs all of it")]
pub(crate) fn take_peak() -> usize {
    PEAK.swap(in_use(), Relaxed)
}
