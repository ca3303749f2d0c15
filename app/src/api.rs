//! Server functions, one file an area of the studio. A body takes [`Studio`](acestep_studio::Studio)
//! from context, makes one call and returns; nothing is validated here, the guard stands below.

pub mod call;
pub mod downloads;
pub mod error;
pub mod form;
pub mod jobs;
pub mod loras;
pub mod needs;
pub mod preferences;
pub mod recordings;
pub mod service;
pub mod snapshot;
pub mod songs;

#[cfg(feature = "ssr")]
mod context;

pub use error::ApiError;
