//! The level of a finished song: never above full scale, and -1 dBFS where asked (engine.md 7.4).
//! Peaks alone decide, as in every reference, unless a loudness is asked for.
//!
//! Whatever is done is one gain over the whole song, kept in its report: nothing is compressed, so
//! [`raw`] gives back what the network made.

use acestep_domain::library::Report;

use super::Audio;
use crate::error::{Error, Result};

/// -1 dBFS.
pub const TARGET_PEAK: f32 = 0.891_251;
/// At or below both, a song is silent.
pub const SILENCE: f32 = 1e-5;

/// What is asked of a song's level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The peak becomes [`TARGET_PEAK`]; otherwise only what would clip is turned down.
    pub normalize: bool,
    /// Integrated loudness in LUFS (EBU R 128), in place of both, as far as the true peak stays at or
    /// below [`TARGET_PEAK`].
    pub target_lufs: Option<f64>,
}

/// What was done to a song's level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levelled {
    /// The gain.
    pub gain: f32,
    /// What became of the loudness that was asked for.
    pub loudness: Loudness,
}

/// What became of a loudness that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loudness {
    /// None was, or it was reached.
    AsAsked,
    /// The true peak stands in the way: so many LUFS were reached.
    Limited(f32),
    /// There is none to measure (see [`Report::loudness_lufs`]); peaks decided.
    Unmeasured,
}

/// Brings `audio` to its level.
///
/// # Errors
/// [`Error::Silent`] when there is nothing to hear.
pub fn level(audio: &mut Audio, asked: Level) -> Result<Levelled> {
    check(audio)?;
    let peak = audio.peak();
    let by_peak = if asked.normalize {
        TARGET_PEAK / peak
    } else {
        1.0 / peak.max(1.0)
    };
    let (gain, loudness) = match asked.target_lufs {
        None => (by_peak, Loudness::AsAsked),
        Some(target) => match audio.loudness(peak) {
            (None, _) => (by_peak, Loudness::Unmeasured),
            (Some(lufs), true_peak) => {
                let wanted = 10f32.powf((target as f32 - lufs) / 20.0);
                let most = TARGET_PEAK / true_peak;
                if wanted <= most {
                    (wanted, Loudness::AsAsked)
                } else {
                    (most, Loudness::Limited(lufs + decibels(most)))
                }
            }
        },
    };
    audio.scale(gain);
    Ok(Levelled { gain, loudness })
}

/// A gain in decibels.
fn decibels(gain: f32) -> f32 {
    20.0 * gain.log10()
}

/// Takes the gain of `report` off `audio`, a song as its file holds it: what the network made, exact
/// to the steps of the file's format (which grow with a gain below 1), and above full scale where that
/// was. What [`keep`] clipped stays clipped. A report without a gain leaves the sound as it is.
pub fn raw(audio: &mut Audio, report: &Report) {
    if report.gain.is_finite() && report.gain > 0.0 {
        audio.scale(1.0 / report.gain);
    }
}

/// The loudness before the gain, where there is one.
pub fn raw_lufs(report: &Report) -> Option<f32> {
    report
        .loudness_lufs
        .filter(|_| report.gain > 0.0)
        .map(|lufs| lufs - decibels(report.gain))
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
            let asked = Level {
                normalize,
                target_lufs: None,
            };
            let gain = level(&mut audio, asked).unwrap().gain;
            assert!((audio.peak() - expected).abs() < 1e-6);
            assert!((gain - expected / peak).abs() < 1e-5);
        }
    }

    /// Two seconds of two tones on two channels.
    fn song(level: f32) -> Audio {
        let mut audio = crate::audio::tests::tones(48_000, 96_000);
        audio.scale(level / 0.8);
        audio
    }

    fn to(target_lufs: f64) -> Level {
        Level {
            normalize: true,
            target_lufs: Some(target_lufs),
        }
    }

    #[test]
    fn a_loudness_is_reached_from_above_and_below() {
        for (from, target) in [(0.9, -23.0), (0.01, -14.0), (1.7, -16.0)] {
            let mut audio = song(from);
            let done = level(&mut audio, to(target)).unwrap();
            let report = Report {
                gain: done.gain,
                ..audio.report()
            };
            let lufs = report.loudness_lufs.unwrap();
            assert!((f64::from(lufs) - target).abs() < 0.05, "{lufs}");
            assert_eq!(done.loudness, Loudness::AsAsked);
            let before = song(from).report().loudness_lufs.unwrap();
            assert!((raw_lufs(&report).unwrap() - before).abs() < 0.05);
        }
    }

    #[test]
    fn the_true_peak_stays_below_its_limit_and_the_shortfall_is_told() {
        // Half-second clicks in quiet: far more peak than loudness.
        let mut audio = song(0.02);
        for channel in &mut audio.channels {
            channel[24_000] = 0.5;
            channel[24_001] = 0.5;
        }
        let done = level(&mut audio, to(-9.0)).unwrap();
        let report = audio.report();
        assert!(
            report.true_peak <= TARGET_PEAK + 1e-4,
            "{}",
            report.true_peak
        );
        assert!(report.true_peak > TARGET_PEAK - 1e-3);
        let Loudness::Limited(reached) = done.loudness else {
            panic!("{done:?}");
        };
        assert!(reached < -9.0);
        assert!((reached - report.loudness_lufs.unwrap()).abs() < 0.05);
    }

    #[test]
    fn where_no_loudness_can_be_measured_the_peak_decides() {
        let mut audio = crate::audio::tests::tones(48_000, 9_600);
        let done = level(&mut audio, to(-14.0)).unwrap();
        assert_eq!(done.loudness, Loudness::Unmeasured);
        assert!((audio.peak() - TARGET_PEAK).abs() < 1e-6);
    }

    #[test]
    fn the_gain_comes_off_again_to_the_steps_of_the_file() {
        use acestep_domain::generation::AudioFormat;

        use crate::audio::{
            decode::{self, Limit},
            encode::encode,
        };
        for (format, step) in [
            (AudioFormat::Wav, 1.0 / 32_768.0),
            (AudioFormat::Flac, 1.0 / 32_768.0),
            (AudioFormat::Wav24, 1.0 / 8_388_608.0),
            // Two roundings of a 24-bit mantissa.
            (AudioFormat::Wav32, 2.4e-7),
        ] {
            // Louder than full scale, so that the raw sound is too.
            let before = song(1.6);
            let mut audio = before.clone();
            let gain = level(&mut audio, to(-20.0)).unwrap().gain;
            let report = Report {
                gain,
                ..audio.report()
            };
            let file = encode(&audio, format).unwrap();
            let mut back = decode::from_bytes(file, Limit::none()).unwrap().audio;
            raw(&mut back, &report);
            let off = before
                .channels
                .iter()
                .flatten()
                .zip(back.channels.iter().flatten())
                .map(|(was, is)| (was - is).abs())
                .fold(0f32, f32::max);
            assert!(off <= step / gain * 1.01, "{format:?}: {off}");
            assert!(back.peak() > 1.5, "{format:?}");
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
            level(&mut clip(5e-6), to(-14.0)),
            Err(Error::Silent { .. })
        ));
        assert!(level(&mut clip(1e-3), to(-14.0)).is_ok());
    }
}
