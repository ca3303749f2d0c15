//! Pieces of the page, one block of the style sheet a file.

pub mod app_bar;
pub mod error_page;
pub mod icon;
pub mod status_line;
pub mod transport;
