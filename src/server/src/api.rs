//! The JSON API below `/api/v1`. A handler is: typed input, one call of the studio, typed output.
//! What is asked wrongly is answered by [`error`] and [`json`], the same way everywhere.

pub mod archive;
pub mod downloads;
pub mod error;
pub mod jobs;
pub mod json;
pub mod loras;
pub mod official;
pub mod service;
pub mod songs;
pub mod uploads;
