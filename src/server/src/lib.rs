//! The program `acestep`: flags, environment, routes, wiring. Sees everything, is seen by nothing.
//!
//! [`cli`] reads the command line and the environment ([`env`]); `acestep serve` opens a studio,
//! wraps it in [`state`] and serves [`router`]: the JSON API ([`api`], [`events`], [`media`]), the
//! page ([`page`], [`site`]), all behind [`auth`]. [`launch`] owns port, browser and shutdown.

#![recursion_limit = "512"]

pub mod api;
pub mod auth;
mod base64;
pub mod cli;
pub mod env;
pub mod events;
pub mod launch;
pub mod media;
pub mod page;
mod progress;
pub mod router;
pub mod site;
pub mod state;
mod telemetry;
