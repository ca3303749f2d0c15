//! ACE-Step 1.5 inference: networks, samplers, memory, audio. No network, no database; reads a
//! checkpoint folder or bytes.
//!
//! Shape letters, lower case in square brackets in comments (`// [b, t, c]`): `b` batch, `n` audio
//! samples, `t` latent frames, `s` DiT tokens, `q` 5 Hz codes, `l` encoder or LM tokens, `c` latent
//! channels, `h` hidden size, `i` MLP size, `nq` and `nk` query and key-value heads, `d` head
//! dimension, `v` vocabulary, `he` width of the condition encoder.

pub mod alignment;
pub mod audio;
pub mod capabilities;
pub mod cards;
pub mod checkpoint;
pub mod demo;
pub mod device;
pub mod diffusion;
pub mod engine;
pub mod error;
pub mod footprint;
pub mod kernels;
pub mod memory;
pub mod models;
pub mod nn;
pub mod observer;
pub mod pipeline;
pub mod planner;
pub mod room;
pub mod tasks;
pub mod text;
