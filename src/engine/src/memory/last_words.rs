//! What a program says when it is refused memory that it cannot do without.
//!
//! Rust aborts there and tells a number of bytes. What is much is asked for before it is used
//! (`crate::room`), and a refusal becomes an error of its stage; what is left are the small blocks of every
//! library, of which none can be asked for. A command that nobody goes on after says a sentence and ends; a
//! server, which may live on what others are not refused, does not use this.

use std::sync::OnceLock;

/// Made before they are needed: then there is no memory to make them.
#[derive(Debug)]
pub struct LastWords {
    /// For stdout; may be empty.
    pub out: String,
    /// For stderr.
    pub err: String,
    /// Exit code.
    pub code: u8,
}

static WORDS: OnceLock<LastWords> = OnceLock::new();

/// From now on the program ends with `words` where [`HugePages`](super::HugePages) has no more memory.
/// The first call counts. Acts on Linux.
pub fn end_with(words: LastWords) {
    WORDS.get_or_init(|| words);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_of_threads(panic.payload_as_str()) {
            end();
        }
        usual(panic);
    }));
}

/// Libraries that start threads of their own (candle's pool of barriers) do not ask what becomes of it.
fn is_of_threads(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.contains("failed to spawn"))
}

/// Says the words and ends the program; returns where there are none. Allocates nothing.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "calls the system")]
pub(super) fn end() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static ENDING: AtomicBool = AtomicBool::new(false);
    let Some(words) = WORDS.get() else { return };
    if ENDING.swap(true, Ordering::Relaxed) {
        // Another thread is saying them.
        loop {
            // SAFETY: it waits.
            unsafe { libc::pause() };
        }
    }
    for (place, text) in [(1, &words.out), (2, &words.err)] {
        // SAFETY: the bytes are the text's. What cannot be said is not said.
        unsafe { libc::write(place, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: what other threads do is of no use without memory.
    unsafe { libc::_exit(i32::from(words.code)) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end() {}

#[cfg(test)]
mod tests {
    use super::is_of_threads;

    #[test]
    fn a_thread_that_a_library_cannot_start_is_no_defect() {
        assert!(is_of_threads(Some(
            "failed to spawn candle barrier pool worker: Os { code: 11 }"
        )));
        assert!(!is_of_threads(Some("index out of bounds")));
        assert!(!is_of_threads(None));
    }
}
