//! What networks are built of: weights, linears, norms, rotary positions, masks, attention.
//!
//! A building block has `load(…, Weights)` and `forward`, speaks [`candle_core::Result`], and
//! knows neither checkpoints nor users. Device and precision come with the weights, the way
//! attention is computed with the [`attention::Backend`]; no `forward` asks for either.

pub mod mask;
pub mod weights;
