//! What memory there is, and which networks are in it when.

pub mod probe;
pub(crate) mod residency;
