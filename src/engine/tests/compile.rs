//! Compile: packed layers against those of candle's matrix product, by the latents after eight steps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/counting.rs"]
mod counting;
#[path = "support/eight_steps.rs"]
mod eight_steps;

use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, LoadOptions},
    observer::Silent,
};
use candle_core::Tensor;
use closeness::assert_close;
use eight_steps::bits;

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

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
fn packed_layers_make_the_same_song_in_less_memory() {
    let (plain, bytes) = latents(false);
    let (packed, packed_bytes) = latents(true);
    // Sums in another order: close, and not the same.
    assert_close("compile", &packed, &plain, 1e-3);
    assert_ne!(bits(&packed), bits(&plain), "compile does nothing");
    // Layers that are stored in bf16 stay so; what is no layer is as large as ever.
    assert!(packed_bytes < bytes * 9 / 10, "{packed_bytes} for {bytes}");
    let (again, _) = latents(true);
    assert_eq!(bits(&again), bits(&packed));
}

/// Bytes that are asked for while a song is made, again and again. Time is for `acestep bench song`; what it goes
/// to is counted here: weights that a product packs anew each time, and layers that run one by one.
fn taken(compile: bool) -> usize {
    let options = LoadOptions {
        compile,
        ..LoadOptions::default()
    };
    let mut engine = Engine::load(&Checkpoint::demo().unwrap(), &options, &Silent).unwrap();
    let request = eight_steps::request();
    let mut make = || engine.generate(&request, &Silent, &mut |_| Ok(())).unwrap();
    // What threads keep is made with the first song.
    make();
    let before = counting::in_all();
    make();
    counting::in_all() - before
}

#[test]
fn packed_layers_take_less_on_their_way() {
    let (plain, packed) = (taken(false), taken(true));
    assert!(packed < plain * 9 / 10, "{packed} of {plain} bytes");
}
