//! Samples that no converter could play.

use acestep_domain::note::Note;

/// What samples were before they were brought inside of -1..1.
#[derive(Debug, Default)]
pub(super) struct Range {
    peak: f32,
    not_numbers: usize,
}

impl Range {
    /// The sample inside of -1..1.
    pub(super) fn take(&mut self, sample: f32) -> f32 {
        if !sample.is_finite() {
            self.not_numbers += 1;
            return 0.0;
        }
        self.peak = self.peak.max(sample.abs());
        sample.clamp(-1.0, 1.0)
    }

    /// What was cut off or could not be read.
    pub(super) fn tell(&self, notes: &mut Vec<Note>) {
        // What rounding leaves is not heard.
        let over_db = 20.0 * self.peak.log10();
        if over_db > 0.01 {
            notes.push(Note::general(
                "audio_over_full_scale",
                format!(
                    "The sound is up to {over_db:.1} dB over full scale; what is over it was cut off."
                ),
            ));
        }
        if self.not_numbers > 0 {
            notes.push(Note::general(
                "audio_not_finite",
                format!(
                    "{} samples of the file are no numbers and were read as silence.",
                    self.not_numbers
                ),
            ));
        }
    }
}
