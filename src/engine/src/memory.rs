//! What memory there is, what a run needs of it and which networks are in it when; what a run takes of
//! time, which follows from the same configs.

mod huge_pages;
pub mod last_words;
mod others;
pub mod pace;
pub mod plan;
pub mod probe;
mod released;
pub(crate) mod residency;
pub(crate) mod room;
mod sizes;

pub use huge_pages::HugePages;
pub(crate) use residency::give_back;
