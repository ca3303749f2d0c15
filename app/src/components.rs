//! Pieces of the page, one block of the style sheet a file.

pub mod app_bar;
pub mod copy_button;
pub mod dialog;
pub mod error_page;
pub mod icon;
pub mod key_map;
pub mod language;
pub mod launch_line;
pub mod menu;
pub mod model_list;
pub mod status_line;
pub mod theme;
pub mod tier_card;
pub mod transport;
pub mod wave;
