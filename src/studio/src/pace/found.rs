//! The pace of finding out about a finished song: when its words are sung, how well it does what was asked.

use acestep_domain::{event::Stage, job::JobKind};

use super::{Amount, Origin, Pace, Rates};

/// What finding out about a song took: seconds for each second of the song, all stages together. `None`
/// until it was done once; what it should take is then put together from the other rates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct FoundRates {
    pub(crate) timing: Option<f64>,
    pub(crate) score: Option<f64>,
}

impl FoundRates {
    pub(super) fn of(self, kind: JobKind) -> Option<f64> {
        match kind {
            JobKind::Score => self.score,
            _ => self.timing,
        }
    }
}

impl Amount {
    /// Of a job of `kind` that finds out something about a song of `song_secs`.
    pub(crate) const fn of_finding_out(kind: JobKind, song_secs: f64) -> Self {
        Self {
            heard_secs: song_secs,
            found: Some(kind),
            ..Self::NOTHING
        }
    }
}

impl Rates {
    /// Seconds of each stage of finding out `kind` about a song of `song_secs`: the song is encoded, the main
    /// model looks at it once for each of the scores, and a language model reads it for the score. Measured,
    /// the sum is what it took, and the shares stay.
    pub(super) fn finding_out(&self, kind: JobKind, song_secs: f64) -> [(Stage, f64); 4] {
        let Self { main, lm, found } = self;
        let scores = kind == JobKind::Score;
        let reads = scores && lm.from > Origin::Guess;
        let looks = if scores { 2.0 } else { 1.0 };
        let stages = [
            (Stage::LanguageModel, if reads { lm.plan } else { 0.0 }),
            (Stage::Encode, main.encode * song_secs),
            (Stage::Prepare, main.prepare),
            (Stage::Diffusion, main.step * song_secs * looks),
        ];
        let sum: f64 = stages.iter().map(|(_, secs)| secs).sum();
        let by = match found.of(kind) {
            Some(rate) if sum > 0.0 => rate * song_secs / sum,
            _ => 1.0,
        };
        stages.map(|(stage, secs)| (stage, secs * by))
    }

    /// What finding out `kind` about a song of `song_secs` teaches.
    pub(crate) fn learn_finding_out(&mut self, kind: JobKind, song_secs: f64, secs: f64) {
        if song_secs > 0.0 && secs > 0.0 {
            let rate = match kind {
                JobKind::Score => &mut self.found.score,
                _ => &mut self.found.timing,
            };
            *rate = Some(secs / song_secs);
        }
    }
}

impl Pace {
    pub(super) fn of_finding_out(rates: Rates, kind: JobKind, song_secs: f64) -> Self {
        let [(_, plan), (_, encode), (_, prepare), (_, diffusion)] =
            rates.finding_out(kind, song_secs);
        Self {
            rates,
            plan,
            codes: 0.0,
            batch: 1.0,
            prepare: encode + prepare,
            diffusion,
            decode: 0.0,
            save: 0.0,
            measured: rates.found.of(kind).is_some(),
            furthest: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_out_takes_what_it_took_before_and_is_estimated_until_then() {
        let mut rates = Rates::default();
        let timing = Amount::of_finding_out(JobKind::LyricsTiming, 30.0);
        assert_eq!(rates.time(timing), None, "a first guess is not told");
        rates.main.from = Origin::Estimate;
        let estimated = rates.time(timing).unwrap();
        assert!(!estimated.measured && estimated.total > 0.0);
        rates.learn_finding_out(JobKind::LyricsTiming, 60.0, 12.0);
        let known = rates.time(timing).unwrap();
        assert!(
            known.measured && (known.total - 6.0).abs() < 1e-9,
            "{known:?}"
        );
        assert!(known.stages[&Stage::Encode] > 0.0 && known.stages[&Stage::Diffusion] > 0.0);
        // The score has a pace of its own.
        let score = Amount::of_finding_out(JobKind::Score, 30.0);
        assert!(!rates.time(score).unwrap().measured);
        let mut pace = Pace::new(rates, timing);
        let start = pace.progress(Stage::Encode, 0, (0, 4), 0.0);
        assert_eq!((start.fraction, start.eta_secs), (0.0, Some(6.0)));
        let end = pace.progress(Stage::Diffusion, 0, (1, 1), 6.0);
        assert!((end.fraction - 1.0).abs() < 1e-6);
    }
}
