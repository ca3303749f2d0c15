//! The timesteps of a run, in f64. One formula for every family, any number of steps and any
//! shift: for 8 steps and shifts 1, 2, 3 it gives the tables of the turbo checkpoints.

use crate::error::{Error, Result};

/// Timesteps from the noisy end down; the end point 0 is implied.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    timesteps: Vec<f64>,
}

/// From where to where one step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Place in the run, from 0.
    pub index: usize,
    /// Where the network looks.
    pub t: f64,
    /// Where the state is afterwards; 0 = clean.
    pub next: f64,
}

impl Schedule {
    /// `t = 1 - i / steps`, moved towards the noisy end by `shift * t / (1 + (shift - 1) * t)`.
    ///
    /// # Errors
    /// No steps, or a shift that is not a positive number.
    pub fn shifted(steps: usize, shift: f64) -> Result<Self> {
        if steps == 0 {
            return Err(Error::Invalid {
                field: "inference_steps",
                reason: "a run needs at least one step".to_owned(),
            });
        }
        if !(shift.is_finite() && shift > 0.0) {
            return Err(Error::Invalid {
                field: "shift",
                reason: format!("{shift} is not a number above 0"),
            });
        }
        let timesteps = (0..steps)
            .map(|i| {
                let t = 1.0 - i as f64 / steps as f64;
                shift * t / (1.0 + (shift - 1.0) * t)
            })
            .collect();
        Ok(Self { timesteps })
    }

    /// The user's own timesteps, verbatim once trailing zeros (the implied end) are dropped.
    ///
    /// # Errors
    /// None is left, one lies outside 0 to 1, or they go up.
    pub fn custom(timesteps: &[f64]) -> Result<Self> {
        let invalid = |reason: String| {
            Err(Error::Invalid {
                field: "timesteps",
                reason,
            })
        };
        let end = timesteps
            .iter()
            .rposition(|&t| t != 0.0)
            .map_or(0, |last| last + 1);
        let timesteps = &timesteps[..end];
        if timesteps.is_empty() {
            return invalid("at least one value above 0 is needed".to_owned());
        }
        if let Some(t) = timesteps.iter().find(|t| !(**t > 0.0 && **t <= 1.0)) {
            return invalid(format!("{t} is not between 0 and 1"));
        }
        let rise = timesteps
            .iter()
            .zip(&timesteps[1..])
            .find(|(before, after)| after > before);
        if let Some((before, after)) = rise {
            return invalid(format!(
                "{after} follows {before}, but timesteps go down from 1 to 0"
            ));
        }
        Ok(Self {
            timesteps: timesteps.to_vec(),
        })
    }

    /// What is left of the schedule from the timestep nearest to `level` on; of two as near the
    /// noisier one (engine.md 6.6).
    #[must_use]
    pub fn from_level(&self, level: f64) -> Self {
        let distance = |index: &usize| (self.timesteps[*index] - level).abs();
        let first = (0..self.timesteps.len())
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(0);
        Self {
            timesteps: self.timesteps[first..].to_vec(),
        }
    }

    /// Where the network looks, in order.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.timesteps.len()
    }

    /// Never true: a schedule has at least one step.
    pub fn is_empty(&self) -> bool {
        self.timesteps.is_empty()
    }

    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.timesteps.iter().enumerate().map(|(index, &t)| Step {
            index,
            t,
            next: self.timesteps.get(index + 1).copied().unwrap_or(0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_may_begin_at_the_step_nearest_to_a_level() {
        let schedule = Schedule::shifted(4, 1.0).unwrap(); // 1, 0.75, 0.5, 0.25
        for (level, left) in [(1.0, 4), (0.9, 4), (0.875, 4), (0.8, 3), (0.5, 2), (0.0, 1)] {
            assert_eq!(schedule.from_level(level).len(), left, "{level}");
        }
    }

    #[test]
    fn eight_steps_give_the_tables_of_the_turbo_checkpoints() {
        for (shift, table) in [
            (1.0, [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
            (
                2.0,
                [
                    1.0,
                    0.933_333_333_333_333_3,
                    0.857_142_857_142_857_1,
                    0.769_230_769_230_769_3,
                    0.666_666_666_666_666_6,
                    0.545_454_545_454_545_4,
                    0.4,
                    0.222_222_222_222_222_2,
                ],
            ),
            (
                3.0,
                [
                    1.0,
                    0.954_545_454_545_454_6,
                    0.9,
                    0.833_333_333_333_333_4,
                    0.75,
                    0.642_857_142_857_142_9,
                    0.5,
                    0.3,
                ],
            ),
        ] {
            let schedule = Schedule::shifted(8, shift).unwrap();
            for (ours, official) in schedule.timesteps().iter().zip(table) {
                assert!(
                    (ours - official).abs() < 1e-15,
                    "shift {shift}: {ours} {official}"
                );
            }
        }
    }

    #[test]
    fn every_run_starts_at_noise_goes_down_and_ends_clean() {
        for steps in [1, 2, 7, 20, 200] {
            for shift in [0.5, 1.0, 3.0, 5.0] {
                let schedule = Schedule::shifted(steps, shift).unwrap();
                let all: Vec<Step> = schedule.steps().collect();
                assert_eq!(all.len(), steps);
                assert!((all[0].t - 1.0).abs() < 1e-12);
                assert_eq!(all[steps - 1].next, 0.0);
                for step in all {
                    assert!(step.next < step.t, "{step:?}");
                }
            }
        }
    }

    #[test]
    fn own_timesteps_are_used_as_written_without_the_implied_end() {
        let schedule = Schedule::custom(&[0.97, 0.5, 0.5, 0.1, 0.0, 0.0]).unwrap();
        assert_eq!(schedule.timesteps(), [0.97, 0.5, 0.5, 0.1]);
        assert_eq!(schedule.steps().last().map(|step| step.next), Some(0.0));
    }

    #[test]
    fn timesteps_that_mean_nothing_are_refused_by_name() {
        for wrong in [
            &[][..],
            &[0.0],
            &[1.2],
            &[0.5, f64::NAN],
            &[-0.1],
            &[0.2, 0.8],
        ] {
            let error = Schedule::custom(wrong).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Invalid {
                        field: "timesteps",
                        ..
                    }
                ),
                "{wrong:?}: {error}"
            );
        }
        assert!(Schedule::shifted(0, 3.0).is_err());
        assert!(Schedule::shifted(8, f64::NAN).is_err());
    }
}
