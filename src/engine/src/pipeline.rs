//! The fixed order of stages. The loops here see the [`Observer`](crate::observer::Observer):
//! progress goes out and the cancel token is looked at between their units.

pub mod generate;
pub(crate) mod networks;
pub mod vae_tiles;
