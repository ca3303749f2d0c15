//! An allocator that asks for large pages for large buffers, and uses them again.
//!
//! Weights and activations are megabytes that are read from one end to the other. In pages of
//! 4 KiB a processor looks up an address every 64 lines and the system makes a page at every
//! first touch; on Linux, pages of 2 MiB make reading weights half as fast again and new
//! activations nearly free. Most systems give such pages only to who asks (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`); where they give none, nothing changes.
//!
//! Making a page costs more than many an operation that fills it, and every step of a song needs the
//! buffers of the step before it. So what is given back is [`kept`] for the next who asks, as far as
//! the program then holds no more than it has held before; [`give_back`](HugePages::give_back)
//! returns it to the system where another kind of work begins.

use std::alloc::{GlobalAlloc, Layout, System};

use super::last_words;
use crate::room::may_be_refused;

/// The system's allocator, and large pages for what is large. For a program's
/// `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HugePages;

impl HugePages {
    /// Returns to the system what is kept of buffers that nobody uses any more.
    pub fn give_back() {
        large::give_back();
    }

    /// How often the system was asked for a large buffer since the program began; 0 where nothing is kept.
    pub fn mapped() -> usize {
        large::mapped()
    }
}

/// What `alloc` gives; where it is refused, once more without what is kept. A refusal that may not be is
/// the end of a program that has last words.
fn had(alloc: impl Fn() -> *mut u8) -> *mut u8 {
    let mut ptr = alloc();
    if ptr.is_null() {
        large::give_back();
        ptr = alloc();
    }
    if ptr.is_null() && !may_be_refused() {
        last_words::end();
    }
    ptr
}

#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: by size and alignment alone, so always the same way for one buffer, calls go either to
// the system's allocator as they came or to `large`, which maps and unmaps whole pages.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if large::takes(layout) {
            return had(|| large::alloc(layout));
        }
        // SAFETY: the caller's promises are passed on.
        had(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large::takes(layout) {
            return had(|| large::alloc_zeroed(layout));
        }
        // SAFETY: the caller's promises are passed on.
        had(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size is a layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if !large::takes(layout) && !large::takes(new) {
            // SAFETY: the caller's promises are passed on; what is refused leaves the buffer as it was.
            return had(|| unsafe { System.realloc(ptr, layout, new_size) });
        }
        // SAFETY: the layout is one, as promised.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both hold that many bytes and are apart; the old one is not used again.
            unsafe {
                moved.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
        }
        moved
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if large::takes(layout) {
            // SAFETY: `alloc` mapped it.
            unsafe { large::dealloc(ptr, layout) };
        } else {
            // SAFETY: the caller's promises are passed on.
            unsafe { System.dealloc(ptr, layout) }
        }
    }
}

#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
mod large;

/// Elsewhere nothing is large.
#[cfg(not(target_os = "linux"))]
mod large {
    use std::{alloc::Layout, ptr::null_mut};

    pub(super) fn takes(_: Layout) -> bool {
        false
    }

    pub(super) fn alloc(_: Layout) -> *mut u8 {
        null_mut()
    }

    pub(super) fn alloc_zeroed(_: Layout) -> *mut u8 {
        null_mut()
    }

    pub(super) fn give_back() {}

    pub(super) fn mapped() -> usize {
        0
    }

    #[expect(unsafe_code, reason = "the same on every system")]
    pub(super) unsafe fn dealloc(_: *mut u8, _: Layout) {}
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::HugePages;

    #[test]
    #[expect(unsafe_code, reason = "asks the allocator itself")]
    fn what_is_written_is_kept_while_a_buffer_grows_and_shrinks_over_the_limit() {
        const MIB: usize = 1 << 20;
        let layout = |size| Layout::from_size_align(size, 64).unwrap();
        let mut size = MIB;
        // SAFETY: each buffer is used by its size and given back by its layout.
        unsafe {
            let mut ptr = HugePages.alloc(layout(size));
            assert!(!ptr.is_null());
            ptr.write_bytes(7, size);
            for next in [3 * MIB + 5, 9 * MIB + 1, 4 * MIB, 30 * MIB, 2 * MIB] {
                ptr = HugePages.realloc(ptr, layout(size), next);
                assert_eq!(ptr.align_offset(64), 0);
                let kept = std::slice::from_raw_parts(ptr, size.min(next));
                assert!(kept.iter().all(|byte| *byte == 7), "{size} to {next}");
                ptr.write_bytes(7, next);
                size = next;
            }
            HugePages.dealloc(ptr, layout(size));
            let zeros = HugePages.alloc_zeroed(layout(11 * MIB));
            let all = std::slice::from_raw_parts(zeros, 11 * MIB);
            assert!(all.iter().all(|byte| *byte == 0));
            HugePages.dealloc(zeros, layout(11 * MIB));
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "asks the allocator itself")]
    fn more_than_there_is_is_refused() {
        let layout = Layout::from_size_align(isize::MAX as usize - 4096, 1).unwrap();
        // SAFETY: nothing is used.
        assert!(unsafe { HugePages.alloc(layout) }.is_null());
    }
}
