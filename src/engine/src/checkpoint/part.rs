//! The weights of one folder: their files, and the networks that are loaded from them.

use std::path::{Path, PathBuf};

use acestep_domain::note::Note;

use super::{
    cache::{self, Order},
    config,
    layout::has_extension,
    source::Source,
};
use crate::{
    device::Placement,
    error::{Error, Result, Stage, message},
    kernels::runs_here,
    nn::{
        Formats, WeightFile, Weights,
        weights::{Held, Misfits},
    },
};

/// Weights of a folder as they are.
pub(super) fn part(source: &Source, folder: &str, placement: &Placement) -> Result<Part> {
    let (files, names) = open_weights(source, folder)?;
    let (path, bytes) = weights_place(source, folder, &names);
    Part::new(files, path, bytes, placement)
}

/// Weights of a folder with matrices in `formats`, from the cache beside them where there is or can
/// be one; else with a note why not.
pub(super) fn part_in(
    source: &Source,
    folder: &str,
    placement: &Placement,
    formats: Formats,
    check: &dyn Fn() -> Result<()>,
) -> Result<(Part, Option<Note>)> {
    let names = weight_files(source, folder)?;
    let order = if runs_here(&placement.device, placement.dtype) {
        Order::Panels
    } else {
        Order::Blocks
    };
    let (cached, note) = cache::open(source, folder, &names, (formats, order), check)?;
    let part = match cached {
        Some(cached) => {
            let (path, bytes) = weights_place(source, folder, &names);
            Part::new(vec![cached], path, bytes, placement)?
        }
        None => part(source, folder, placement)?.with_formats(formats),
    };
    Ok((part, note))
}

/// Where the weights `names` of a folder are, for messages, and their bytes.
pub(super) fn weights_place(source: &Source, folder: &str, names: &[String]) -> (PathBuf, u64) {
    let path = match names {
        [only] => source.path(&format!("{folder}/{only}")),
        _ => source.path(folder),
    };
    let bytes = names
        .iter()
        .map(|name| source.size(&format!("{folder}/{name}")))
        .sum();
    (path, bytes)
}

/// Weights of one folder. Networks are loaded from it one after another; what none of them took
/// is told by [`Part::unused`].
pub struct Part {
    weights: Weights,
    /// Matrices are quantised while they are taken.
    quantizes: bool,
    misfits: Misfits,
    path: PathBuf,
    bytes: u64,
}

impl Part {
    /// The weights of `files`, which are at `path` and have `bytes` in all.
    ///
    /// # Errors
    /// Two files hold the same tensor.
    pub(super) fn new(
        files: Vec<WeightFile>,
        path: PathBuf,
        bytes: u64,
        placement: &Placement,
    ) -> Result<Self> {
        let weights = Weights::new(files, placement.dtype, &placement.device)
            .map_err(|damage| Error::checkpoint(&path, damage.to_string()))?;
        Ok(Self {
            weights,
            quantizes: false,
            misfits: Misfits::default(),
            path,
            bytes,
        })
    }

    /// Loads a network: `part.load(|w| Dit::load(&checkpoint.dit, backend, &w.pp("decoder")))`.
    ///
    /// # Errors
    /// The network's complaint with the path of the weights, or out of memory.
    pub fn load<T>(&self, network: impl FnOnce(&Weights) -> candle_core::Result<T>) -> Result<T> {
        network(&self.weights).map_err(|error| match Error::in_stage(Stage::Load)(error) {
            Error::Stage { source, .. } => Error::checkpoint(&self.path, message(&source)),
            out_of_memory => out_of_memory,
        })
    }

    /// Loads a network without reading its data: every name, shape and dtype is checked and noted
    /// down, here as in [`Self::load`].
    ///
    /// # Errors
    /// The first complaint with the path of the weights.
    pub(crate) fn rehearse<T>(
        &self,
        network: impl FnOnce(&Weights) -> candle_core::Result<T>,
    ) -> Result<()> {
        let rehearsal = self.weights.rehearse();
        let outcome = network(&rehearsal);
        if let Some(complaint) = rehearsal.complaints().into_iter().next() {
            return Err(Error::checkpoint(&self.path, complaint));
        }
        self.weights.note_down(&rehearsal);
        self.load(|_| outcome).map(drop)
    }

    /// The same weights; matrices that are not quantised yet come out in `formats`.
    #[must_use]
    pub(super) fn with_formats(self, formats: Formats) -> Self {
        Self {
            weights: self.weights.with_formats(formats),
            quantizes: formats != Formats::default(),
            ..self
        }
    }

    /// The same weights, with a count of what does not get its format of `formats`.
    #[must_use]
    pub(super) fn counted(self, formats: Formats, ours: bool) -> Self {
        Self {
            misfits: self.weights.misfits(formats, ours),
            ..self
        }
    }

    /// What does not get the format that was asked for it.
    pub(crate) fn misfits(&self) -> Misfits {
        self.misfits
    }

    /// The same weights; see [`Weights::prepacked`].
    #[must_use]
    pub(crate) fn prepacked(self, wanted: bool) -> Self {
        Self {
            weights: self.weights.prepacked(wanted),
            ..self
        }
    }

    /// The same weights; see [`Weights::in_large_pages`].
    #[must_use]
    pub(super) fn in_large_pages(self) -> Self {
        Self {
            weights: self.weights.in_large_pages(),
            ..self
        }
    }

    /// Whether every load of a network quantises its matrices anew. Such a network is not read
    /// again and again: the second value is the note that says so.
    pub(crate) fn stays(&self, wanted: bool, field: &str) -> (bool, Option<Note>) {
        if wanted || !self.quantizes {
            return (wanted, None);
        }
        let note = Note::new(
            "offload_without_file",
            field,
            format!(
                "Offload: what is in {} stays loaded, since there is no file of its quantised weights to read it from.",
                self.path.display()
            ),
        );
        (true, Some(note))
    }

    /// What networks have taken so far.
    pub fn held(&self) -> Held {
        self.weights.held()
    }

    /// Tensors that no network has taken.
    pub fn unused(&self) -> Vec<String> {
        self.weights.unused()
    }

    /// A note about tensors that `reader` did not take and that are not `expected` to be left.
    pub(crate) fn unused_note(
        &self,
        reader: &str,
        expected: impl Fn(&str) -> bool,
    ) -> Option<Note> {
        let mut unused = self.unused();
        unused.retain(|name| !expected(name));
        let first = unused.first()?;
        Some(Note::general(
            "tensors_unused",
            format!(
                "{}: {} tensors were not used by {reader}, for example {first}.",
                self.path.display(),
                unused.len()
            ),
        ))
    }

    /// The file, or the folder when there are several.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The weight files of a folder and their names: one file, or the shards an index lists.
pub(super) fn open_weights(
    source: &Source,
    folder: &str,
) -> Result<(Vec<WeightFile>, Vec<String>)> {
    let names = weight_files(source, folder)?;
    let files = names
        .iter()
        .map(|name| source.open(&format!("{folder}/{name}")))
        .collect::<Result<Vec<_>>>()?;
    Ok((files, names))
}

pub(super) fn weight_files(source: &Source, folder: &str) -> Result<Vec<String>> {
    for stem in ["model", "diffusion_pytorch_model"] {
        let single = format!("{stem}.safetensors");
        if source.has(&format!("{folder}/{single}")) {
            return Ok(vec![single]);
        }
        let index = format!("{folder}/{stem}.safetensors.index.json");
        if source.has(&index) {
            return shards(source, folder, &index);
        }
    }
    let there = source.names(folder);
    let reason = if there.iter().any(|name| has_extension(name, "gguf")) {
        "there are no safetensors weights in this folder, and no GGUF file that says it is this model"
            .to_owned()
    } else if let Some(shard) = there.iter().find(|name| has_extension(name, "safetensors")) {
        format!(
            "there is no model.safetensors and no model.safetensors.index.json that lists {shard}"
        )
    } else {
        "there are no weights in this folder (model.safetensors); download it again".into()
    };
    Err(Error::checkpoint(source.path(folder), reason))
}

fn shards(source: &Source, folder: &str, index: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let listed: Index = config::read(source, index)?;
    let mut names: Vec<String> = listed.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Error::checkpoint(
            source.path(index),
            "the index lists no file",
        ));
    }
    for name in &names {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::checkpoint(
                source.path(index),
                format!("the index lists `{name}`, which is no file name"),
            ));
        }
        if !source.has(&format!("{folder}/{name}")) {
            return Err(Error::checkpoint(
                source.path(index),
                format!("the index lists {name}, which is missing; download it again"),
            ));
        }
    }
    Ok(names)
}
