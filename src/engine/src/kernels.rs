//! The operations that decide how long a song takes: convolutions, snake, attention, norms, gates,
//! linear layers of a few rows, of packed and of quantised weights. Everything else is candle's.
//!
//! Each file holds one operation: a public function or type on tensors. On a CPU in f32 it runs
//! the kernel of this module, on an NVIDIA card, for what lies between two matrix products, that of
//! [`card`], and anywhere else candle's own operations, so a network never asks where it runs. Convolutions and attention rest on one inner loop, [`tile`]: a small block of
//! rows times a few vectors of columns, held in registers, whose right-hand side is read through
//! a table of offsets; that makes im2col, transposed convolution and attention the same loop
//! without building any large matrix.
//!
//! The instruction set is chosen when the program runs ([`simd`]); no result needs
//! `-C target-cpu=native`. Every output value is one sum in one order, whatever the blocks,
//! the number of threads, the position in the batch or the tile of the song it is computed in:
//! the same bytes on the same machine.

pub mod agreement;
pub mod attention;
pub mod card;
#[cfg(test)]
mod check;
pub mod conv1d;
pub mod conv_transpose1d;
mod direct;
mod exp2;
pub mod gated;
pub mod heads;
mod linear;
pub mod matvec;
pub mod norm;
pub(crate) mod parallel;
pub mod prepacked;
pub mod quantized;
pub mod rates;
mod simd;
pub mod snake;
pub mod swiglu;
mod tile;
mod transpose;

pub(crate) use conv1d::runs_here;
pub use parallel::{start_threads, threads};
