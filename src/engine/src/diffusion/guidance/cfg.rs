//! Plain classifier-free guidance: `uncond + scale * (cond - uncond)`. The reference uses it where
//! a second evaluation must not advance APG's momentum.

use super::{Answers, Method};

/// Straight extrapolation away from the null answer.
#[derive(Debug, Clone, Copy)]
pub struct Cfg {
    /// 1 = the conditional answer alone.
    pub scale: f64,
}

impl Method for Cfg {
    fn guide(&mut self, answers: Answers<'_>) -> Vec<f32> {
        let scale = self.scale as f32;
        answers
            .cond
            .iter()
            .zip(answers.uncond)
            .map(|(cond, uncond)| uncond + scale * (cond - uncond))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_runs_from_null_through_the_request_and_beyond() {
        let (cond, uncond) = ([3.0f32, -1.0], [1.0f32, 1.0]);
        for (scale, expected) in [(0.0, [1.0, 1.0]), (1.0, [3.0, -1.0]), (2.0, [5.0, -3.0])] {
            let answers = Answers {
                x: &[0.0; 2],
                cond: &cond,
                uncond: &uncond,
                channels: 2,
                t: 0.5,
            };
            assert_eq!(Cfg { scale }.guide(answers), expected);
        }
    }
}
