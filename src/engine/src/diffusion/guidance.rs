//! What to make of two answers of the network: with the request and without it. One file a method,
//! arithmetic on slices, products and norms in f64.

mod adg;
mod apg;
mod cfg;

pub use adg::Adg;
pub use apg::Apg;
pub use cfg::Cfg;

/// The two answers at one step, `[t, c]` frame after frame.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// The state.
    pub x: &'a [f32],
    /// Velocity with the request.
    pub cond: &'a [f32],
    /// Velocity with the null condition.
    pub uncond: &'a [f32],
    /// Latent channels of a frame.
    pub channels: usize,
    /// The timestep.
    pub t: f64,
}

/// Joins the two answers.
pub trait Method {
    /// The guided velocity, `[t, c]`.
    fn guide(&mut self, answers: Answers<'_>) -> Vec<f32>;
}

/// A method and where it acts.
pub struct Guidance {
    /// How the answers are joined.
    pub method: Box<dyn Method>,
    /// Acts where `start <= t <= end`; t = 1 is pure noise (engine.md 13.7).
    pub interval: (f64, f64),
}

impl Guidance {
    /// The guidance of a request: `None` when the scale says off.
    pub fn new(scale: f64, adg: bool, interval: (f64, f64)) -> Option<Self> {
        let method: Box<dyn Method> = match (scale > 1.0, adg) {
            (false, _) => return None,
            (true, true) => Box::new(Adg { scale }),
            (true, false) => Box::new(Apg::new(scale)),
        };
        Some(Self { method, interval })
    }

    /// Whether it acts at `t`. Outside the unconditional pass is not needed.
    pub fn acts_at(&self, t: f64) -> bool {
        (self.interval.0..=self.interval.1).contains(&t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_one_is_off_and_the_interval_includes_its_ends() {
        assert!(Guidance::new(1.0, false, (0.0, 1.0)).is_none());
        let guidance = Guidance::new(7.0, false, (0.25, 0.9)).unwrap();
        let acting: Vec<bool> = [0.2, 0.25, 0.5, 0.9, 1.0]
            .iter()
            .map(|&t| guidance.acts_at(t))
            .collect();
        assert_eq!(acting, [false, true, true, true, false]);
    }
}
