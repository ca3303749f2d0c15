//! The studio: one engine on one thread, its queue, events and library. Serves no HTTP, holds no
//! tensors.
//!
//! [`studio::Studio`] is the only way in: a cheap handle with one method a use case. Behind it:
//! `worker` (the device thread, which sees the engine through [`backend::Backend`]) takes work from
//! `queue`; `service` tells what is loaded, `loadout` what requests are planned by; `jobs`, `events` and
//! [`library`] keep what happened, in one SQLite file (`store`) and in the files that `song_file` writes;
//! [`uploads`] keeps what is sent in, [`download`] fetches released checkpoints. [`error`] is the one place
//! where causes become sentences.

mod adopt;
pub mod backend;
pub mod download;
pub mod error;
pub mod events;
mod jobs;
pub mod library;
mod loadout;
mod pace;
pub mod paces;
mod paths;
mod queue;
mod recordings;
mod seeds;
mod service;
mod settings_file;
mod song_file;
mod store;
pub mod studio;
pub mod uploads;
mod worker;

pub use error::Error;
pub use events::Subscription;
pub use library::SongFilter;
pub use studio::{Studio, StudioOptions, Tally};
pub use uploads::Incoming;
