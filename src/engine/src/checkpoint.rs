//! Checkpoints: which files make a model, what their configs say, and what is wrong with them.
//!
//! Reads the released hub layout (a root with `acestep-v15-*`, `vae`, `Qwen3-Embedding-0.6B`),
//! from a folder or from bytes inside the binary, by the same code; each module may be a GGUF file
//! instead. It downloads nothing, runs nothing (the `.py` files of a release are ignored), and every
//! fault becomes one
//! [`Error::Checkpoint`](crate::error::Error::Checkpoint) that names the file and the reason.

mod cache;
mod config;
mod gguf;
mod inspect;
mod language_model;
mod layout;
mod list;
pub mod lora;
mod part;
mod pickle;
mod place;
mod quantize;
mod seal;
mod source;

pub(crate) use gguf::SILENCE as SILENCE_TENSOR;
pub(crate) use quantize::{
    language_model_formats as lm_formats, main_model as main_formats, misfits_note,
};

pub use inspect::{Inspection, ModelKind, ModelReport, inspect};
pub use language_model::LmCheckpoint;
pub use layout::{Checkpoint, Module};
pub use list::{built_in_lm, has_files, list_lms, list_models};
pub use part::Part;
