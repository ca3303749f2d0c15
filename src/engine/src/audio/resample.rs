//! From one sample rate to another, band limited (rubato).

use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::SequentialSliceOfVecs};

use super::Audio;
use crate::error::{Error, Result};

/// `audio` at `sample_rate_hz`. The length in seconds stays the same, to a sample.
///
/// # Errors
/// A rate of 0, or no memory for the filter.
pub fn resample(audio: &Audio, sample_rate_hz: u32) -> Result<Audio> {
    if audio.sample_rate_hz == sample_rate_hz {
        return Ok(audio.clone());
    }
    let failed = |reason: String| Error::Audio {
        what: format!(
            "resampling {} Hz to {sample_rate_hz} Hz",
            audio.sample_rate_hz
        ),
        reason,
    };
    let (channels, frames) = (audio.channels.len(), audio.frames());
    // An even number of the smallest blocks makes the filter's delay a whole number of samples.
    let block = audio.sample_rate_hz / common_divisor(audio.sample_rate_hz, sample_rate_hz).max(1);
    let chunk = 2 * block * 512u32.div_ceil(block.max(1));
    let mut resampler = Fft::<f32>::new(
        audio.sample_rate_hz as usize,
        sample_rate_hz as usize,
        chunk as usize,
        channels,
        FixedSync::Both,
    )
    .map_err(|error| failed(error.to_string()))?;
    let input = SequentialSliceOfVecs::new(&audio.channels, channels, frames)
        .map_err(|error| failed(error.to_string()))?;
    let room = resampler.process_all_needed_output_len(frames);
    let mut output = vec![vec![0.0f32; room]; channels];
    let mut adapter = SequentialSliceOfVecs::new_mut(&mut output, channels, room)
        .map_err(|error| failed(error.to_string()))?;
    resampler
        .process_all_into_buffer(&input, &mut adapter, frames, None)
        .map_err(|error| failed(error.to_string()))?;
    let ratio = f64::from(sample_rate_hz) / f64::from(audio.sample_rate_hz);
    let wanted = (frames as f64 * ratio).round() as usize;
    for channel in &mut output {
        channel.truncate(wanted);
    }
    Ok(Audio {
        channels: output,
        sample_rate_hz,
    })
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::tones;

    #[test]
    fn a_tone_stays_where_it_was() {
        for (from, to) in [
            (44_100, 48_000),
            (48_000, 24_000),
            (24_000, 48_000),
            (8_000, 44_100),
        ] {
            let before = tones(from, from as usize);
            let after = resample(&before, to).unwrap();
            assert_eq!((after.frames(), after.sample_rate_hz), (to as usize, to));
            let expected = tones(to, to as usize);
            // The filter knows nothing before the first and after the last sample.
            let edge = to as usize / 10;
            for (channel, expected) in after.channels.iter().zip(&expected.channels) {
                let worst = channel[edge..to as usize - edge]
                    .iter()
                    .zip(&expected[edge..])
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0f32, f32::max);
                assert!(worst < 2e-3, "{from} to {to}: {worst}");
            }
        }
    }

    #[test]
    fn short_clips_keep_their_length() {
        for frames in [1, 7, 500] {
            let after = resample(&tones(24_000, frames), 48_000).unwrap();
            assert_eq!(after.frames(), 2 * frames);
        }
    }
}
