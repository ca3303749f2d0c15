//! The autoencoder against `AutoencoderOobleck` of diffusers (`src/xtask/reference/vae.py`).

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test"
)]

#[path = "support/placement.rs"]
mod placement;

use std::path::{Path, PathBuf};

use acestep_engine::models::oobleck::{Config, Oobleck};
use acestep_engine::nn::weights::{WeightFile, Weights};
use candle_core::{DType, Tensor};
use placement::place;

/// Of the largest absolute value.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/vae_{name}.safetensors"))
}

fn open(name: &str) -> (Vec<u8>, Weights) {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = WeightFile::from_vec(bytes.clone()).unwrap();
    (
        bytes,
        Weights::new(vec![file], DType::F32, place()).unwrap(),
    )
}

#[track_caller]
fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let values = |t: &Tensor| {
        t.to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let (got, want) = (values(got), values(want));
    let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    let difference = got
        .iter()
        .zip(&want)
        .fold(0f64, |m, (g, w)| m.max((g - w).abs()));
    let dot: f64 = got.iter().zip(&want).map(|(g, w)| g * w).sum();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let cosine = dot / (norm(&got) * norm(&want));
    let report = format!(
        "{what}: {:.2e} of the largest value, cosine {cosine:.9}",
        difference / largest
    );
    assert!(largest > 1e-3, "{what}: a silent reference proves nothing");
    assert!(
        difference <= TOLERANCE * largest && cosine > 0.999_999_9,
        "{report}"
    );
}

/// Compares both directions with the tensors beside the weights of a fixture.
fn compare(name: &str, vae: &Oobleck) {
    let reference = candle_core::safetensors::load(fixture(name), place()).unwrap();
    let decoded = vae.decode(&reference["decode.latents"]).unwrap();
    assert_close(
        &format!("{name} decode"),
        &decoded,
        &reference["decode.audio"],
    );
    let audio = &reference["encode.audio"];
    let moments = vae.encode(audio).unwrap();
    assert_close(
        &format!("{name} mean"),
        &moments.mean,
        &reference["encode.mean"],
    );
    assert_close(
        &format!("{name} std"),
        &moments.std,
        &reference["encode.std"],
    );
    assert_close(
        &format!("{name} mean alone"),
        &vae.encode_mean(audio).unwrap(),
        &reference["encode.mean"],
    );
}

#[test]
fn small_autoencoders_equal_the_reference() {
    for name in ["released_ratios", "two_blocks", "odd_strides"] {
        let (bytes, w) = open(name);
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let config = metadata.metadata().as_ref().unwrap()["config"].clone();
        let config: Config = serde_json::from_str(&config).unwrap();
        let vae = Oobleck::load(&config, &w).unwrap();
        compare(name, &vae);
        let unused: Vec<String> = w.unused();
        assert_eq!(
            unused,
            [
                "decode.audio",
                "decode.latents",
                "encode.audio",
                "encode.mean",
                "encode.std"
            ],
            "every tensor of the network is taken"
        );
    }
}

#[test]
fn operations_of_other_devices_equal_the_reference() {
    let (bytes, w) = open("two_blocks");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let config: Config =
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["config"]).unwrap();
    // In f64 the kernels of the CPU do not run; candle's own operations do.
    let vae = Oobleck::load(&config, &w.with_dtype(DType::F64)).unwrap();
    compare("two_blocks", &vae);
}

#[cfg(feature = "demo-model")]
#[test]
fn the_bundled_autoencoder_equals_the_reference() {
    use acestep_engine::demo;
    let config: Config = serde_json::from_slice(demo::file("vae/config.json").unwrap()).unwrap();
    let weights = demo::file("vae/diffusion_pytorch_model.safetensors").unwrap();
    let file = WeightFile::from_static(weights).unwrap();
    let w = Weights::new(vec![file], DType::F32, place()).unwrap();
    let vae = Oobleck::load(&config, &w).unwrap();
    assert!(w.unused().is_empty());
    assert_eq!((vae.hop(), vae.sample_rate_hz()), (960, 24_000));
    compare("demo", &vae);
}
