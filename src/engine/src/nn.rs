//! What networks are built of: weights, linears, norms, rotary positions, masks, attention, and
//! the side paths of adapters.
//!
//! A building block has `load(…, Weights)` and `forward`, speaks [`candle_core::Result`], and
//! knows neither checkpoints nor users. Device and precision come with the weights, the way
//! attention is computed with the [`attention::Backend`]; no `forward` asks for either.

pub mod attention;
pub mod kv_cache;
pub mod linear;
pub mod mask;
pub mod matrix;
pub mod mlp;
pub mod norm;
pub mod rope;
pub mod side_path;
pub mod weights;

pub use attention::{Attention, Backend, KeyValues, Span};
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use mask::Mask;
pub use matrix::Matrix;
pub use mlp::Mlp;
pub use norm::RmsNorm;
pub use rope::Rope;
pub use side_path::{Delta, Factor, SidePath, SidePaths};
pub use weights::{Formats, WeightFile, Weights};
