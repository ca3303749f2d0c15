//! What a listener would say about a clip, in figures: how much of it lies in a key, how fast it
//! is, how loud its treble. Nothing here knows what was asked for.

use acestep_engine::audio::Audio;
use rustfft::{FftPlanner, num_complex::Complex};

/// Mean of the channels.
fn mono(audio: &Audio) -> Vec<f32> {
    let count = audio.channels.len() as f32;
    (0..audio.frames())
        .map(|i| audio.channels.iter().map(|channel| channel[i]).sum::<f32>() / count)
        .collect()
}

/// Power spectra of Hann windows of `size` samples, `hop` apart, bins 0 to size / 2.
fn spectra(samples: &[f32], size: usize, hop: usize) -> Vec<Vec<f32>> {
    let fft = FftPlanner::new().plan_fft_forward(size);
    let window: Vec<f32> = (0..size)
        .map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / size as f32).cos())
        .collect();
    samples
        .windows(size)
        .step_by(hop)
        .map(|part| {
            let mut values: Vec<Complex<f32>> = part
                .iter()
                .zip(&window)
                .map(|(sample, window)| Complex::new(sample * window, 0.0))
                .collect();
            fft.process(&mut values);
            values[..=size / 2].iter().map(Complex::norm_sqr).collect()
        })
        .collect()
}

/// Energy of the 12 pitch classes from C, each spectral peak between 180 and 1400 Hz counted for
/// the pitch it is nearest to. Peaks alone count: noise has none that last.
pub(crate) fn pitch_classes(audio: &Audio) -> [f64; 12] {
    const SIZE: usize = 8192;
    let bin_hz = f64::from(audio.sample_rate_hz) / SIZE as f64;
    let mut energy = [0.0; 12];
    for spectrum in spectra(&mono(audio), SIZE, SIZE / 2) {
        for bin in (180.0 / bin_hz) as usize..(1400.0 / bin_hz) as usize {
            let [before, here, after] = [spectrum[bin - 1], spectrum[bin], spectrum[bin + 1]];
            if here <= before || here < after {
                continue;
            }
            // The top of the parabola through three log powers.
            let [a, b, c] = [before, here, after].map(|power| f64::from(power.max(1e-20)).ln());
            let offset = 0.5 * (a - c) / (a - 2.0 * b + c);
            let hz = (bin as f64 + offset) * bin_hz;
            let semitone = (12.0 * (hz / 440.0).log2()).round() as i64 + 9;
            energy[semitone.rem_euclid(12) as usize] += f64::from(here);
        }
    }
    energy
}

/// Share of tonal energy inside the scale on `tonic` (semitones above C).
pub(crate) fn share_in_scale(energy: &[f64; 12], tonic: usize, minor: bool) -> f64 {
    let steps: [usize; 7] = if minor {
        [0, 2, 3, 5, 7, 8, 10]
    } else {
        [0, 2, 4, 5, 7, 9, 11]
    };
    let inside: f64 = steps.iter().map(|step| energy[(tonic + step) % 12]).sum();
    inside / energy.iter().sum::<f64>()
}

/// Root mean square of what lies above `hz`.
pub(crate) fn level_above(audio: &Audio, hz: f32) -> f64 {
    const SIZE: usize = 1024;
    let first = (hz * SIZE as f32 / audio.sample_rate_hz as f32).ceil() as usize;
    let spectra = spectra(&mono(audio), SIZE, SIZE / 2);
    let power: f64 = spectra
        .iter()
        .flat_map(|spectrum| &spectrum[first..])
        .map(|power| f64::from(*power))
        .sum();
    // Parseval with the window's mean square of 3 / 8, both halves of the spectrum.
    (2.0 * power / (spectra.len() * SIZE * SIZE) as f64 / 0.375).sqrt()
}

/// Beats per minute between 60 and 180: the onset envelope's autocorrelation, summed over one to
/// four beats, weighed by how usual a tempo is.
pub(crate) fn tempo(audio: &Audio) -> f64 {
    const SIZE: usize = 1024;
    const HOP: usize = 120;
    let rate = f64::from(audio.sample_rate_hz) / HOP as f64;
    let spectra = spectra(&mono(audio), SIZE, HOP);
    // Rise of log power, in all bins alike: a hat counts as much as a kick.
    let mut onsets: Vec<f64> = spectra
        .windows(2)
        .map(|pair| {
            let rise = |(before, after): (&f32, &f32)| {
                f64::from((1.0 + 100.0 * after).ln() - (1.0 + 100.0 * before).ln()).max(0.0)
            };
            pair[0].iter().zip(&pair[1]).map(rise).sum()
        })
        .collect();
    let mean = onsets.iter().sum::<f64>() / onsets.len() as f64;
    for onset in &mut onsets {
        *onset -= mean;
    }
    let correlation = |lag: f64| -> f64 {
        // Between two lags, the value lies between theirs.
        let (low, part) = (lag.floor() as usize, lag.fract());
        let at = |lag: usize| -> f64 {
            let pairs = onsets.iter().zip(&onsets[lag.min(onsets.len())..]);
            pairs.map(|(a, b)| a * b).sum::<f64>() / (onsets.len() - lag) as f64
        };
        at(low) * (1.0 - part) + at(low + 1) * part
    };
    let score = |bpm: f64| -> f64 {
        let beat = 60.0 * rate / bpm;
        let regular: f64 = (1..=4)
            .map(|beats| correlation(beat * f64::from(beats)))
            .sum();
        let usual = (-0.5 * ((bpm / 110.0).log2() / 0.7).powi(2)).exp();
        regular.max(0.0) * usual
    };
    let mut best = (0.0, 0.0);
    for bpm in (0..=480).map(|step| 60.0 + 0.25 * f64::from(step)) {
        let now = score(bpm);
        if now > best.0 {
            best = (now, bpm);
        }
    }
    best.1
}

/// Checks of the listener itself, with clips whose answers are known.
mod known {
    use super::{Audio, level_above, pitch_classes, share_in_scale, tempo};

    fn clip(secs: f32, sample: impl Fn(f32) -> f32) -> Audio {
        let rate = 24_000;
        let samples = (0..(secs * rate as f32) as usize)
            .map(|i| sample(i as f32 / rate as f32))
            .collect();
        Audio {
            channels: vec![samples],
            sample_rate_hz: rate,
        }
    }

    fn tone(hz: f32, time: f32) -> f32 {
        (std::f32::consts::TAU * hz * time).sin()
    }

    #[test]
    fn a_chord_lies_in_its_own_key() {
        // C, E, G; and a bass below the range that counts.
        let chord = clip(4.0, |t| {
            tone(261.63, t) + tone(329.63, t) + tone(392.0, t) + 3.0 * tone(69.3, t)
        });
        let energy = pitch_classes(&chord);
        assert!(share_in_scale(&energy, 0, false) > 0.99);
        assert!(share_in_scale(&energy, 6, false) < 0.01);
        assert!(share_in_scale(&energy, 9, true) > 0.99);
    }

    #[test]
    fn clicks_have_their_tempo() {
        for bpm in [72.0, 96.0, 124.0, 150.0] {
            let clicks = clip(12.0, |t| {
                let since = t % (60.0 / bpm);
                (-40.0 * since).exp() * tone(3000.0, t)
            });
            let found = tempo(&clicks);
            assert!(
                (found / f64::from(bpm) - 1.0).abs() < 0.01,
                "{bpm}: {found}"
            );
        }
    }

    #[test]
    fn treble_is_measured_at_its_level() {
        let both = clip(1.0, |t| tone(500.0, t) + 0.1 * tone(8000.0, t));
        let level = level_above(&both, 4500.0);
        assert!((level - 0.1 / 2f64.sqrt()).abs() < 2e-3, "{level}");
    }
}
