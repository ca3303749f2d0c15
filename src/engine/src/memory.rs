//! What memory there is, what a run needs of it, and which networks are in it when.

mod huge_pages;
pub mod plan;
pub mod probe;
mod released;
pub(crate) mod residency;
mod sizes;

pub use huge_pages::HugePages;
