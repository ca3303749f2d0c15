//! What is heard, in figures: loudness by EBU R 128 (ITU-R BS.1770), the peak between samples,
//! and what usually went wrong when something did.

use acestep_domain::library::Report;
use ebur128::{EbuR128, Mode};

use super::Audio;

/// From this level on a sample counts as full scale: half a step of 11 bits below it.
const FULL_SCALE: f32 = 0.999_75;
/// So many samples in a row at full scale are a cut wave and no mere peak.
const CUT_RUN: usize = 3;
/// Below this (-60 dBFS) nothing is heard beside music.
const QUIET: f32 = 1e-3;

impl Audio {
    /// The figures of the clip as it goes to its file; those of the run that made it stay 0.
    pub fn report(&self) -> Report {
        let peak = self.peak();
        let (loudness_lufs, true_peak) = self.loudness(peak);
        Report {
            peak,
            rms: self.rms(),
            true_peak,
            loudness_lufs,
            dc_offset: self.dc_offset(),
            clipped_samples: self.clipped_samples(),
            longest_silence_secs: self.longest_silence_secs(),
            ..Report::default()
        }
    }

    /// Integrated loudness, and the largest level between samples. There is no loudness where all
    /// is silent or shorter than one gating block of 400 ms; a rate or channel count outside
    /// BS.1770 gives none, and `sample_peak`.
    pub(super) fn loudness(&self, sample_peak: f32) -> (Option<f32>, f32) {
        let measured = || -> Result<(f64, f64), ebur128::Error> {
            let channels = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
            let mut meter = EbuR128::new(channels, self.sample_rate_hz, Mode::I | Mode::TRUE_PEAK)?;
            let planes: Vec<&[f32]> = self.channels.iter().map(Vec::as_slice).collect();
            meter.add_frames_planar_f32(&planes)?;
            let mut peak = 0f64;
            for channel in 0..channels {
                peak = peak.max(meter.true_peak(channel)?);
            }
            Ok((meter.loudness_global()?, peak))
        };
        match measured() {
            Ok((loudness, peak)) => (
                loudness.is_finite().then_some(loudness as f32),
                (peak as f32).max(sample_peak),
            ),
            Err(_) => (None, sample_peak),
        }
    }

    /// The mean of the channel that is furthest from zero, with its sign.
    fn dc_offset(&self) -> f32 {
        let mean = |channel: &Vec<f32>| {
            let sum: f64 = channel.iter().copied().map(f64::from).sum();
            (sum / channel.len().max(1) as f64) as f32
        };
        self.channels
            .iter()
            .map(mean)
            .max_by(|a, b| a.abs().total_cmp(&b.abs()))
            .unwrap_or_default()
    }

    fn clipped_samples(&self) -> u64 {
        let full = |sample: &f32| sample.abs() >= FULL_SCALE;
        self.channels
            .iter()
            .flat_map(|channel| channel.chunk_by(move |a, b| full(a) && full(b)))
            .filter(|run| run.len() >= CUT_RUN && full(&run[0]))
            .map(|run| run.len() as u64)
            .sum()
    }

    fn longest_silence_secs(&self) -> f32 {
        let (mut run, mut longest) = (0usize, 0usize);
        for frame in 0..self.frames() {
            let quiet = self
                .channels
                .iter()
                .all(|channel| channel[frame].abs() < QUIET);
            run = if quiet { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest as f32 / self.sample_rate_hz.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::tones;

    /// One tone on every channel.
    fn sine(hz: f32, level: f32, secs: f32, rate: u32, channels: usize) -> Audio {
        let frames = (secs * rate as f32) as usize;
        let wave: Vec<f32> = (0..frames)
            .map(|i| level * (std::f32::consts::TAU * hz * i as f32 / rate as f32).sin())
            .collect();
        Audio {
            channels: vec![wave; channels],
            sample_rate_hz: rate,
        }
    }

    #[test]
    fn a_tone_has_the_loudness_that_the_recommendation_states() {
        // EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS.
        let level = 10f32.powf(-23.0 / 20.0);
        for (rate, channels, lufs) in [(48_000, 2, -23.0), (24_000, 2, -23.0), (48_000, 1, -26.01)]
        {
            let report = sine(1000.0, level, 5.0, rate, channels).report();
            let loudness = report.loudness_lufs.unwrap();
            assert!((loudness - lufs).abs() < 0.1, "{rate} Hz: {loudness}");
        }
    }

    #[test]
    fn the_peak_between_samples_is_found() {
        // A quarter of the rate, 45 degrees off: every sample is 3 dB below the wave's crest.
        let quarters = [1.0, 1.0, -1.0, -1.0];
        let wave: Vec<f32> = (0..48_000)
            .map(|i| quarters[i % 4] * std::f32::consts::FRAC_1_SQRT_2)
            .collect();
        let report = Audio {
            channels: vec![wave],
            sample_rate_hz: 48_000,
        }
        .report();
        assert!(
            (report.peak - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-3,
            "{}",
            report.peak
        );
        assert!(
            (report.true_peak - 1.0).abs() < 0.05,
            "{}",
            report.true_peak
        );
    }

    #[test]
    fn a_cut_wave_an_offset_and_a_gap_are_seen() {
        let clean = tones(48_000, 48_000).report();
        assert_eq!(clean.clipped_samples, 0);
        assert!(clean.dc_offset.abs() < 1e-3 && clean.longest_silence_secs < 0.01);

        let mut audio = sine(100.0, 1.5, 1.0, 48_000, 2);
        for sample in audio.channels.iter_mut().flatten() {
            *sample = sample.clamp(-1.0, 1.0);
        }
        // Above 1/1.5 of its height a sine spends 53.6 % of its time.
        let share = audio.report().clipped_samples as f64 / 96_000.0;
        assert!((share - 0.536).abs() < 0.01, "{share}");

        let mut audio = sine(100.0, 0.5, 2.0, 48_000, 1);
        audio.channels[0][24_000..72_000].fill(0.0);
        assert!((audio.report().longest_silence_secs - 1.0).abs() < 0.01);
        for sample in &mut audio.channels[0] {
            *sample -= 0.1;
        }
        assert!((audio.report().dc_offset + 0.1).abs() < 1e-3);
    }

    #[test]
    fn what_cannot_be_measured_is_left_out() {
        assert_eq!(
            sine(440.0, 0.5, 0.2, 48_000, 1).report().loudness_lufs,
            None
        );
        assert_eq!(
            sine(440.0, 0.0, 2.0, 48_000, 1).report().loudness_lufs,
            None
        );
        let empty = Audio {
            channels: vec![Vec::new()],
            sample_rate_hz: 48_000,
        };
        assert_eq!(
            (empty.report().true_peak, empty.report().dc_offset),
            (0.0, 0.0)
        );
    }
}
