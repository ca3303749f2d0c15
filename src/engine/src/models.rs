//! The networks, one a file, bordered as the reference's classes are.
//!
//! A network has a `Config` (the keys of `config.json`), `load(&Config, …, Weights)`, `forward`,
//! `parameters` and `footprint` (both from the config alone). It knows no tasks, files or users.
//! Sequences of different lengths are run one by one: no network takes a padding mask.

pub mod audio_detokenizer;
pub mod audio_tokenizer;
pub mod condition_encoder;
pub mod dit;
pub mod encoder_layer;
pub mod fsq;
pub mod lyric_encoder;
pub mod oobleck;
pub mod qwen3;
pub mod timbre_encoder;

pub use audio_detokenizer::AudioDetokenizer;
pub use audio_tokenizer::AudioTokenizer;
pub use condition_encoder::ConditionEncoder;
pub use dit::Dit;
pub use oobleck::Oobleck;
pub use qwen3::Qwen3;
