//! From noise to latents: when to look ([`schedule`]), where to start ([`noise`]), what to believe
//! ([`guidance`]), how far to go ([`solver`]), and the one loop that does it ([`denoise`]).
//!
//! The flow is `x_t = t * noise + (1 - t) * x0` for t from 1 to 0, with velocity
//! `v = noise - x0` (engine.md 6). The state lives on the host in f32, one song at a time,
//! whatever the network runs on and in: a song is a few megabytes, and so its arithmetic is the
//! same everywhere. The network is seen as [`denoise::Network`] and nothing else.

pub mod denoise;
pub mod guidance;
pub mod noise;
pub mod schedule;
pub mod solver;
