//! The fixed order of stages. The loops here see the [`Observer`](crate::observer::Observer):
//! progress goes out and the cancel token is looked at between their units.

pub mod align;
pub(crate) mod audio_codes;
mod decoding;
mod finite;
pub mod generate;
mod kept;
mod loras;
pub mod measure;
pub(crate) mod networks;
mod prepared;
mod room;
pub mod score;
mod sources;
pub mod thinking;
pub mod vae_tiles;
pub mod writing;
