//! Pieces of the page, one block of the style sheet a file. A component neither calls the server nor
//! knows a page; ids come from the parameter key.

pub mod adapter;
pub mod app_bar;
pub mod copy_button;
pub mod dialog;
pub mod error_page;
pub mod error_words;
pub mod field;
pub mod figures;
pub mod icon;
pub mod key_map;
pub mod language;
pub mod launch_line;
pub mod menu;
pub mod model_list;
pub mod note;
pub mod note_words;
pub mod notice;
pub mod progress;
pub mod readout;
pub mod recording_player;
pub mod region;
pub mod scores;
pub mod segmented;
pub mod select;
pub mod slider;
pub mod status_line;
pub mod switch;
pub mod text_area;
pub mod theme;
pub mod tier_card;
pub mod timed_lyrics;
pub mod transport;
pub mod wave;
