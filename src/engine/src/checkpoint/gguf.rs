//! Models as GGUF files, as acestep.cpp writes them: one network or family of networks a file, the
//! config as JSON text, the tokenizer as lists without added tokens, tensors by their names in the
//! released files.
//!
//! A file is what its `general.architecture` says, whatever its name is.

mod tokenizer;

use serde::de::DeserializeOwned;

use super::{layout::has_extension, source::Source};
use crate::{
    error::{Error, Result},
    nn::{WeightFile, weights::Metadata},
};

/// Constant context frames, `[t, c]`, in the file of a DiT.
pub(crate) const SILENCE: &str = "silence_latent";

const ARCHITECTURE: &str = "general.architecture";
const CONFIG: &str = "acestep.config_json";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Decoder, condition encoder, audio tokenizers, silence.
    Dit,
    /// Text encoder with its tokenizer.
    TextEncoder,
    /// Autoencoder.
    Vae,
    /// 5Hz language model with its tokenizer.
    Lm,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Dit, Self::TextEncoder, Self::Vae, Self::Lm];

    /// Its `general.architecture`.
    pub(super) const fn architecture(self) -> &'static str {
        match self {
            Self::Dit => "acestep-dit",
            Self::TextEncoder => "acestep-text-enc",
            Self::Vae => "acestep-vae",
            Self::Lm => "acestep-lm",
        }
    }

    /// In words, with its article.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Dit => "a main model",
            Self::TextEncoder => "a text encoder",
            Self::Vae => "an autoencoder",
            Self::Lm => "a language model",
        }
    }
}

/// What `file` says it is; `None` when it says something else, or cannot be read.
pub(super) fn kind(source: &Source, file: &str) -> Option<Kind> {
    let opened = source.open(file).ok()?;
    let name = opened.metadata()?.text(ARCHITECTURE)?;
    Kind::ALL
        .into_iter()
        .find(|kind| kind.architecture() == name)
}

/// GGUF files of a folder, by name.
pub(super) fn files(source: &Source, folder: &str) -> Vec<String> {
    let below = |name: String| {
        if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        }
    };
    source
        .names(folder)
        .into_iter()
        .filter(|name| has_extension(name, "gguf"))
        .map(below)
        .filter(|file| source.has(file))
        .collect()
}

/// The GGUF file that `name` means: a file of that name, with or without its ending, or the only
/// one of its kind in a folder that has no safetensors. `None` when it means something else.
///
/// # Errors
/// The folder has several.
pub(super) fn find(source: &Source, name: &str, wanted: Kind) -> Result<Option<String>> {
    if has_extension(name, "gguf") && source.has(name) {
        return Ok(Some(name.to_owned()));
    }
    if !source.has_folder(name) {
        let file = format!("{name}.gguf");
        return Ok(source.has(&file).then_some(file));
    }
    let released = |file: &String| {
        has_extension(file, "safetensors") || file.ends_with(".safetensors.index.json")
    };
    if source.names(name).iter().any(released) {
        return Ok(None);
    }
    let mut there = files(source, name);
    if there.len() > 1 {
        there.retain(|file| kind(source, file) == Some(wanted));
    }
    match there.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        [first, second, ..] => {
            let last = |file: &String| file.rsplit('/').next().unwrap_or(file).to_owned();
            Err(Error::checkpoint(
                source.path(name),
                format!(
                    "there are several GGUF files, {} and {} among them; keep one, or move them beside this folder and choose one by its name",
                    last(first),
                    last(second)
                ),
            ))
        }
    }
}

/// Opens `file` and checks that it is what is wanted.
///
/// # Errors
/// It cannot be read, is damaged, or holds something else.
pub(super) fn open(source: &Source, file: &str, wanted: Kind) -> Result<WeightFile> {
    let opened = source.open(file)?;
    let wrong = |reason: String| Error::checkpoint(source.path(file), reason);
    let metadata = metadata(&opened).map_err(wrong)?;
    match metadata.text(ARCHITECTURE) {
        Some(name) if name == wanted.architecture() => Ok(opened),
        Some(other) => Err(wrong(format!(
            "its architecture is {other}, and {}'s is {}",
            wanted.words(),
            wanted.architecture()
        ))),
        None => Err(wrong(missing(ARCHITECTURE))),
    }
}

fn missing(key: &str) -> String {
    format!("the key {key} is missing, or is not what it should be")
}

fn metadata(file: &WeightFile) -> std::result::Result<Metadata<'_>, String> {
    file.metadata()
        .ok_or_else(|| "this is not a GGUF file".to_owned())
}

/// The config in a file, with its keys there.
///
/// # Errors
/// It is missing, no JSON, or lacks a key.
pub(super) fn config<T: DeserializeOwned>(source: &Source, file: &str, wanted: Kind) -> Result<T> {
    let opened = open(source, file, wanted)?;
    let read = || {
        let text = metadata(&opened)?
            .text(CONFIG)
            .ok_or_else(|| missing(CONFIG))?;
        serde_json::from_str(text).map_err(|error| {
            let words = error.to_string().replace("missing field", "missing key");
            format!("{CONFIG}: {words}")
        })
    };
    read().map_err(|reason| Error::checkpoint(source.path(file), reason))
}

/// The tokenizer in the form of a `tokenizer.json`, for a network of `vocabulary` tokens.
///
/// # Errors
/// A list is missing or of another kind, or the network has too few tokens for it.
pub(super) fn tokenizer(
    source: &Source,
    file: &str,
    wanted: Kind,
    vocabulary: usize,
) -> Result<Vec<u8>> {
    let opened = open(source, file, wanted)?;
    metadata(&opened)
        .and_then(|metadata| tokenizer::json_of(metadata, vocabulary))
        .map_err(|reason| Error::checkpoint(source.path(file), reason))
}

/// Files in the root that begin with `prefix`: names and sizes.
pub(super) fn list(source: &Source, prefix: &str) -> Vec<(String, u64)> {
    files(source, "")
        .into_iter()
        .filter(|name| name.starts_with(prefix))
        .map(|name| {
            let bytes = source.size(&name);
            (name, bytes)
        })
        .collect()
}
