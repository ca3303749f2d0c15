//! Adaptive projected guidance (Sadat et al., "Eliminating oversaturation and artifacts of high
//! guidance scales"), with the constants of ACE-Step: momentum -0.75, norm threshold 2.5, parallel
//! part dropped, norms over time for each channel. Reference: `apg_forward`, and
//! `normalized_guidance` of diffusers in its original formulation with scale - 1.

use super::{Answers, Method};

const MOMENTUM: f64 = -0.75;
const NORM_THRESHOLD: f64 = 2.5;

/// State of one song: the momentum advances only where guidance acts.
#[derive(Debug, Clone)]
pub struct Apg {
    scale: f64,
    momentum: Vec<f64>,
}

impl Apg {
    /// 1 = the conditional answer alone.
    pub fn new(scale: f64) -> Self {
        Self {
            scale,
            momentum: Vec::new(),
        }
    }
}

impl Method for Apg {
    fn guide(&mut self, answers: Answers<'_>) -> Vec<f32> {
        let Answers {
            cond,
            uncond,
            channels,
            ..
        } = answers;
        self.momentum.resize(cond.len(), 0.0);
        for ((m, cond), uncond) in self.momentum.iter_mut().zip(cond).zip(uncond) {
            *m = f64::from(cond - uncond) + MOMENTUM * *m;
        }
        // Over time, for each channel: |m|^2, |cond|^2 and m · cond.
        let mut sums = vec![[0.0f64; 3]; channels];
        for (m, cond) in self
            .momentum
            .chunks_exact(channels)
            .zip(cond.chunks_exact(channels))
        {
            for ((sum, m), cond) in sums.iter_mut().zip(m).zip(cond) {
                let cond = f64::from(*cond);
                sum[0] += m * m;
                sum[1] += cond * cond;
                sum[2] += m * cond;
            }
        }
        let factors: Vec<(f64, f64)> = sums
            .iter()
            .map(|&[mm, cc, mc]| {
                let shrink = if mm > 0.0 {
                    (NORM_THRESHOLD / mm.sqrt()).min(1.0)
                } else {
                    1.0
                };
                let norm = cc.sqrt().max(1e-12);
                (shrink, shrink * mc / norm / norm)
            })
            .collect();
        let weight = self.scale - 1.0;
        self.momentum
            .chunks_exact(channels)
            .zip(cond.chunks_exact(channels))
            .flat_map(|(m, cond)| {
                m.iter()
                    .zip(cond)
                    .zip(&factors)
                    .map(|((m, &cond), (shrink, along))| {
                        let cond = f64::from(cond);
                        (cond + weight * (shrink * m - along * cond)) as f32
                    })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<'a>(cond: &'a [f32], uncond: &'a [f32]) -> Answers<'a> {
        Answers {
            x: &[],
            cond,
            uncond,
            channels: 2,
            t: 0.5,
        }
    }

    #[test]
    fn what_is_added_is_orthogonal_to_the_answer_and_bounded() {
        let cond: Vec<f32> = (0..200).map(|i| (i as f32 * 0.37).sin()).collect();
        let uncond: Vec<f32> = (0..200).map(|i| (i as f32 * 0.91).cos() * 3.0).collect();
        let guided = Apg::new(5.0).guide(answers(&cond, &uncond));
        for channel in 0..2 {
            let pairs = || {
                (channel..200)
                    .step_by(2)
                    .map(|i| (guided[i] - cond[i], cond[i]))
            };
            let dot: f32 = pairs().map(|(added, cond)| added * cond).sum();
            let norm: f32 = pairs().map(|(added, _)| added * added).sum::<f32>().sqrt();
            assert!(dot.abs() < 1e-3, "{dot}");
            assert!(norm > 1.0 && norm <= 4.0 * 2.5 + 1e-3, "{norm}");
        }
    }

    #[test]
    fn equal_answers_and_silent_channels_stay_as_they_are() {
        let cond = [0.5f32, 0.0, -0.25, 0.0];
        assert_eq!(Apg::new(7.0).guide(answers(&cond, &cond)), cond);
    }
}
