//! The loop from noise to latents, one song at a time. It reports each step and looks at the
//! cancel token before each one, so stopping takes one step at most.

use std::ops::Range;

use super::{
    guidance::{Answers, Guidance},
    schedule::Schedule,
    solver::Solver,
};
use crate::{
    error::{Error, Result, Stage},
    observer::Observer,
};

/// Which condition the network is asked under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The request.
    Conditional,
    /// The learnt null condition.
    Unconditional,
}

/// What the loop sees of the network.
pub trait Network {
    /// The velocity of state `x` (`[t, c]`, frame after frame) at step `index` of the schedule.
    fn velocity(&mut self, x: &[f32], index: usize, branch: Branch) -> Result<Vec<f32>>;
}

/// One song's run.
pub struct Run<'a> {
    /// Place in the batch, for progress.
    pub item: usize,
    /// Latent channels of a frame.
    pub channels: usize,
    /// The steps.
    pub schedule: &'a Schedule,
    /// How answers are joined; `None` asks under the request alone.
    pub guidance: Option<Guidance>,
    /// How the state moves.
    pub solver: Box<dyn Solver>,
    /// What is put back after a step.
    pub hold: Option<Hold<'a>>,
}

/// Frames that stay on the way from the noise to a known end (engine.md 6.7).
#[derive(Debug, Clone)]
pub struct Hold<'a> {
    /// Where they end, `[t, c]`, frame after frame.
    pub source: &'a [f32],
    /// Frames that are free.
    pub free: Range<usize>,
    /// Steps after which they are put back, from the first on.
    pub steps: usize,
}

impl Hold<'_> {
    /// Puts the held frames of `x` on their way at timestep `t`, from where `noise` had them.
    fn put_back(&self, x: &mut [f32], noise: &[f32], channels: usize, t: f64) {
        let (up, down) = (t as f32, (1.0 - t) as f32);
        let free = self.free.start * channels..self.free.end * channels;
        for (place, x) in x.iter_mut().enumerate() {
            if !free.contains(&place) {
                *x = up * noise[place] + down * self.source[place];
            }
        }
    }
}

/// Takes `x`, the state at the first timestep, to the clean latents. `[t, c]` in and out.
///
/// # Errors
/// Cancelled, a network error, or a result that is not finite.
pub fn denoise(
    network: &mut dyn Network,
    mut x: Vec<f32>,
    mut run: Run<'_>,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let total = run.schedule.len();
    let noise = run.hold.as_ref().map(|_| x.clone());
    for step in run.schedule.steps() {
        observer.check()?;
        let cond = network.velocity(&x, step.index, Branch::Conditional)?;
        let v = match &mut run.guidance {
            Some(guidance) if guidance.acts_at(step.t) => {
                observer.check()?;
                let uncond = network.velocity(&x, step.index, Branch::Unconditional)?;
                guidance.method.guide(Answers {
                    x: &x,
                    cond: &cond,
                    uncond: &uncond,
                    channels: run.channels,
                    t: step.t,
                })
            }
            _ => cond,
        };
        run.solver.step(&mut x, &v, step);
        if let (Some(hold), Some(noise)) = (&run.hold, &noise)
            && step.index < hold.steps
        {
            hold.put_back(&mut x, noise, run.channels, step.next);
        }
        if !x.iter().all(|x| x.is_finite()) {
            return Err(Error::NotFinite {
                stage: Stage::Diffusion,
                module: "DiT",
            });
        }
        observer.progress(Stage::Diffusion, run.item, step.index + 1, total);
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use acestep_domain::generation::InferMethod;

    use super::*;
    use crate::{diffusion::solver::solver, observer::Silent};

    /// Points at `clean` under the request and at zero without it; remembers what it was asked.
    struct Flow {
        clean: f32,
        schedule: Schedule,
        asked: Vec<(usize, Branch)>,
    }

    impl Network for Flow {
        fn velocity(&mut self, x: &[f32], index: usize, branch: Branch) -> Result<Vec<f32>> {
            self.asked.push((index, branch));
            let t = self.schedule.timesteps()[index] as f32;
            let clean = match branch {
                Branch::Conditional => self.clean,
                Branch::Unconditional => 0.0,
            };
            Ok(x.iter().map(|x| (x - clean) / t).collect())
        }
    }

    fn flow(clean: f32) -> Flow {
        Flow {
            clean,
            schedule: Schedule::shifted(4, 1.0).unwrap(),
            asked: Vec::new(),
        }
    }

    fn run(schedule: &Schedule, guidance: Option<Guidance>) -> Run<'_> {
        Run {
            item: 1,
            channels: 2,
            schedule,
            guidance,
            solver: solver(InferMethod::Ode, 0),
            hold: None,
        }
    }

    /// Cancels after `after` reports.
    struct Watcher {
        after: usize,
        seen: Mutex<Vec<(Stage, usize, usize, usize)>>,
    }

    impl Observer for Watcher {
        fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
            self.seen.lock().unwrap().push((stage, item, done, total));
        }

        fn cancelled(&self) -> bool {
            self.seen.lock().unwrap().len() >= self.after
        }
    }

    #[test]
    fn the_end_is_where_the_network_points() {
        let schedule = Schedule::shifted(4, 1.0).unwrap();
        let x = denoise(
            &mut flow(0.5),
            vec![1.0, -2.0, 0.0, 3.0],
            run(&schedule, None),
            &Silent,
        )
        .unwrap();
        assert!(x.iter().all(|x| (x - 0.5).abs() < 1e-6), "{x:?}");
    }

    #[test]
    fn held_frames_follow_the_noise_to_their_end_while_they_are_held() {
        let schedule = Schedule::shifted(4, 1.0).unwrap();
        let source = [9.0; 6];
        let noise = vec![1.0, -2.0, 0.0, 3.0, 2.0, 2.0];
        let held = |steps| {
            let hold = Hold {
                source: &source,
                free: 1..2,
                steps,
            };
            let run = Run {
                hold: Some(hold),
                ..run(&schedule, None)
            };
            denoise(&mut flow(0.5), noise.clone(), run, &Silent).unwrap()
        };
        let all = held(4);
        assert_eq!(all[..2], [9.0, 9.0]);
        assert_eq!(all[4..], [9.0, 9.0]);
        assert!(all[2..4].iter().all(|x| (x - 0.5).abs() < 1e-6), "{all:?}");
        // Let go half way: the network decides the rest.
        assert!(held(2).iter().all(|x| (x - 0.5).abs() < 1e-5));
    }

    #[test]
    fn the_null_condition_is_asked_inside_the_interval_only() {
        let schedule = Schedule::shifted(4, 1.0).unwrap();
        let mut network = flow(0.5);
        let guidance = Guidance::new(3.0, false, (0.5, 0.75));
        denoise(
            &mut network,
            vec![1.0; 4],
            run(&schedule, guidance),
            &Silent,
        )
        .unwrap();
        let without: Vec<usize> = network
            .asked
            .iter()
            .filter(|(_, branch)| *branch == Branch::Unconditional)
            .map(|(index, _)| *index)
            .collect();
        // t = 1, 0.75, 0.5, 0.25
        assert_eq!(without, [1, 2]);
    }

    #[test]
    fn cancelling_stops_before_the_next_step_and_progress_counts_steps() {
        let schedule = Schedule::shifted(4, 1.0).unwrap();
        let watcher = Watcher {
            after: 2,
            seen: Mutex::default(),
        };
        let mut network = flow(0.5);
        let result = denoise(&mut network, vec![1.0; 4], run(&schedule, None), &watcher);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(network.asked.len(), 2);
        assert_eq!(
            *watcher.seen.lock().unwrap(),
            [(Stage::Diffusion, 1, 1, 4), (Stage::Diffusion, 1, 2, 4)]
        );
    }

    #[test]
    fn values_that_are_not_finite_name_the_network() {
        let schedule = Schedule::shifted(4, 1.0).unwrap();
        let result = denoise(
            &mut flow(f32::NAN),
            vec![1.0; 4],
            run(&schedule, None),
            &Silent,
        );
        assert!(matches!(
            result,
            Err(Error::NotFinite {
                stage: Stage::Diffusion,
                module: "DiT"
            })
        ));
    }
}
