//! The level of a finished song: never above full scale, and -1 dBFS where asked (engine.md 7.4).
//! Peaks alone decide, as in every reference.

use super::Audio;
use crate::error::{Error, Result};

/// -1 dBFS.
pub const TARGET_PEAK: f32 = 0.891_251;
/// At or below both, a song is silent.
pub const SILENCE: f32 = 1e-5;

/// Brings `audio` to its level and says the gain. With `normalize` the peak becomes
/// [`TARGET_PEAK`]; without, only what would clip is turned down.
///
/// # Errors
/// [`Error::Silent`] when there is nothing to hear.
pub fn level(audio: &mut Audio, normalize: bool) -> Result<f32> {
    check(audio)?;
    let peak = audio.peak();
    let gain = if normalize {
        TARGET_PEAK / peak
    } else {
        1.0 / peak.max(1.0)
    };
    audio.scale(gain);
    Ok(gain)
}

/// Leaves `audio` as loud as it is and clips what stands above full scale: what a song keeps of its
/// source would else change its level with what is new. Answers how many samples were clipped.
///
/// # Errors
/// [`Error::Silent`] when there is nothing to hear.
pub fn keep(audio: &mut Audio) -> Result<usize> {
    check(audio)?;
    let mut clipped = 0;
    for sample in audio.channels.iter_mut().flatten() {
        if sample.abs() > 1.0 {
            *sample = sample.clamp(-1.0, 1.0);
            clipped += 1;
        }
    }
    Ok(clipped)
}

/// Refuses silence.
///
/// # Errors
/// [`Error::Silent`].
pub fn check(audio: &Audio) -> Result<()> {
    let (rms, peak) = (audio.rms(), audio.peak());
    if rms <= SILENCE && peak <= SILENCE {
        return Err(Error::Silent { rms, peak });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(peak: f32) -> Audio {
        Audio {
            channels: vec![vec![0.0, peak, -peak / 2.0]],
            sample_rate_hz: 48_000,
        }
    }

    #[test]
    fn quiet_and_loud_songs_come_to_one_peak_or_only_stop_clipping() {
        for (peak, normalize, expected) in [
            (0.1, true, TARGET_PEAK),
            (3.0, true, TARGET_PEAK),
            (0.1, false, 0.1),
            (3.0, false, 1.0),
        ] {
            let mut audio = clip(peak);
            let gain = level(&mut audio, normalize).unwrap();
            assert!((audio.peak() - expected).abs() < 1e-6);
            assert!((gain - expected / peak).abs() < 1e-5);
        }
    }

    #[test]
    fn what_is_kept_stays_as_loud_as_it_was() {
        let mut audio = clip(3.0);
        assert_eq!(keep(&mut audio).unwrap(), 2);
        assert_eq!(audio.channels[0], [0.0, 1.0, -1.0]);
        let mut quiet = clip(0.1);
        assert_eq!(keep(&mut quiet).unwrap(), 0);
        assert_eq!(quiet, clip(0.1));
        assert!(keep(&mut clip(0.0)).is_err());
    }

    #[test]
    fn silence_is_an_error_with_its_figures() {
        assert!(matches!(
            level(&mut clip(5e-6), true),
            Err(Error::Silent { .. })
        ));
        assert!(level(&mut clip(1e-3), true).is_ok());
    }
}
