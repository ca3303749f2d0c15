//! Mappings of large pages, as buffers.

use std::{
    alloc::Layout,
    ptr::null_mut,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::kept::Kept;

/// Size of a large page, on x86-64 and on arm64 with pages of 4 KiB.
const PAGE: usize = 2 << 20;

/// From here on making a buffer's pages costs more than finding one that is kept.
const LARGE: usize = 1 << 20;

static KEPT: Mutex<Kept> = Mutex::new(Kept::new());

static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// How often a buffer was mapped.
pub(super) fn mapped() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn takes(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

/// A buffer at the beginning of a page, of any content; null where there is no memory.
pub(super) fn alloc(layout: Layout) -> *mut u8 {
    find(layout).0
}

/// The same of zeros.
#[expect(unsafe_code, reason = "writes a buffer")]
pub(super) fn alloc_zeroed(layout: Layout) -> *mut u8 {
    let (start, new) = find(layout);
    // New pages are zeros.
    if !new && !start.is_null() {
        // SAFETY: the buffer has that many bytes, and nobody else knows of it yet.
        unsafe { start.write_bytes(0, layout.size()) };
    }
    start
}

/// Returns what is kept to the system.
pub(super) fn give_back() {
    kept().clear(unmap);
}

/// Keeps a buffer for the next who asks.
///
/// # Safety
/// [`alloc`] gave `ptr` for this layout, and nothing uses it any more.
#[expect(unsafe_code, reason = "the caller promises")]
pub(super) unsafe fn dealloc(ptr: *mut u8, layout: Layout) {
    let len = layout.size().next_multiple_of(PAGE);
    kept().put(ptr.addr(), len, unmap);
}

/// A buffer, and whether its pages are new.
fn find(layout: Layout) -> (*mut u8, bool) {
    let Some(len) = layout.size().checked_next_multiple_of(PAGE) else {
        return (null_mut(), true);
    };
    if len > isize::MAX as usize {
        return (null_mut(), true);
    }
    let mut kept = kept();
    if let Some(start) = kept.take(len, unmap) {
        return (std::ptr::with_exposed_provenance_mut(start), false);
    }
    MAPPED.fetch_add(1, Ordering::Relaxed);
    let start = map(layout.size(), len);
    if start.is_null() {
        kept.refused(len);
    } else {
        // The address is all that the book of kept ranges remembers.
        let _ = start.expose_provenance();
    }
    (start, true)
}

/// `len` bytes from the beginning of a page, of which `size` are asked for.
#[expect(unsafe_code, reason = "maps memory")]
fn map(size: usize, len: usize) -> *mut u8 {
    let Some(room) = len.checked_add(PAGE) else {
        return null_mut();
    };
    // SAFETY: a new private mapping touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            null_mut(),
            room,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return null_mut();
    }
    let start = start.cast::<u8>();
    let before = start.align_offset(PAGE);
    // SAFETY: what is given back lies inside the new mapping, before and behind `len` bytes from a
    // multiple of `PAGE` on; advice changes no byte, and its failure nothing at all.
    unsafe {
        let aligned = start.add(before);
        if before > 0 {
            libc::munmap(start.cast(), before);
        }
        libc::munmap(aligned.add(len).cast(), room - before - len);
        // The rest is in small pages: all of a large one would count as memory in use.
        let whole = size / PAGE * PAGE;
        libc::madvise(aligned.cast(), whole, libc::MADV_HUGEPAGE);
        if whole < len {
            libc::madvise(aligned.add(whole).cast(), PAGE, libc::MADV_NOHUGEPAGE);
        }
        aligned
    }
}

#[expect(unsafe_code, reason = "unmaps memory")]
fn unmap(start: usize, len: usize) {
    let start: *mut u8 = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range was mapped by `map` and is kept, so nobody uses it.
    unsafe { libc::munmap(start.cast(), len) };
}
