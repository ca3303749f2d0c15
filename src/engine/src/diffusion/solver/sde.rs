//! To the clean estimate and back up with fresh noise: `x0 = x - t * v`, then
//! `x = t_next * noise + (1 - t_next) * x0`. `t_next` is the schedule's, shift included
//! (engine.md 13.6), and the noise follows from the song's seed and the step.

use super::{Solver, Step};
use crate::diffusion::noise::{Purpose, normal};

/// Fresh noise in every step but the last.
#[derive(Debug, Clone, Copy)]
pub struct Sde {
    /// The song's seed.
    pub seed: u32,
}

impl Solver for Sde {
    fn step(&mut self, x: &mut [f32], v: &[f32], step: Step) {
        let t = step.t as f32;
        for (x, v) in x.iter_mut().zip(v) {
            *x -= t * v;
        }
        if step.next == 0.0 {
            return;
        }
        let (up, down) = (step.next as f32, (1.0 - step.next) as f32);
        let noise = normal(self.seed, Purpose::Step(step.index), x.len());
        for (x, noise) in x.iter_mut().zip(noise) {
            *x = up * noise + down * *x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::schedule::Schedule;

    /// Runs a flow whose velocity always points at `clean`.
    fn run(seed: u32, clean: &[f32]) -> Vec<Vec<f32>> {
        let mut x = normal(seed, Purpose::Start, clean.len());
        let mut solver = Sde { seed };
        let mut states = vec![x.clone()];
        for step in Schedule::shifted(6, 3.0).unwrap().steps() {
            let v: Vec<f32> = x
                .iter()
                .zip(clean)
                .map(|(x, clean)| (x - clean) / step.t as f32)
                .collect();
            solver.step(&mut x, &v, step);
            states.push(x.clone());
        }
        states
    }

    #[test]
    fn each_step_stands_on_the_noise_level_of_its_timestep() {
        let states = run(3, &vec![0.0; 20_000]);
        let schedule = Schedule::shifted(6, 3.0).unwrap();
        for (state, step) in states[1..].iter().zip(schedule.steps()) {
            let power: f32 = state.iter().map(|x| x * x).sum::<f32>() / state.len() as f32;
            assert!((power.sqrt() - step.next as f32).abs() < 0.02, "{step:?}");
        }
    }

    #[test]
    fn the_end_is_the_clean_estimate_and_the_way_depends_on_the_seed_alone() {
        let clean: Vec<f32> = (0..50).map(|i| (i as f32 * 0.7).sin()).collect();
        let (one, again, other) = (run(5, &clean), run(5, &clean), run(6, &clean));
        assert_eq!(one, again);
        assert_ne!(one[3], other[3]);
        for (x, clean) in one.last().unwrap().iter().zip(&clean) {
            assert!((x - clean).abs() < 1e-5);
        }
    }
}
