//! Sound as numbers: planar f32 in -1..1, its level, and the way to files and back.

pub mod decode;
pub mod encode;
pub mod loudness;
pub mod measure;
pub mod resample;
pub mod tags;

/// Sound whose loudest sample is below this is taken for silence (-80 dBFS).
pub const SILENT_PEAK: f32 = 1e-4;

/// A clip, one vector a channel, all of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples in -1..1, planar.
    pub channels: Vec<Vec<f32>>,
    /// Samples per second.
    pub sample_rate_hz: u32,
}

impl Audio {
    /// Samples of one channel.
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Length in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate_hz.max(1))
    }

    /// Largest absolute sample over all channels.
    pub fn peak(&self) -> f32 {
        self.samples()
            .fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    /// Root mean square over all channels.
    pub fn rms(&self) -> f32 {
        let count = self.frames() * self.channels.len();
        if count == 0 {
            return 0.0;
        }
        let sum: f64 = self.samples().map(|s| f64::from(s) * f64::from(s)).sum();
        (sum / count as f64).sqrt() as f32
    }

    /// Largest absolute sample of each of `count` equal parts, 0 to 1, for the drawn wave.
    pub fn peaks(&self, count: usize) -> Vec<f32> {
        let frames = self.frames();
        (0..count)
            .map(|part| {
                let (start, end) = (part * frames / count, (part + 1) * frames / count);
                self.channels
                    .iter()
                    .flat_map(|channel| channel.get(start..end).unwrap_or_default())
                    .fold(0.0f32, |peak, sample| peak.max(sample.abs()))
                    .min(1.0)
            })
            .collect()
    }

    /// Whether every sample is a number.
    pub fn is_finite(&self) -> bool {
        self.samples().all(f32::is_finite)
    }

    /// Multiplies every sample.
    pub fn scale(&mut self, gain: f32) {
        for sample in self.channels.iter_mut().flatten() {
            *sample *= gain;
        }
    }

    /// The clip with `count` channels: mono is doubled, further channels are dropped.
    #[must_use]
    pub fn with_channels(mut self, count: usize) -> Self {
        if let Some(last) = self.channels.last().cloned() {
            self.channels.resize(count, last);
        }
        self
    }

    fn samples(&self) -> impl Iterator<Item = f32> + '_ {
        self.channels.iter().flatten().copied()
    }

    /// Samples in the order files hold them: one of each channel, then the next.
    fn interleaved(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.frames()).flat_map(|i| self.channels.iter().map(move |channel| channel[i]))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two different tones a little below full scale, so that swapped channels show.
    pub(crate) fn tones(sample_rate_hz: u32, frames: usize) -> Audio {
        let tone = |hz: f32| {
            (0..frames)
                .map(|i| {
                    0.8 * (std::f32::consts::TAU * hz * i as f32 / sample_rate_hz as f32).sin()
                })
                .collect()
        };
        Audio {
            channels: vec![tone(440.0), tone(660.0)],
            sample_rate_hz,
        }
    }

    #[test]
    fn figures_of_a_clip() {
        let audio = Audio {
            channels: vec![vec![0.5, -1.0, 0.0, 0.25], vec![0.0, 0.0, 0.5, 0.0]],
            sample_rate_hz: 8,
        };
        assert_eq!(audio.peak(), 1.0);
        assert_eq!(audio.duration_secs(), 0.5);
        assert!((audio.rms() - (1.5625f32 / 8.0).sqrt()).abs() < 1e-6);
        assert_eq!(audio.peaks(2), [1.0, 0.5]);
        // More parts than samples: the empty ones are silent.
        assert_eq!(audio.peaks(8), [0.0, 0.5, 0.0, 1.0, 0.0, 0.5, 0.0, 0.25]);
        assert_eq!(
            audio.interleaved().take(4).collect::<Vec<_>>(),
            [0.5, 0.0, -1.0, 0.0]
        );
    }

    #[test]
    fn channels_are_doubled_or_dropped() {
        let mono = Audio {
            channels: vec![vec![1.0]],
            sample_rate_hz: 8,
        };
        assert_eq!(mono.clone().with_channels(2).channels, [[1.0], [1.0]]);
        assert_eq!(mono.with_channels(2).with_channels(1).channels, [[1.0]]);
    }
}
