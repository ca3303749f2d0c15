//! Where the files of one module are: a folder in the released layout, or one GGUF file.

use std::path::{Path, PathBuf};

use acestep_domain::note::Note;
use candle_core::DType;
use serde::de::DeserializeOwned;

use super::{
    config,
    gguf::{self, Kind},
    layout::{Module, TEXT_ENCODER, VAE, has_extension, missing_folder},
    part::{Part, open_weights, part, part_in},
    source::Source,
};
use crate::{
    demo,
    device::Placement,
    error::{Error, Result},
    nn::{
        Formats, WeightFile,
        weights::{Held, Stored},
    },
};

/// Where a module is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder with `config.json` and safetensors.
    Folder(String),
    /// One GGUF file.
    File(String, Kind),
}

impl Place {
    /// The folder or file, below the source.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Folder(name) | Self::File(name, _) => name,
        }
    }

    /// For messages.
    pub(super) fn path(&self, source: &Source) -> PathBuf {
        source.path(self.name())
    }

    /// Where its config is, for messages.
    pub(super) fn config_path(&self, source: &Source) -> PathBuf {
        match self {
            Self::Folder(folder) => source.path(&format!("{folder}/config.json")),
            Self::File(file, _) => source.path(file),
        }
    }

    /// Its config.
    ///
    /// # Errors
    /// It is missing, no JSON, or lacks a key.
    pub(super) fn config<T: DeserializeOwned>(&self, source: &Source) -> Result<T> {
        match self {
            Self::Folder(folder) => config::read(source, &format!("{folder}/config.json")),
            Self::File(file, kind) => gguf::config(source, file, *kind),
        }
    }

    /// Where its tokenizer is, for messages.
    pub(super) fn tokenizer_path(&self, source: &Source) -> PathBuf {
        match self {
            Self::Folder(folder) => source.path(&format!("{folder}/tokenizer.json")),
            Self::File(file, _) => source.path(file),
        }
    }

    /// Its `tokenizer.json`; that of a GGUF file is written from its lists, for a network of
    /// `vocabulary` tokens.
    ///
    /// # Errors
    /// The file is missing or not what it should be.
    pub(super) fn tokenizer(&self, source: &Source, vocabulary: usize) -> Result<Vec<u8>> {
        match self {
            Self::Folder(folder) => Ok(source
                .read(&format!("{folder}/tokenizer.json"))?
                .into_owned()),
            Self::File(file, kind) => gguf::tokenizer(source, file, *kind, vocabulary),
        }
    }

    /// Its weight files, open.
    ///
    /// # Errors
    /// One is missing or damaged.
    pub(super) fn weights(&self, source: &Source) -> Result<Vec<WeightFile>> {
        match self {
            Self::Folder(folder) => Ok(open_weights(source, folder)?.0),
            Self::File(file, kind) => Ok(vec![gguf::open(source, file, *kind)?]),
        }
    }

    /// Its weight files where it is a GGUF file.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn gguf(&self, source: &Source) -> Result<Option<Vec<WeightFile>>> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::File(..) => self.weights(source).map(Some),
        }
    }

    /// How its matrices are stored: in bf16 if all of them are, else in f32. So are those that cannot be looked at:
    /// their load says why.
    pub(super) fn stored(&self, source: &Source) -> DType {
        let is_bf16 = |file: &WeightFile| {
            let mut matrices = file.tensors().values().filter(|info| info.shape.len() == 2);
            matrices.all(|info| info.stored == Stored::Plain(DType::BF16))
        };
        match self.weights(source) {
            Ok(files) if files.iter().all(is_bf16) => DType::BF16,
            _ => DType::F32,
        }
    }

    /// The block format that most of a GGUF file is in; `None` where nothing is quantised.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn packed(&self, source: &Source) -> Result<Option<String>> {
        let Self::File(file, kind) = self else {
            return Ok(None);
        };
        let opened = gguf::open(source, file, *kind)?;
        let mut held = Held::default();
        for info in opened.tensors().values() {
            if let Stored::Packed(format) | Stored::Panels(format) = info.stored {
                *held.packed.entry(format).or_default() += info.range.len() as u64;
            }
        }
        let most = held.packed.iter().max_by_key(|(_, bytes)| **bytes);
        Ok(most.map(|(format, _)| format.as_str().to_owned()))
    }

    /// Its weights as they are.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub(super) fn part(&self, source: &Source, placement: &Placement) -> Result<Part> {
        match self {
            Self::Folder(folder) => part(source, folder, placement),
            Self::File(file, _) => Part::new(
                self.weights(source)?,
                source.path(file),
                source.size(file),
                placement,
            ),
        }
    }

    /// Its weights with matrices in `formats`: from a cache beside a folder, see [`part_in`]; of a
    /// file, what is not in blocks yet is quantised while it is taken.
    ///
    /// # Errors
    /// A file is missing or damaged, or whatever `check` gives back.
    pub(super) fn part_in(
        &self,
        source: &Source,
        placement: &Placement,
        formats: Formats,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<(Part, Option<Note>)> {
        match self {
            Self::Folder(folder) => {
                let (part, note) = part_in(source, folder, placement, formats, check)?;
                Ok((part.counted(formats, true), note))
            }
            Self::File(..) => {
                let part = self.part(source, placement)?.with_formats(formats);
                Ok((part.counted(formats, false), None))
            }
        }
    }
}

/// Where each module is.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) dit: Place,
    pub(super) text_encoder: Place,
    pub(super) vae: Place,
    /// Choices among several files.
    pub(super) notes: Vec<Note>,
}

impl Places {
    /// The DiT is the folder `name`, or the GGUF file that the name means; the rest is beside it.
    ///
    /// # Errors
    /// One is not there, or there are several in a folder.
    pub(super) fn find(source: &Source, name: &str) -> Result<Self> {
        let dit = match gguf::find(source, name, Kind::Dit)? {
            Some(file) => Place::File(file, Kind::Dit),
            None => Place::Folder(name.to_owned()),
        };
        if matches!(&dit, Place::Folder(folder) if !source.has_folder(folder)) {
            return Err(Error::checkpoint(dit.path(source), missing_folder(source)));
        }
        let mut notes = Vec::new();
        let mut beside = |folder, kind| beside(source, &dit, (folder, kind), &mut notes);
        Ok(Self {
            text_encoder: beside(TEXT_ENCODER, Kind::TextEncoder)?,
            vae: beside(VAE, Kind::Vae)?,
            dit,
            notes,
        })
    }

    pub(super) fn of(&self, module: Module) -> &Place {
        match module {
            Module::Dit => &self.dit,
            Module::TextEncoder => &self.text_encoder,
            Module::Vae => &self.vae,
        }
    }
}

/// A module beside the DiT: beside a GGUF file a GGUF file comes first, beside a folder the folder of
/// its release.
fn beside(
    source: &Source,
    dit: &Place,
    (release, kind): (&str, Kind),
    notes: &mut Vec<Note>,
) -> Result<Place> {
    let folder = || {
        source
            .has_folder(release)
            .then(|| Place::Folder(release.to_owned()))
    };
    let mut file = || {
        let near = dit.name().rsplit_once('/').map_or("", |(near, _)| near);
        let mut found = candidates(source, near, kind, (release, dit.name()));
        if found.is_empty() && !near.is_empty() {
            found = candidates(source, "", kind, (release, dit.name()));
        }
        if let [first, second, ..] = found.as_slice() {
            notes.push(Note::new(
                "gguf_chosen",
                "config_path",
                format!(
                    "There are several GGUF files of {}: {first} is used, {second} is not.",
                    kind.words()
                ),
            ));
        }
        let first = found.into_iter().next()?;
        Some(Place::File(first, kind))
    };
    let place = match dit {
        Place::Folder(_) => folder().or_else(file),
        Place::File(..) => file().or_else(folder),
    };
    place.ok_or_else(|| {
        Error::checkpoint(
            source.path(release),
            match dit {
                Place::Folder(_) => missing_folder(source),
                Place::File(..) => format!(
                    "there is no such folder, and no GGUF file of {} ({}) beside {}",
                    kind.words(),
                    kind.architecture(),
                    dit.name()
                ),
            },
        )
    })
}

/// The GGUF files of one kind in the root, or in `folder`, the most fitting first: named as the
/// release, quantised as `beside` is, then the largest.
fn candidates(
    source: &Source,
    folder: &str,
    wanted: Kind,
    (release, beside): (&str, &str),
) -> Vec<String> {
    let stem = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        name.rsplit_once('.')
            .map_or(name, |(stem, _)| stem)
            .to_owned()
    };
    let suffix = |file: &str| {
        stem(file)
            .rsplit_once('-')
            .map(|(_, suffix)| suffix.to_ascii_lowercase())
    };
    let mut found: Vec<String> = gguf::files(source, folder)
        .into_iter()
        .filter(|file| gguf::kind(source, file) == Some(wanted))
        .collect();
    found.sort_by_cached_key(|file| {
        (
            !stem(file).starts_with(release),
            suffix(file) != suffix(beside),
            std::cmp::Reverse(source.size(file)),
            file.clone(),
        )
    });
    found
}

/// Where an autoencoder is: the root of its files and its place below.
///
/// # Errors
/// There is none.
pub(super) fn vae_source(root: Option<&Path>) -> Result<(Source, Place)> {
    let Some(root) = root else {
        if !demo::BUNDLED {
            return Err(Error::Unsupported {
                what: "the built-in autoencoder".into(),
                because: "this program was built without the feature `demo-model`".into(),
            });
        }
        let place = Place::Folder(VAE.to_owned());
        return Ok((Source::Embedded(demo::FILES), place));
    };
    let source = Source::Folder(root.to_path_buf());
    if source.has_folder(VAE) {
        return Ok((source, Place::Folder(VAE.to_owned())));
    }
    let own = source.has("config.json") || has_extension(&root.to_string_lossy(), "gguf");
    if !own {
        let found = candidates(&source, "", Kind::Vae, (VAE, ""));
        return match found.into_iter().next() {
            Some(file) => Ok((source, Place::File(file, Kind::Vae))),
            None => Err(Error::checkpoint(source.path(VAE), missing_folder(&source))),
        };
    }
    // The autoencoder's own folder or file: seen from above, it has a name like any other.
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => {
            let name = name.to_string_lossy().into_owned();
            let place = if whole.is_dir() {
                Place::Folder(name)
            } else {
                Place::File(name, Kind::Vae)
            };
            Ok((Source::Folder(parent.to_path_buf()), place))
        }
        _ => Err(Error::checkpoint(root, "this is not the folder of a model")),
    }
}
