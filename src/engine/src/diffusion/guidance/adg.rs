//! Angle-based dynamic guidance: in the clean estimate of each frame the angle between the two
//! answers is widened, by no more than 30 degrees. Reference: `adg_forward` of ACE-Step 1.5 (clip
//! on, no renormalisation). Its branch for parallel answers is never taken: the clamp of the cosine
//! keeps every sine above that branch's threshold of 1e-3.

use super::{Answers, Method};

/// The reference writes 3.14 / 6, not pi / 6.
#[expect(clippy::approx_constant, reason = "the reference's constant, not pi")]
const ANGLE_CLIP: f64 = 3.14 / 6.0;
/// Keeps the cosine away from 1 and -1, where the angle has no direction.
const COSINE_MARGIN: f64 = 1e-6;

/// Rotates each frame of the clean estimate away from the null answer.
#[derive(Debug, Clone, Copy)]
pub struct Adg {
    /// 1 = hardly any rotation.
    pub scale: f64,
}

impl Method for Adg {
    fn guide(&mut self, answers: Answers<'_>) -> Vec<f32> {
        let Answers {
            x,
            cond,
            uncond,
            channels,
            t,
        } = answers;
        let weight = (self.scale - 1.0).max(0.0) + 1e-3;
        let mut guided = Vec::with_capacity(cond.len());
        let frames = x
            .chunks_exact(channels)
            .zip(cond.chunks_exact(channels))
            .zip(uncond.chunks_exact(channels));
        for ((x, cond), uncond) in frames {
            let clean = |v: &[f32]| -> Vec<f64> {
                x.iter()
                    .zip(v)
                    .map(|(x, v)| f64::from(*x) - t * f64::from(*v))
                    .collect()
            };
            let (with, without) = (clean(cond), clean(uncond));
            let cosine =
                dot(&with, &without) / (dot(&with, &with) * dot(&without, &without)).sqrt();
            // Two empty frames have no angle; they count as parallel.
            let cosine = if cosine.is_nan() { 1.0 } else { cosine };
            let angle = cosine
                .clamp(COSINE_MARGIN - 1.0, 1.0 - COSINE_MARGIN)
                .acos();
            let widened = (weight * angle).clamp(-ANGLE_CLIP, ANGLE_CLIP);
            let across = widened.sin() / angle.sin();
            let difference: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
            let along = dot(&difference, &without) / (dot(&without, &without) + 1e-8);
            guided.extend((0..channels).map(|c| {
                let perpendicular = difference[c] - along * without[c];
                let estimate = widened.cos() * with[c] + across * perpendicular;
                ((f64::from(x[c]) - estimate) / t) as f32
            }));
        }
        guided
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_frames_give_finite_velocities() {
        let zeros = [0.0f32; 4];
        let guided = Adg { scale: 7.0 }.guide(Answers {
            x: &zeros,
            cond: &zeros,
            uncond: &zeros,
            channels: 2,
            t: 0.3,
        });
        assert_eq!(guided, zeros);
    }
}
