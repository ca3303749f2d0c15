//! How the state moves once the velocity is known. One file a solver, arithmetic on slices.

mod ode;
mod sde;

use acestep_domain::generation::InferMethod;

use super::schedule::Step;

pub use ode::Ode;
pub use sde::Sde;

/// Moves the state of one song through one step.
pub trait Solver {
    /// `x` is the state at `step.t` and becomes the state at `step.next`; `v` is the velocity at
    /// `step.t`. Both are `[t, c]`, frame after frame.
    fn step(&mut self, x: &mut [f32], v: &[f32], step: Step);
}

/// The solver of `method` for the song of `seed`.
pub fn solver(method: InferMethod, seed: u32) -> Box<dyn Solver> {
    match method {
        InferMethod::Ode => Box::new(Ode),
        InferMethod::Sde => Box::new(Sde { seed }),
    }
}
