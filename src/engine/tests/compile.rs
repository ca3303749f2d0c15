//! Compile: packed layers against those of candle's matrix product, by the latents after eight steps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;

use acestep_domain::GenerationParams;
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, LoadOptions, Request},
    observer::Silent,
};
use candle_core::Tensor;
use closeness::assert_close;

fn latents(compile: bool) -> (Tensor, u64) {
    let options = LoadOptions {
        compile,
        ..LoadOptions::default()
    };
    let mut engine = Engine::load(&Checkpoint::demo().unwrap(), &options, &Silent).unwrap();
    assert_eq!(engine.info().notes, []);
    let request = Request {
        params: GenerationParams {
            caption: "a lofi track with piano and drums".to_owned(),
            lyrics: "[Verse]\none line\nand another".to_owned(),
            duration_secs: Some(6.0),
            inference_steps: 8,
            ..GenerationParams::default()
        },
        seeds: vec![7],
        keep_latents: true,
        ..Request::default()
    };
    let mut latents = None;
    engine
        .generate(&request, &Silent, &mut |take| {
            latents = take.latents;
            Ok(())
        })
        .unwrap();
    (latents.unwrap(), engine.info().resident_bytes)
}

#[test]
fn packed_layers_make_the_same_song_in_as_much_memory() {
    let (plain, bytes) = latents(false);
    let (packed, packed_bytes) = latents(true);
    // Sums in another order: close, and not the same.
    assert_close("compile", &packed, &plain, 1e-3);
    let bits = |x: &Tensor| -> Vec<u32> {
        let values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    assert_ne!(bits(&packed), bits(&plain), "compile does nothing");
    assert!(
        packed_bytes <= bytes + bytes / 50,
        "{packed_bytes} for {bytes}"
    );
    let (again, _) = latents(true);
    assert_eq!(bits(&again), bits(&packed));
}
