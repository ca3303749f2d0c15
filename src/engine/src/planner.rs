//! The 5 Hz language model: what it reads, what it may write, and what becomes of it.
//!
//! Text (prompts, grammar, parsing) knows no tensors; the network knows no fields. They meet in
//! [`constraint::Constraint`].

pub mod constraint;
pub mod decode;
pub mod decoder_log;
pub mod free;
pub mod grammar;
pub mod jobs;
pub mod language_model;
pub mod parse;
pub mod plan_text;
pub mod prompt;
pub mod sampler;
pub mod scoring;
mod text_job;
pub mod tokenizer;
pub mod yaml;
