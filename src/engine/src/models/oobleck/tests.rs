use super::{Config, Kernels, Oobleck, decoder_footprint, encoder_footprint};
use crate::nn::weights::{WeightFile, Weights};
use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};

fn config(ratios: &[usize], multiples: &[usize]) -> Config {
    Config {
        encoder_hidden_size: 128,
        downsampling_ratios: ratios.to_vec(),
        channel_multiples: multiples.to_vec(),
        decoder_channels: 128,
        decoder_input_channels: 64,
        audio_channels: 2,
        sampling_rate: 48_000,
    }
}

fn released() -> Config {
    config(&[2, 4, 4, 6, 10], &[1, 2, 4, 8, 16])
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/vae_{name}.safetensors"))
}

/// A small autoencoder of random weights, and its config.
pub(crate) fn small(name: &str) -> Oobleck {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let config = &metadata.metadata().as_ref().unwrap()["config"];
    let config: Config = serde_json::from_str(config).unwrap();
    let file = WeightFile::from_vec(bytes).unwrap();
    Oobleck::load(
        &config,
        &Weights::new(vec![file], DType::F32, &Device::Cpu).unwrap(),
    )
    .unwrap()
}

fn noise(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len)
        .map(|i| ((i * 7919 + seed * 104_729 + 17) % 2003) as f32 / 500.0 - 2.0)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn receptive_fields_come_from_the_config() {
    assert_eq!(released().decoder_receptive_field(), 9);
    assert_eq!(released().encoder_receptive_field(), 7);
    assert_eq!(released().hop(), 1920);
    let wide = config(&[480, 2], &[192, 192]);
    assert_eq!(wide.decoder_receptive_field(), 24);
}

#[test]
fn lengths_follow_the_strides() {
    let released = released();
    assert_eq!(released.samples_from_frames(750), 750 * 1920);
    assert_eq!(released.samples_from_frames(0), 0);
    assert_eq!(released.frames_from_samples(5 * 1920 + 1919), 5);
    assert_eq!(released.frames_from_samples(1919), 0);
    let odd = small("odd_strides");
    assert_eq!(odd.config().samples_from_frames(37), 1106);
    assert_eq!(
        odd.decode(&noise(&[1, 4, 11], 1)).unwrap().dim(2).unwrap(),
        odd.config().samples_from_frames(11)
    );
    for samples in [57, 58, 59, 60, 61, 89, 90, 91, 200] {
        let frames = odd
            .encode_mean(&noise(&[1, 2, samples], 1))
            .unwrap()
            .dim(2)
            .unwrap();
        assert_eq!(
            frames,
            odd.config().frames_from_samples(samples),
            "{samples} samples"
        );
    }
}

/// Latent frames whose sound differs, when frame `at` of `frames` is changed.
fn frames_touched(vae: &Oobleck, frames: usize, at: usize) -> Vec<usize> {
    let c = vae.config().decoder_input_channels;
    let latents = noise(&[1, c, frames], 3);
    let bump = noise(&[1, c, 1], 4).affine(30.0, 0.0).unwrap();
    let bump = bump.pad_with_zeros(2, at, frames - at - 1).unwrap();
    let before = vae.decode(&latents).unwrap();
    let after = vae.decode(&(latents + bump).unwrap()).unwrap();
    differing(&before, &after)
        .into_iter()
        .map(|sample| sample / vae.hop())
        .collect()
}

/// Positions on the last axis where two `[1, c, n]` tensors differ in any channel.
fn differing(a: &Tensor, b: &Tensor) -> Vec<usize> {
    let (a, b) = (a.squeeze(0).unwrap(), b.squeeze(0).unwrap());
    let (a, b): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (a.to_vec2().unwrap(), b.to_vec2().unwrap());
    (0..a[0].len())
        .filter(|&i| {
            a.iter()
                .zip(&b)
                .any(|(a, b)| a[i].to_bits() != b[i].to_bits())
        })
        .collect()
}

#[test]
fn a_latent_frame_reaches_exactly_the_receptive_field() {
    for name in ["two_blocks", "odd_strides"] {
        let vae = small(name);
        let field = vae.decoder_receptive_field();
        let (frames, at) = (2 * field + 9, field + 4);
        let touched = frames_touched(&vae, frames, at);
        let reach = touched
            .iter()
            .map(|&frame| frame.abs_diff(at))
            .max()
            .unwrap();
        assert_eq!(reach, field, "{name}");
    }
}

#[test]
fn a_sound_reaches_no_further_than_the_receptive_field() {
    for name in ["two_blocks", "odd_strides", "released_ratios"] {
        let vae = small(name);
        let (field, hop, channels) = (
            vae.encoder_receptive_field(),
            vae.hop(),
            vae.config().audio_channels,
        );
        let (frames, at) = (2 * field + 9, field + 4);
        let audio = noise(&[1, channels, frames * hop], 3);
        let bump = noise(&[1, channels, hop], 4).affine(30.0, 0.0).unwrap();
        let bump = bump
            .pad_with_zeros(2, at * hop, (frames - at - 1) * hop)
            .unwrap();
        let before = vae.encode_mean(&audio).unwrap();
        let after = vae.encode_mean(&(audio + bump).unwrap()).unwrap();
        let reach = differing(&before, &after)
            .iter()
            .map(|&frame| frame.abs_diff(at))
            .max()
            .unwrap();
        assert!(
            reach <= field && reach + 1 >= field,
            "{name}: {reach} of {field}"
        );
    }
}

#[test]
fn a_song_does_not_depend_on_its_batch() {
    let vae = small("two_blocks");
    let latents = noise(&[3, 8, 40], 1);
    let all = vae.decode(&latents).unwrap().narrow(0, 2, 1).unwrap();
    let one = vae.decode(&latents.narrow(0, 2, 1).unwrap()).unwrap();
    assert!(differing(&all, &one).is_empty());
}

#[test]
fn the_decoder_alone_refuses_to_encode() {
    let bytes = std::fs::read(fixture("two_blocks")).unwrap();
    let both = small("two_blocks");
    let w = Weights::new(
        vec![WeightFile::from_vec(bytes).unwrap()],
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let decoder = Oobleck::load_decoder(both.config(), &w).unwrap();
    assert!(w.unused().iter().any(|name| name.starts_with("encoder.")));
    let latents = noise(&[1, 8, 9], 1);
    assert!(
        differing(
            &decoder.decode(&latents).unwrap(),
            &both.decode(&latents).unwrap()
        )
        .is_empty()
    );
    assert!(
        decoder
            .encode_mean(&noise(&[1, 1, 120], 1))
            .unwrap_err()
            .to_string()
            .contains("not loaded")
    );
}

#[test]
fn unusable_configs_name_the_key() {
    let mut wrong = released();
    wrong.channel_multiples.pop();
    assert!(
        wrong
            .validate()
            .unwrap_err()
            .to_string()
            .contains("channel_multiples (4 values)")
    );
    let mut wrong = released();
    wrong.downsampling_ratios[2] = 0;
    assert!(
        wrong
            .validate()
            .unwrap_err()
            .to_string()
            .contains("downsampling_ratios")
    );
    let missing = serde_json::from_str::<Config>(r#"{"encoder_hidden_size": 1}"#).unwrap_err();
    assert!(missing.to_string().contains("downsampling_ratios"));
}

#[test]
fn footprints_count_what_the_checkpoint_holds() {
    let released = released();
    // Weights after weight norm is fused: the released counts less one gain a row.
    let decoder = decoder_footprint(&released, 512, DType::BF16, Kernels::Candle);
    let encoder = encoder_footprint(&released, 512, DType::BF16, Kernels::Candle);
    assert!(
        (84_000_000..84_414_082).contains(&(decoder.weights / 2)),
        "{}",
        decoder.weights
    );
    assert!(
        (84_000_000..84_281_344).contains(&(encoder.weights / 2)),
        "{}",
        encoder.weights
    );
    // Input, output and residual of the widest stage, 1920 · 128 values a frame each.
    let of =
        |frames, dtype, kernels| decoder_footprint(&released, frames, dtype, kernels).activations;
    let fused = of(512, DType::F32, Kernels::Processor);
    assert_eq!(fused, 3 * 512 * 1920 * 128 * 4);
    assert!(of(512, DType::F32, Kernels::Candle) > 2 * fused);
    assert_eq!(of(1024, DType::F32, Kernels::Processor), 2 * fused);
    // On a card the snake's result and the product as well, but not seven taps of everything.
    assert_eq!(of(512, DType::F32, Kernels::Card), fused / 3 * 4);
    assert!(of(64, DType::BF16, Kernels::Card) < fused / 8);
}
