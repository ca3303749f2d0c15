//! A language model: config, weights and tokenizer, in the released layout or as one GGUF file.

use std::path::{Path, PathBuf};

use acestep_domain::{note::Note, service::Quantization};
use candle_core::DType;

use super::{
    gguf::{self, Kind},
    layout::{check_name, missing_folder},
    part::Part,
    place::Place,
    quantize,
    source::Source,
};
use crate::{
    demo,
    device::Placement,
    error::{Error, Result},
    models::qwen3,
    nn::WeightFile,
};

/// A language model whose files are there and whose config makes sense.
#[derive(Debug, Clone)]
pub struct LmCheckpoint {
    source: Source,
    name: String,
    place: Place,
    /// Its config.
    pub config: qwen3::Config,
}

impl LmCheckpoint {
    /// Opens the folder `name` below `root`, or the GGUF file of that name, with or without its
    /// ending. The bundled model is found by its name when no folder has it.
    ///
    /// # Errors
    /// The folder, its config or a key is missing, the config is impossible, or the file is
    /// damaged or something else.
    pub fn open(root: &Path, name: &str) -> Result<Self> {
        check_name("lm_model_path", name, "acestep-5Hz-lm-1.7B")?;
        let source = Source::Folder(root.to_path_buf());
        if name == demo::LM_NAME && demo::BUNDLED && !source.has_folder(name) {
            return Self::demo();
        }
        Self::read(source, name)
    }

    /// Whether there is something of that name, whole or damaged.
    ///
    /// # Errors
    /// It is a folder of several GGUF files.
    pub fn is_there(root: &Path, name: &str) -> Result<bool> {
        let source = Source::Folder(root.to_path_buf());
        let bundled = name == demo::LM_NAME && demo::BUNDLED;
        Ok(bundled || source.has_folder(name) || gguf::find(&source, name, Kind::Lm)?.is_some())
    }

    /// Its weight file where it is a GGUF file, to weigh it without its data.
    ///
    /// # Errors
    /// The file is damaged.
    pub(crate) fn gguf(&self) -> Result<Option<Vec<WeightFile>>> {
        self.place.gguf(&self.source)
    }

    /// How its matrices are stored: in bf16 if all of them are, else in f32.
    pub(crate) fn stored(&self) -> DType {
        self.place.stored(&self.source)
    }

    /// Opens the language model inside the binary.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in a build without it.
    pub fn demo() -> Result<Self> {
        if !demo::BUNDLED {
            return Err(Error::Unsupported {
                what: format!("the language model {}", demo::LM_NAME),
                because: "this program was built without the feature `demo-model`".into(),
            });
        }
        Self::read(Source::Embedded(demo::FILES), demo::LM_NAME)
    }

    fn read(source: Source, name: &str) -> Result<Self> {
        let place = match gguf::find(&source, name, Kind::Lm)? {
            Some(file) => Place::File(file, Kind::Lm),
            None if source.has_folder(name) => Place::Folder(name.to_owned()),
            None => {
                return Err(Error::checkpoint(
                    source.path(name),
                    missing_folder(&source),
                ));
            }
        };
        let config: qwen3::Config = place.config(&source)?;
        config
            .validate()
            .map_err(|reason| Error::checkpoint(place.config_path(&source), reason))?;
        Ok(Self {
            source,
            name: name.to_owned(),
            place,
            config,
        })
    }

    /// Name of the folder or file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is inside the binary.
    pub fn is_built_in(&self) -> bool {
        matches!(self.source, Source::Embedded(_))
    }

    /// Its `tokenizer.json`; that of a GGUF file is written from its lists.
    ///
    /// # Errors
    /// The file is missing or not what it should be.
    pub fn tokenizer(&self) -> Result<Vec<u8>> {
        self.place.tokenizer(&self.source, self.config.vocab_size)
    }

    /// Where [`Self::tokenizer`] is, for messages.
    pub fn tokenizer_path(&self) -> PathBuf {
        self.place.tokenizer_path(&self.source)
    }

    /// Its weights, on the device of `placement`, and what is to be said about their format. What
    /// is quantised here is kept beside the checkpoint for the next time; `check` is asked now and
    /// then whether to go on.
    ///
    /// # Errors
    /// A file is missing or damaged, or whatever `check` gives back.
    pub fn part(
        &self,
        placement: &Placement,
        quantization: Quantization,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<(Part, Vec<Note>)> {
        let (formats, note) = quantize::language_model(&self.name, &self.config, quantization);
        let mut notes: Vec<Note> = note.into_iter().collect();
        let (part, note) = self
            .place
            .part_in(&self.source, placement, formats, check)?;
        notes.extend(note);
        notes.extend(quantize::misfits_note(
            &self.name,
            quantization,
            part.misfits(),
        ));
        Ok((part.in_large_pages(), notes))
    }
}
