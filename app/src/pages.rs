//! One file a page, a folder beside it for its sections. A page only composes.

pub mod compare;
pub mod generate;
pub mod library;
pub mod service;
