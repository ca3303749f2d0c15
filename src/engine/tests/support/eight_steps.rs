//! One short song of the bundled model: its latents, and what was loaded for it.

use acestep_domain::GenerationParams;
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::{Engine, EngineInfo, LoadOptions, Request},
    observer::Silent,
};
use candle_core::Tensor;

/// What is asked for it.
pub(crate) fn request() -> Request {
    Request {
        params: GenerationParams {
            caption: "a lofi track with piano and drums".to_owned(),
            lyrics: "[Verse]\none line\nand another".to_owned(),
            duration_secs: Some(6.0),
            inference_steps: 8,
            ..GenerationParams::default()
        },
        seeds: vec![7],
        keep_latents: true,
        raw_level: true,
        ..Request::default()
    }
}

/// Latents after eight steps with the networks of `checkpoint` loaded by `options`.
pub(crate) fn run(checkpoint: &Checkpoint, options: &LoadOptions) -> (Tensor, EngineInfo) {
    let mut engine = Engine::load(checkpoint, options, &Silent).unwrap();
    let mut latents = None;
    engine
        .generate(&request(), &Silent, &mut |take| {
            latents = take.latents;
            Ok(())
        })
        .unwrap();
    (latents.unwrap(), engine.info().clone())
}

/// The values of `tensor`, bit by bit.
pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}
