//! What is measured leaves nothing behind.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a figure that cannot be read fails")]

use acestep_engine::memory::{HugePages, probe};

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn held_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4096
}

#[test]
fn the_memory_whose_speed_is_measured_is_given_back() {
    let before = held_bytes();
    assert!(probe::memory_gb_per_sec().unwrap() > 0.1);
    let after = held_bytes();
    assert!(after < before + (48 << 20), "{before} {after}");
}
