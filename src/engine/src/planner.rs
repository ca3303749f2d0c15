//! The 5 Hz language model: what it reads, what it may write, and what becomes of it.
//!
//! Text (prompts, grammar, parsing) knows no tensors; the network knows no fields. They meet in
//! [`constraint::Constraint`].

pub mod constraint;
