//! Compile: packed layers against those of candle's matrix product, by the latents after eight steps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/eight_steps.rs"]
mod eight_steps;

use acestep_engine::{checkpoint::Checkpoint, engine::LoadOptions};
use candle_core::Tensor;
use closeness::assert_close;
use eight_steps::bits;

fn latents(compile: bool) -> (Tensor, u64) {
    let options = LoadOptions {
        compile,
        ..LoadOptions::default()
    };
    let (latents, info) = eight_steps::run(&Checkpoint::demo().unwrap(), &options);
    assert_eq!(info.notes, []);
    (latents, info.resident_bytes)
}

#[test]
fn packed_layers_make_the_same_song_in_as_much_memory() {
    let (plain, bytes) = latents(false);
    let (packed, packed_bytes) = latents(true);
    // Sums in another order: close, and not the same.
    assert_close("compile", &packed, &plain, 1e-3);
    assert_ne!(bits(&packed), bits(&plain), "compile does nothing");
    assert!(
        packed_bytes <= bytes + bytes / 50,
        "{packed_bytes} for {bytes}"
    );
    let (again, _) = latents(true);
    assert_eq!(bits(&again), bits(&packed));
}
