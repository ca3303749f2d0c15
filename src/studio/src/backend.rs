//! The engine as the worker sees it. A trait, so that tests can script out-of-memory, slowness,
//! crashes and panics; the real one wraps the engine (`backend/engine.rs`).

pub(crate) mod engine;

use std::path::Path;

use acestep_domain::{
    Note,
    capabilities::{DeviceKind, ModelEntry},
    lora::LoraUse,
    release::Downloadable,
    service::{LoadedLm, LoadedModel, Resolved},
};
use acestep_engine::engine::LoadOptions;
pub use acestep_engine::engine::{AlignRequest, Aligned, Heard, ScoreSong, Scored};
pub use acestep_engine::engine::{
    Request, RunReport, Take, Thinking, Thought, WriteReport, WriteRequest,
};
pub use acestep_engine::memory::plan::{Free, Models};
use acestep_engine::{error::Result, observer::Observer};

/// One engine, owned by the worker's thread.
pub trait Backend: Send {
    /// Looks at the main model without reading its weights, so that a wrong one is refused before
    /// what is loaded is dropped.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, wanted: &Resolved) -> Result<()>;

    /// The same for the language model, if one is wanted.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_lm(&self, wanted: &Resolved) -> Result<()>;

    /// Loads the main model; nothing is loaded before. Cancellable through the observer.
    ///
    /// # Errors
    /// Why it cannot be loaded, or that it was cancelled.
    fn load(&mut self, wanted: &Resolved, observer: &dyn Observer) -> Result<Loaded>;

    /// Brings the language model that is wanted in place of the one that is loaded, beside the main
    /// model; gives it up when none is wanted.
    ///
    /// # Errors
    /// Why it cannot be loaded, or that it was cancelled; then none is.
    fn load_lm(
        &mut self,
        wanted: &Resolved,
        observer: &dyn Observer,
    ) -> Result<Option<LoadedLanguageModel>>;

    /// How models are surveyed, also while the worker has this.
    fn survey(&self) -> Survey;

    /// Drops what is loaded.
    fn unload(&mut self);

    /// Asks the language model, if there is one, for what a request leaves to it.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    fn think(&mut self, thinking: Thinking<'_>, observer: &dyn Observer) -> Result<Thought>;

    /// Makes words or codes.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    fn write(&mut self, request: &WriteRequest<'_>, observer: &dyn Observer)
    -> Result<WriteReport>;

    /// Puts adapters beside the main model in place of those that are there.
    ///
    /// # Errors
    /// One is missing, damaged, or made for another model; then all stays as it was.
    fn use_loras(&mut self, uses: &[LoraUse], observer: &dyn Observer) -> Result<UsedLoras>;

    /// Finds out when the words of a song are sung.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    fn align(&mut self, request: &AlignRequest<'_>, observer: &dyn Observer) -> Result<Aligned>;

    /// Scores a song.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    fn score(&mut self, request: &ScoreSong<'_>, observer: &dyn Observer) -> Result<Scored>;

    /// Makes songs. `sink` takes each song as it is finished, in order.
    ///
    /// # Errors
    /// Why it failed, that it was cancelled, or whatever `sink` gave back.
    fn generate(
        &mut self,
        request: &Request,
        observer: &dyn Observer,
        sink: &mut dyn FnMut(Take) -> Result<()>,
    ) -> Result<RunReport>;
}

/// Finds what is needed to plan the memory of runs with what a request loads, from configs and headers
/// alone; `None` where it is not known, and then nothing is checked. Fails where a load would for what is
/// wrong with the checkpoints.
pub type Survey = Box<dyn Fn(&Resolved) -> Result<Option<Memory>> + Send + Sync>;

/// What memory plans are made of.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The models' sizes.
    pub models: Models,
    /// How they are loaded.
    pub options: LoadOptions,
    /// What can be had now, where networks of a device run.
    pub free: fn(DeviceKind) -> Free,
}

impl Memory {
    /// What plans and paces are made of now.
    pub(crate) fn setup(&self) -> (&Models, &LoadOptions, Free) {
        let free = (self.free)(self.options.device);
        (&self.models, &self.options, free)
    }
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The model.
    pub model: LoadedModel,
    /// Whatever is worth saying about it.
    pub notes: Vec<Note>,
}

/// The language model that was loaded.
#[derive(Debug, Clone)]
pub struct LoadedLanguageModel {
    /// It.
    pub lm: LoadedLm,
    /// Whatever is worth saying about it.
    pub notes: Vec<Note>,
}

/// The adapters that act.
#[derive(Debug, Clone, Default)]
pub struct UsedLoras {
    /// Each with the hash of its files.
    pub loras: Vec<LoraUse>,
    /// Whatever is worth saying about them.
    pub notes: Vec<Note>,
}

/// What is installed.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// DiT checkpoints, the built-in one included.
    pub models: Vec<ModelEntry>,
    /// Language models: folder name and bytes.
    pub lms: Vec<(String, u64)>,
    /// The language model inside the binary: name and bytes.
    pub built_in_lm: Option<(String, u64)>,
    /// Releases that are not there, or not whole.
    pub downloadable: Vec<Downloadable>,
}

/// Lists what is installed in a checkpoints folder.
pub type Scan = Box<dyn Fn(&Path) -> Found + Send + Sync>;
