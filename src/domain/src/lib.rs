//! The vocabulary of the studio, shared by browser, server and engine.
//!
//! No clock, file, thread or randomness; builds for wasm. Bottom to top:
//! [`metadata`] (musical values), [`audio_codes`], [`region`], [`lora`] → [`task`], [`tier`], [`param`] → [`generation`], [`defaults`] →
//! [`capabilities`], [`service`] → [`plan`], [`event`], [`job`], [`library`], [`examples`], [`song_plan`], [`timed_lyrics`].

pub mod audio_codes;
pub mod capabilities;
pub mod defaults;
pub mod error;
pub mod event;
pub mod examples;
pub mod generation;
pub mod job;
pub mod library;
pub mod lora;
pub mod lyrics;
pub mod memory;
pub mod metadata;
pub mod note;
pub mod number;
pub mod param;
pub mod plan;
pub mod region;
pub mod release;
pub mod saved;
pub mod service;
pub mod song_plan;
pub mod task;
pub mod tier;
pub mod timed_lyrics;
pub mod title;

pub use error::UserError;
pub use generation::GenerationParams;
pub use note::Note;
pub use song_plan::SongPlan;
