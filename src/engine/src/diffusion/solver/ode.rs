//! Euler along the flow: `x -= (t - t_next) * v`. The last step lands on the clean estimate.

use super::{Solver, Step};

/// No fresh noise: the start decides everything.
#[derive(Debug, Clone, Copy)]
pub struct Ode;

impl Solver for Ode {
    fn step(&mut self, x: &mut [f32], v: &[f32], step: Step) {
        let length = (step.t - step.next) as f32;
        for (x, v) in x.iter_mut().zip(v) {
            *x -= length * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::schedule::Schedule;

    #[test]
    fn a_straight_flow_is_followed_exactly_in_any_number_of_steps() {
        let (noise, clean) = ([1.5f32, -0.5, 2.0], [0.25f32, 0.75, -1.0]);
        for steps in [1, 3, 8] {
            let mut x = noise;
            let v: Vec<f32> = noise.iter().zip(clean).map(|(n, c)| n - c).collect();
            for step in Schedule::shifted(steps, 3.0).unwrap().steps() {
                Ode.step(&mut x, &v, step);
            }
            for (x, clean) in x.iter().zip(clean) {
                assert!((x - clean).abs() < 1e-6);
            }
        }
    }
}
