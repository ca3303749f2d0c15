//! What a repaint keeps: latents are blended at the borders of the region, and the wave outside of it
//! is that of the source, decoded alike (engine.md 6.7).

use std::ops::Range;

use crate::{audio::Audio, tasks::Kept};

/// How much of the new stands at `distance` (1 = next to the region) outside a region with a ramp of
/// `length` places; the ends of the ramp are left out.
fn share(distance: usize, length: usize) -> f32 {
    if distance > length {
        0.0
    } else {
        1.0 - distance as f32 / (length + 1) as f32
    }
}

/// How far outside `region` a place lies; 0 = inside.
fn distance(place: usize, region: &Range<usize>) -> usize {
    if place < region.start {
        region.start - place
    } else {
        (place + 1).saturating_sub(region.end)
    }
}

/// Brings the frames outside the region of finished `latents` `[t, c]` back to the `source`.
pub(super) fn blend(latents: &mut [f32], source: &[f32], kept: &Kept, channels: usize) {
    for (place, (new, old)) in latents.iter_mut().zip(source).enumerate() {
        let distance = distance(place / channels, &kept.region);
        if distance > 0 {
            let share = share(distance, kept.hold.blend_frames);
            *new = share * *new + (1.0 - share) * old;
        }
    }
}

/// Puts the wave of `source` outside the region of `audio`; both have the same length.
pub(super) fn splice(audio: &mut Audio, source: &[Vec<f32>], kept: &Kept, hop: usize) {
    let region = kept.region.start * hop..kept.region.end * hop;
    let fade = (kept.hold.crossfade_secs * f64::from(audio.sample_rate_hz)).round() as usize;
    for (new, old) in audio.channels.iter_mut().zip(source) {
        for (place, (new, old)) in new.iter_mut().zip(old).enumerate() {
            let distance = distance(place, &region);
            if distance > 0 {
                let share = share(distance, fade);
                *new = share * *new + (1.0 - share) * old;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::region::Hold;
    use candle_core::{DType, Device, Tensor};

    use super::*;

    fn kept(region: Range<usize>, blend_frames: usize, crossfade_secs: f64) -> Kept {
        Kept {
            source: Tensor::zeros((1, 1, 1), DType::F32, &Device::Cpu).unwrap(),
            region,
            hold: Hold {
                injected_share: 0.0,
                blend_frames,
                crossfade_secs,
            },
        }
    }

    #[test]
    fn the_ramp_lies_outside_and_leaves_its_ends_out() {
        let mut latents = vec![1.0; 16];
        blend(&mut latents, &[0.0; 16], &kept(3..5, 2, 0.0), 2);
        let frames: Vec<f32> = latents.chunks(2).map(|frame| frame[1]).collect();
        let third = 1.0 / 3.0;
        let expected = [0.0, third, 2.0 * third, 1.0, 1.0, 2.0 * third, third, 0.0];
        for (found, expected) in frames.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{frames:?}");
        }
    }

    #[test]
    fn the_wave_outside_is_the_sources_to_the_bit() {
        let mut audio = Audio {
            channels: vec![vec![1.0; 40]],
            sample_rate_hz: 100,
        };
        let source = vec![(0..40).map(|i| i as f32 / 7.0).collect::<Vec<f32>>()];
        splice(&mut audio, &source, &kept(2..3, 9, 0.03), 10);
        let wave = &audio.channels[0];
        assert_eq!(wave[..17], source[0][..17]);
        assert_eq!(wave[33..], source[0][33..]);
        assert!(wave[20..30].iter().all(|&x| x == 1.0));
        assert!((wave[19] - (0.75 + 0.25 * 19.0 / 7.0)).abs() < 1e-6);
    }
}
