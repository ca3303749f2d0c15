//! An allocator that refuses: the n-th allocation that may be refused, or whatever large block would
//! go beyond a limit.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use acestep_engine::room::asking;

/// The system's allocator, which can say no.
pub(crate) struct Refusing;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// Which of those that were asked is refused; 0 = none.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Smaller blocks are never refused for a limit: a machine that has none of those is past help.
const LARGE: usize = 64 << 10;

fn refuses(bytes: usize) -> bool {
    if asking() && ASKED.fetch_add(1, SeqCst) + 1 == REFUSED.load(SeqCst) {
        return true;
    }
    bytes >= LARGE && IN_USE.load(SeqCst).saturating_add(bytes) > LIMIT.load(SeqCst)
}

fn taken(bytes: usize) {
    let in_use = IN_USE.fetch_add(bytes, SeqCst) + bytes;
    PEAK.fetch_max(in_use, SeqCst);
}

#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: every call that is not refused goes to the system's allocator as it came, and null is an
// answer that an allocator may give.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if refuses(new_size) {
            return std::ptr::null_mut();
        }
        taken(new_size);
        IN_USE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Bytes in use.
pub(crate) fn in_use() -> usize {
    IN_USE.load(SeqCst)
}

/// From now on the `n`-th allocation that may be refused is.
pub(crate) fn refuse(n: usize) {
    ASKED.store(0, SeqCst);
    REFUSED.store(n, SeqCst);
}

/// Whether it came to that; from now on none is.
pub(crate) fn refused() -> bool {
    ASKED.load(SeqCst) >= REFUSED.swap(0, SeqCst)
}

/// What `run` gives while the `n`-th allocation that may be refused is, and whether it came to that.
pub(crate) fn without<T>(n: usize, run: impl FnOnce() -> T) -> (T, bool) {
    refuse(n);
    let outcome = run();
    (outcome, refused())
}

/// What `run` gives while no more than `bytes` can be had in all, and the most that it took.
pub(crate) fn within<T>(bytes: usize, run: impl FnOnce() -> T) -> (T, usize) {
    PEAK.store(in_use(), SeqCst);
    LIMIT.store(bytes, SeqCst);
    let outcome = run();
    LIMIT.store(usize::MAX, SeqCst);
    (outcome, PEAK.load(SeqCst))
}
