use super::{TileOptions, Tiling, decode_tiled, encode_tiled};
use crate::error::{Error, Stage};
use crate::models::oobleck::tests::small;
use crate::observer::{Observer, Silent};
use candle_core::{Device, Tensor};
use std::sync::Mutex;

fn noise(len: usize, seed: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919 + seed * 104_729 + 17) % 2003) as f32 / 500.0 - 2.0)
        .collect()
}

fn options(tile_frames: usize, overlap_frames: Option<usize>) -> TileOptions {
    TileOptions {
        tile_frames,
        overlap_frames,
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn tiled_decoding_equals_decoding_at_once() {
    for name in ["two_blocks", "odd_strides", "released_ratios"] {
        let vae = small(name);
        let (c, field) = (
            vae.config().decoder_input_channels,
            vae.decoder_receptive_field(),
        );
        let lengths: &[usize] = if name == "released_ratios" {
            &[61]
        } else {
            &[1, 2, 3 * field, 101, 160]
        };
        for &frames in lengths {
            let latents =
                Tensor::from_vec(noise(frames * c, frames), (frames, c), &Device::Cpu).unwrap();
            let whole = vae
                .decode(&latents.t().unwrap().unsqueeze(0).unwrap())
                .unwrap();
            let whole: Vec<Vec<f32>> = whole.squeeze(0).unwrap().to_vec2().unwrap();
            for options in [
                options(3 * field, None),
                options(3 * field + 1, None),
                options(47, Some(field + 3)),
                options(101, None),
                options(100, None),
                options(512, None),
                options(1, Some(0)),
            ] {
                let (tiled, tiling) = decode_tiled(&vae, &latents, 0, options, &Silent).unwrap();
                assert_eq!(tiled.len(), whole.len());
                for (tiled, whole) in tiled.iter().zip(&whole) {
                    let difference = largest_difference(tiled, whole);
                    assert!(
                        difference <= 1e-5,
                        "{name}, {frames} frames, {options:?}, {tiling:?}: {difference}"
                    );
                }
            }
        }
    }
}

#[test]
fn tiled_encoding_equals_encoding_at_once() {
    for name in ["two_blocks", "odd_strides"] {
        let vae = small(name);
        let (hop, field) = (vae.hop(), vae.encoder_receptive_field());
        for samples in [
            hop,
            3 * field * hop,
            100 * hop - 1,
            100 * hop + 1,
            101 * hop + hop / 2,
        ] {
            let channels: Vec<Vec<f32>> = (0..vae.config().audio_channels)
                .map(|i| noise(samples, i))
                .collect();
            let flat: Vec<f32> = channels.concat();
            let audio = Tensor::from_vec(flat, (1, channels.len(), samples), &Device::Cpu).unwrap();
            let whole = vae
                .encode_mean(&audio)
                .unwrap()
                .squeeze(0)
                .unwrap()
                .t()
                .unwrap();
            for options in [
                options(3 * field, None),
                options(47, None),
                options(512, None),
                options(2, Some(1)),
            ] {
                let (tiled, tiling) = encode_tiled(&vae, &channels, 0, options, &Silent).unwrap();
                assert_eq!(
                    tiled.dims(),
                    whole.dims(),
                    "{name}, {samples} samples, {tiling:?}"
                );
                let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let difference = largest_difference(&values(&tiled), &values(&whole));
                assert!(
                    difference <= 1e-5,
                    "{name}, {samples} samples, {options:?}, {tiling:?}: {difference}"
                );
            }
        }
    }
}

/// Remembers progress; cancels after some tiles.
struct Watcher {
    seen: Mutex<Vec<(Stage, usize, usize, usize)>>,
    cancel_after: usize,
}

impl Observer for Watcher {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        self.seen.lock().unwrap().push((stage, item, done, total));
    }

    fn cancelled(&self) -> bool {
        self.seen.lock().unwrap().len() >= self.cancel_after
    }
}

#[test]
fn progress_counts_tiles_and_cancel_is_heard_between_them() {
    let vae = small("two_blocks");
    let field = vae.decoder_receptive_field();
    let frames = 5 * field;
    let latents = Tensor::from_vec(noise(frames * 8, 1), (frames, 8), &Device::Cpu).unwrap();
    let watcher = |cancel_after| Watcher {
        seen: Mutex::default(),
        cancel_after,
    };
    let all = watcher(usize::MAX);
    decode_tiled(&vae, &latents, 3, options(3 * field, None), &all).unwrap();
    let want: Vec<_> = (1..=5).map(|done| (Stage::Decode, 3, done, 5)).collect();
    assert_eq!(*all.seen.lock().unwrap(), want);

    let stopped = watcher(2);
    let result = decode_tiled(&vae, &latents, 3, options(3 * field, None), &stopped);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(stopped.seen.lock().unwrap().len(), 2);
}

#[test]
fn smaller_overlaps_and_tiles_are_raised_and_said() {
    let tiling = Tiling::new(options(512, Some(4)), 24, 1000);
    assert_eq!((tiling.tile_frames, tiling.overlap_frames), (512, 24));
    assert!(tiling.notes()[0].message.contains("from 4 to 24"));
    let tiling = Tiling::new(options(32, None), 24, 1000);
    assert_eq!((tiling.tile_frames, tiling.tiles()), (72, 42));
    assert_eq!(tiling.notes().len(), 1);
    assert!(tiling.notes()[0].message.contains("from 32 to 72"));
    let tiling = Tiling::new(options(512, Some(64)), 9, 1000);
    assert_eq!((tiling.overlap_frames, tiling.tiles()), (64, 3));
    assert!(tiling.notes().is_empty());
    assert!(
        Tiling::new(TileOptions::default(), 9, 512)
            .notes()
            .is_empty()
    );
    assert_eq!(Tiling::new(TileOptions::default(), 9, 512).tiles(), 1);
    assert_eq!(Tiling::new(TileOptions::default(), 9, 0).tiles(), 0);
}

#[test]
fn sound_that_cannot_be_encoded_is_refused() {
    let vae = small("two_blocks");
    let refusal = |channels: &[Vec<f32>]| {
        encode_tiled(&vae, channels, 0, TileOptions::default(), &Silent)
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&[vec![0.0; 100], vec![0.0; 100]]).contains("takes 1 channels"));
    assert!(refusal(&[vec![0.0; 3]]).contains("less than one latent frame"));
    assert!(refusal(&[vec![f32::NAN; 300]]).contains("not finite"));
    let latents = Tensor::full(f32::NAN, (4, 8), &Device::Cpu).unwrap();
    let error = decode_tiled(&vae, &latents, 0, TileOptions::default(), &Silent).unwrap_err();
    assert!(matches!(
        error,
        Error::NotFinite {
            module: "autoencoder's decoder",
            ..
        }
    ));
}
