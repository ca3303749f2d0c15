//! Which token follows: guidance, penalty, temperature, top-k, top-p and the draw, in this order,
//! on the host in f32.
//!
//! Temperature comes before the cuts, as in `transformers`: a cold model has a small nucleus. The
//! draw is a value of the sequence's own counter-based stream, so what a sequence writes depends
//! on its seed and not on the batch it is in.

use std::collections::HashSet;

use crate::diffusion::noise::{Purpose, uniform};

/// Candidates further than this below the best are sorted only when top-p reaches for them.
const FAR: f32 = 16.0;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the best.
    pub temperature: f64,
    /// The best so many, 0 = all.
    pub top_k: usize,
    /// The best that hold this share together; 0, 1 and more = all.
    pub top_p: f64,
    /// Tokens already written lose by this factor, 1 = off. Text only: repeats in codes are music.
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.85,
            top_k: 0,
            top_p: 0.9,
            repetition_penalty: 1.0,
        }
    }
}

/// One sequence's way of choosing.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    seed: u32,
    purpose: Purpose,
    draws: u64,
    written: HashSet<u32>,
}

/// A token and its logit.
pub type Candidate = (u32, f32);

impl Sampler {
    /// A sampler whose draws are the stream of `seed` and `purpose`.
    pub fn new(sampling: Sampling, seed: u32, purpose: Purpose) -> Self {
        Self {
            sampling,
            seed,
            purpose,
            draws: 0,
            written: HashSet::new(),
        }
    }

    /// Remembers a token, forced or chosen, for the repetition penalty.
    pub fn wrote(&mut self, token: u32) {
        if self.penalty() != 1.0 {
            self.written.insert(token);
        }
    }

    fn penalty(&self) -> f32 {
        if self.purpose == Purpose::Codes {
            return 1.0;
        }
        self.sampling.repetition_penalty as f32
    }

    /// One of `candidates`; those without a finite logit are none. `None` when there is no other.
    pub fn choose(&mut self, mut candidates: Vec<Candidate>, greedy: bool) -> Option<u32> {
        candidates.retain(|(_, logit)| logit.is_finite());
        let penalty = self.penalty();
        if penalty != 1.0 {
            for (id, logit) in &mut candidates {
                if self.written.contains(id) {
                    *logit = if *logit > 0.0 {
                        *logit / penalty
                    } else {
                        *logit * penalty
                    };
                }
            }
        }
        if greedy || self.sampling.temperature <= 0.0 {
            return best(&candidates);
        }
        let place = self.draws;
        self.draws += 1;
        let kept = survivors(candidates, &self.sampling);
        let u = uniform(self.seed, self.purpose, place);
        draw(&kept, u)
    }
}

/// Logits of a row, moved away from those of its shadow under guidance of `scale`.
pub(super) fn guided(rows: &[Vec<f32>], scale: Option<f32>) -> Box<dyn Iterator<Item = f32> + '_> {
    match (rows, scale) {
        ([with, without], Some(scale)) => Box::new(
            with.iter()
                .zip(without)
                .map(move |(with, without)| without + scale * (with - without)),
        ),
        ([with, ..], _) => Box::new(with.iter().copied()),
        ([], _) => Box::new(std::iter::empty()),
    }
}

/// The token of the largest logit, the first of several.
pub(super) fn best(candidates: &[Candidate]) -> Option<u32> {
    candidates
        .iter()
        .copied()
        .reduce(|best, other| if other.1 > best.1 { other } else { best })
        .map(|(id, _)| id)
}

fn descending(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Candidates that temperature, top-k and top-p leave, with their weights before normalisation.
fn survivors(mut candidates: Vec<Candidate>, sampling: &Sampling) -> Vec<(u32, f64)> {
    // Scaled from the best down, so that a tiny temperature overflows nowhere.
    let max = candidates
        .iter()
        .fold(f32::NEG_INFINITY, |max, (_, logit)| max.max(*logit));
    let cold = 1.0 / sampling.temperature;
    for (_, logit) in &mut candidates {
        *logit = ((f64::from(*logit) - f64::from(max)) * cold) as f32;
    }
    let k = sampling.top_k;
    if k > 0 && k < candidates.len() {
        let (_, kth, _) = candidates.select_nth_unstable_by(k - 1, descending);
        // Equals of the last one stay.
        let last = kth.1;
        candidates.retain(|(_, logit)| *logit >= last);
        candidates.sort_unstable_by_key(|(id, _)| *id);
    }
    let weight = |logit: f32| f64::from(logit).exp();
    let p = sampling.top_p;
    if p > 0.0 && p < 1.0 {
        let whole: f64 = candidates.iter().map(|(_, logit)| weight(*logit)).sum();
        let (mut sorted, mut far): (Vec<Candidate>, Vec<Candidate>) = candidates
            .into_iter()
            .partition(|(_, logit)| *logit >= -FAR);
        sorted.sort_unstable_by(descending);
        let near: f64 = sorted.iter().map(|(_, logit)| weight(*logit)).sum();
        if near <= p * whole {
            far.sort_unstable_by(descending);
            sorted.append(&mut far);
        }
        let mut before = 0.0;
        return sorted
            .into_iter()
            .map(|(id, logit)| (id, weight(logit)))
            .take_while(|(_, weight)| {
                let reached = before > p * whole;
                before += weight;
                !reached
            })
            .collect();
    }
    candidates
        .into_iter()
        .map(|(id, logit)| (id, weight(logit)))
        .collect()
}

/// The candidate in whose share `u` falls.
fn draw(kept: &[(u32, f64)], u: f64) -> Option<u32> {
    let whole: f64 = kept.iter().map(|(_, weight)| weight).sum();
    let mut left = u * whole;
    for (id, weight) in kept {
        left -= weight;
        if left < 0.0 {
            return Some(*id);
        }
    }
    kept.last().map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits() -> Vec<Candidate> {
        vec![(3, 1.0), (5, 3.0), (7, 2.0), (9, -1.0), (11, 2.0)]
    }

    fn ids(kept: Vec<(u32, f64)>) -> Vec<u32> {
        let mut ids: Vec<u32> = kept.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    fn with(change: impl FnOnce(&mut Sampling)) -> Sampling {
        let mut sampling = Sampling {
            temperature: 1.0,
            top_p: 1.0,
            ..Sampling::default()
        };
        change(&mut sampling);
        sampling
    }

    #[test]
    fn the_cuts_leave_what_they_should() {
        assert_eq!(ids(survivors(logits(), &with(|s| s.top_k = 1))), [5]);
        // The second has an equal, and both stay.
        assert_eq!(ids(survivors(logits(), &with(|s| s.top_k = 2))), [5, 7, 11]);
        // Shares: 0.524, 0.193, 0.193, 0.071, 0.0096... The one that reaches past p stays.
        assert_eq!(ids(survivors(logits(), &with(|s| s.top_p = 0.5))), [5]);
        assert_eq!(ids(survivors(logits(), &with(|s| s.top_p = 0.6))), [5, 7]);
        assert_eq!(ids(survivors(logits(), &with(|s| s.top_p = 0.0))).len(), 5);
        // A cold model has a smaller nucleus.
        let cold = with(|s| {
            s.top_p = 0.6;
            s.temperature = 0.5;
        });
        assert_eq!(ids(survivors(logits(), &cold)), [5]);
        // Candidates far below are sorted in when they are needed.
        let mut many: Vec<Candidate> = (0..40_000).map(|id| (id, -20.0)).collect();
        many.push((90_000, 0.0));
        let kept = ids(survivors(many.clone(), &with(|s| s.top_p = 0.999_99)));
        assert!(kept.len() > 1 && kept.len() < 40_001, "{}", kept.len());
        assert_eq!(ids(survivors(many, &with(|s| s.top_p = 0.9))), [90_000]);
    }

    #[test]
    fn draws_follow_the_shares() {
        let mut sampler = Sampler::new(with(|_| ()), 7, Purpose::Codes);
        let count = 20_000;
        let mut seen = [0usize; 12];
        for _ in 0..count {
            seen[sampler.choose(logits(), false).unwrap() as usize] += 1;
        }
        let whole: f64 = logits().iter().map(|(_, l)| f64::from(*l).exp()).sum();
        for (id, logit) in logits() {
            let share = f64::from(logit).exp() / whole;
            let got = seen[id as usize] as f64 / f64::from(count);
            assert!(
                (got - share).abs() < 0.015,
                "{id}: {got} instead of {share}"
            );
        }
    }

    #[test]
    fn zero_temperature_and_greedy_take_the_best_and_draw_nothing() {
        let mut cold = Sampler::new(with(|s| s.temperature = 0.0), 1, Purpose::Text(0));
        assert_eq!(cold.choose(logits(), false), Some(5));
        let mut sampler = Sampler::new(with(|_| ()), 1, Purpose::Text(0));
        assert_eq!(sampler.choose(logits(), true), Some(5));
        assert_eq!(sampler.draws, 0);
    }

    #[test]
    fn logits_that_are_no_numbers_are_never_chosen() {
        let mut sampler = Sampler::new(with(|_| ()), 1, Purpose::Text(0));
        let hostile = vec![
            (1, f32::NAN),
            (2, f32::INFINITY),
            (3, f32::NEG_INFINITY),
            (4, -5.0),
        ];
        assert_eq!(sampler.choose(hostile, false), Some(4));
        assert_eq!(sampler.choose(vec![(1, f32::NAN)], false), None);
        assert_eq!(sampler.choose(Vec::new(), true), None);
    }

    #[test]
    fn repeats_lose_in_text_and_not_in_codes() {
        let sampling = with(|s| {
            s.repetition_penalty = 2.0;
            s.temperature = 0.0;
        });
        let mut text = Sampler::new(sampling, 1, Purpose::Text(0));
        let mut codes = Sampler::new(sampling, 1, Purpose::Codes);
        for sampler in [&mut text, &mut codes] {
            sampler.wrote(5);
        }
        assert_eq!(text.choose(logits(), false), Some(7));
        assert_eq!(codes.choose(logits(), false), Some(5));
    }

    #[test]
    fn a_seed_is_a_stream() {
        let run = |seed, purpose| -> Vec<u32> {
            let mut sampler = Sampler::new(with(|_| ()), seed, purpose);
            (0..30)
                .map(|_| sampler.choose(logits(), false).unwrap())
                .collect()
        };
        assert_eq!(run(1, Purpose::Codes), run(1, Purpose::Codes));
        assert_ne!(run(1, Purpose::Codes), run(2, Purpose::Codes));
        assert_ne!(run(1, Purpose::Codes), run(1, Purpose::Text(0)));
        assert_ne!(run(1, Purpose::Text(0)), run(1, Purpose::Text(1)));
    }
}
