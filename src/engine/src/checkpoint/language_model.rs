//! A language model's folder: config, weights and tokenizer, in the released layout.

use std::path::{Path, PathBuf};

use acestep_domain::{note::Note, service::Quantization};

use super::{
    config,
    layout::{Part, check_name, missing_folder, part},
    quantize,
    source::Source,
};
use crate::{
    demo,
    device::Placement,
    error::{Error, Result},
    models::qwen3,
};

/// A language model whose folder is there and whose config makes sense.
#[derive(Debug, Clone)]
pub struct LmCheckpoint {
    source: Source,
    name: String,
    /// Its config.
    pub config: qwen3::Config,
}

impl LmCheckpoint {
    /// Opens the folder `name` below `root`. The bundled model is found by its name when no folder
    /// has it.
    ///
    /// # Errors
    /// The folder, its config or a key is missing, or the config is impossible.
    pub fn open(root: &Path, name: &str) -> Result<Self> {
        check_name("lm_model_path", name, "acestep-5Hz-lm-1.7B")?;
        let source = Source::Folder(root.to_path_buf());
        if name == demo::LM_NAME && demo::BUNDLED && !source.has_folder(name) {
            return Self::demo();
        }
        Self::read(source, name)
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
        if !source.has_folder(name) {
            return Err(Error::checkpoint(
                source.path(name),
                missing_folder(&source),
            ));
        }
        let file = format!("{name}/config.json");
        let config: qwen3::Config = config::read(&source, &file)?;
        config
            .validate()
            .map_err(|reason| Error::checkpoint(source.path(&file), reason))?;
        Ok(Self {
            source,
            name: name.to_owned(),
            config,
        })
    }

    /// Name of the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is inside the binary.
    pub fn is_built_in(&self) -> bool {
        matches!(self.source, Source::Embedded(_))
    }

    /// Its `tokenizer.json`.
    ///
    /// # Errors
    /// The file is missing or not what it should be.
    pub fn tokenizer(&self) -> Result<Vec<u8>> {
        let bytes = self.source.read(&format!("{}/tokenizer.json", self.name))?;
        Ok(bytes.into_owned())
    }

    /// Where [`Self::tokenizer`] is, for messages.
    pub fn tokenizer_path(&self) -> PathBuf {
        self.source.path(&format!("{}/tokenizer.json", self.name))
    }

    /// Its weights, on the device of `placement`, and what is to be said about their format.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn part(
        &self,
        placement: &Placement,
        quantization: Quantization,
    ) -> Result<(Part, Vec<Note>)> {
        let (formats, note) = quantize::language_model(&self.name, &self.config, quantization);
        let part = part(&self.source, &self.name, placement)?.with_formats(formats);
        Ok((part, note.into_iter().collect()))
    }
}
