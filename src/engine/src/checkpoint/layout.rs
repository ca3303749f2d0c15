//! The released hub layout: names of folders and files to networks.

use std::path::{Path, PathBuf};

use acestep_domain::{event::Stage, note::Note, service::Quantization, task::Family};
use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;

use super::{
    config,
    lora::Layers,
    part::{GGUF_MAIN, Part, open_weights, part, part_in, place, weight_files},
    pickle, quantize,
    source::Source,
};
use crate::{
    demo,
    device::Placement,
    error::{Error, Result},
    models::{dit, oobleck, qwen3},
};

/// Prefix of DiT folders; what comes after it is the variant.
pub(super) const DIT_PREFIX: &str = "acestep-v15-";
/// Folder of the text encoder and its tokenizer.
pub(super) const TEXT_ENCODER: &str = "Qwen3-Embedding-0.6B";
/// Folder of the autoencoder.
pub(super) const VAE: &str = "vae";
/// Constant context frames beside each DiT.
pub(super) const SILENCE: &str = "silence_latent.pt";

/// What a folder of a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Module {
    /// Decoder, condition encoder, audio tokenizer and detokenizer.
    Dit,
    /// The text encoder.
    TextEncoder,
    /// The autoencoder.
    Vae,
}

/// A checkpoint whose folders are there and whose configs make sense. Weights are read by
/// [`Checkpoint::part`].
#[derive(Debug, Clone)]
pub struct Checkpoint {
    source: Source,
    name: String,
    /// Config of the DiT folder.
    pub dit: dit::Config,
    /// Config of the text encoder.
    pub text_encoder: qwen3::Config,
    /// Config of the autoencoder.
    pub vae: oobleck::Config,
    family: Family,
}

impl Checkpoint {
    /// Opens the DiT folder `config_path` below `root`, with the `vae` and text encoder beside
    /// it. The bundled model is found by its name when no folder has it.
    ///
    /// # Errors
    /// A folder, file or key is missing, or a config is impossible.
    pub fn open(root: &Path, config_path: &str) -> Result<Self> {
        check_name("config_path", config_path, "acestep-v15-turbo")?;
        let source = Source::Folder(root.to_path_buf());
        if config_path == demo::NAME && demo::BUNDLED && !source.has_folder(config_path) {
            return Self::demo();
        }
        if !root.is_dir() {
            return Err(Error::checkpoint(
                root.join(config_path),
                "the folder of checkpoints that should hold it is not there",
            ));
        }
        Self::read(source, config_path)
    }

    /// Whether there is something of that name, whole or damaged: a folder below `root`, or the
    /// bundled model.
    pub fn is_there(root: &Path, config_path: &str) -> bool {
        let source = Source::Folder(root.to_path_buf());
        source.has_folder(config_path) || (config_path == demo::NAME && demo::BUNDLED)
    }

    /// Opens the model inside the binary.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in a build without it.
    pub fn demo() -> Result<Self> {
        if !demo::BUNDLED {
            return Err(Error::Unsupported {
                what: format!("the model {}", demo::NAME),
                because: "this program was built without the feature `demo-model`".into(),
            });
        }
        Self::read(Source::Embedded(demo::FILES), demo::NAME)
    }

    fn read(source: Source, name: &str) -> Result<Self> {
        if !source.has_folder(name) {
            for file in [name.to_owned(), format!("{name}.gguf")] {
                if has_extension(&file, "gguf") && source.has(&file) {
                    return Err(Error::checkpoint(source.path(&file), GGUF_MAIN));
                }
            }
        }
        for folder in [name, VAE, TEXT_ENCODER] {
            if !source.has_folder(folder) {
                return Err(Error::checkpoint(
                    source.path(folder),
                    missing_folder(&source),
                ));
            }
        }
        let file = format!("{name}/config.json");
        let dit: dit::Config = config::read(&source, &file)?;
        dit.validate()
            .map_err(|reason| Error::checkpoint(source.path(&file), reason))?;
        let file = format!("{TEXT_ENCODER}/config.json");
        let text_encoder: qwen3::Config = config::read(&source, &file)?;
        text_encoder
            .validate()
            .map_err(|reason| Error::checkpoint(source.path(&file), reason))?;
        if text_encoder.hidden_size != dit.text_hidden_dim {
            let reason = format!(
                "hidden_size is {}, but the DiT {name} expects a text encoder of {} (text_hidden_dim)",
                text_encoder.hidden_size, dit.text_hidden_dim
            );
            return Err(Error::checkpoint(source.path(&file), reason));
        }
        let file = format!("{VAE}/config.json");
        let vae: oobleck::Config = config::read(&source, &file)?;
        let wrong = |reason: String| Error::checkpoint(source.path(&file), reason);
        vae.validate().map_err(|error| wrong(message(&error)))?;
        if vae.decoder_input_channels != dit.audio_acoustic_hidden_dim {
            return Err(wrong(format!(
                "decoder_input_channels is {}, but the DiT {name} writes {} channels (audio_acoustic_hidden_dim)",
                vae.decoder_input_channels, dit.audio_acoustic_hidden_dim
            )));
        }
        let family = dit.family().unwrap_or_else(|| Family::from_name(name));
        Ok(Self {
            source,
            name: name.to_owned(),
            dit,
            text_encoder,
            vae,
            family,
        })
    }

    /// The autoencoder alone, config and weights: in the folder `vae` below `root`, or in `root`
    /// itself; without a root the bundled one.
    ///
    /// # Errors
    /// The folder or a file is missing or damaged.
    pub fn vae_alone(
        root: Option<&Path>,
        placement: &Placement,
    ) -> Result<(oobleck::Config, Part)> {
        let (source, folder) = vae_source(root)?;
        let file = format!("{folder}/config.json");
        let config: oobleck::Config = config::read(&source, &file)?;
        config
            .validate()
            .map_err(|reason| Error::checkpoint(source.path(&file), message(&reason)))?;
        Ok((config, part(&source, &folder, placement)?))
    }

    /// Name of the DiT folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Turbo or base: by the config, else by the name.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether it is inside the binary.
    pub fn is_built_in(&self) -> bool {
        matches!(self.source, Source::Embedded(_))
    }

    /// Folder of a module, for messages.
    pub fn path(&self, module: Module) -> PathBuf {
        self.source.path(self.folder(module))
    }

    fn folder(&self, module: Module) -> &str {
        match module {
            Module::Dit => &self.name,
            Module::TextEncoder => TEXT_ENCODER,
            Module::Vae => VAE,
        }
    }

    /// `config.json` of a module as any type.
    ///
    /// # Errors
    /// The file is missing, no JSON, or lacks a key.
    pub fn config<T: DeserializeOwned>(&self, module: Module) -> Result<T> {
        config::read(
            &self.source,
            &format!("{}/config.json", self.folder(module)),
        )
    }

    /// `tokenizer.json` of the text encoder.
    ///
    /// # Errors
    /// The file is missing or not what it should be.
    pub fn tokenizer(&self) -> Result<Vec<u8>> {
        let bytes = self
            .source
            .read(&format!("{TEXT_ENCODER}/tokenizer.json"))?;
        Ok(bytes.into_owned())
    }

    /// Where [`Self::tokenizer`] was read, for messages.
    pub fn tokenizer_path(&self) -> PathBuf {
        self.source.path(&format!("{TEXT_ENCODER}/tokenizer.json"))
    }

    /// The silence latents `[1, t, c]`, f32: context of every frame that has no source, and the
    /// timbre reference when there is none. They carry a meaning by absolute frame: slice from
    /// frame 0.
    ///
    /// # Errors
    /// The file is missing or damaged, or does not fit the config.
    pub fn silence_latent(&self, device: &Device) -> Result<Tensor> {
        let file = format!("{}/{SILENCE}", self.name);
        let bytes = self.source.read(&file)?;
        let wrong = |reason: String| Error::checkpoint(self.source.path(&file), reason);
        let stored = pickle::tensor(&bytes).map_err(wrong)?;
        check_silence(&self.dit, stored.dims()).map_err(wrong)?;
        // As the autoencoder gives it, [1, c, t], to frames first.
        stored
            .transpose(1, 2)
            .and_then(|frames_first| frames_first.contiguous()?.to_device(device))
            .map_err(Error::in_stage(Stage::Load))
    }

    /// Bytes of the weight files of a module.
    ///
    /// # Errors
    /// There are none, or one is missing.
    pub fn weights_bytes(&self, module: Module) -> Result<u64> {
        let folder = self.folder(module);
        let names = weight_files(&self.source, folder)?;
        Ok(place(&self.source, folder, &names).1)
    }

    /// The linear layers of the DiT, which adapters change; reads the headers of its weights only.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn layers(&self) -> Result<Layers> {
        let (files, _) = open_weights(&self.source, &self.name)?;
        let layers = files.iter().flat_map(|file| {
            file.tensors().iter().filter_map(|(name, info)| {
                let path = name.strip_prefix("decoder.")?.strip_suffix(".weight")?;
                match info.shape.as_slice() {
                    &[out, input] => Some((path.to_owned(), (out, input))),
                    _ => None,
                }
            })
        });
        Ok(Layers::new(self.name.clone(), layers.collect()))
    }

    /// Weights of a module as they are, ready to be taken.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn part(&self, module: Module, placement: &Placement) -> Result<Part> {
        part(&self.source, self.folder(module), placement)
    }

    /// Weights of a module in the formats of `quantization`, and what is to be said about them. What is quantised here is kept beside the checkpoint for the next time;
    /// `check` is asked now and then whether to go on.
    ///
    /// # Errors
    /// A file is missing or damaged, or whatever `check` gives back.
    pub fn quantized_part(
        &self,
        module: Module,
        placement: &Placement,
        quantization: Quantization,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<(Part, Option<Note>)> {
        let formats = quantize::main_model(module, quantization);
        part_in(&self.source, self.folder(module), placement, formats, check)
    }
}

/// Where an autoencoder is: the root of its files and the name of its folder.
fn vae_source(root: Option<&Path>) -> Result<(Source, String)> {
    let Some(root) = root else {
        if !demo::BUNDLED {
            return Err(Error::Unsupported {
                what: "the built-in autoencoder".into(),
                because: "this program was built without the feature `demo-model`".into(),
            });
        }
        return Ok((Source::Embedded(demo::FILES), VAE.to_owned()));
    };
    let source = Source::Folder(root.to_path_buf());
    if source.has_folder(VAE) {
        return Ok((source, VAE.to_owned()));
    }
    if !source.has("config.json") {
        return Err(Error::checkpoint(source.path(VAE), missing_folder(&source)));
    }
    // The autoencoder's own folder: seen from above, it has a name like any other.
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => Ok((
            Source::Folder(parent.to_path_buf()),
            name.to_string_lossy().into_owned(),
        )),
        _ => Err(Error::checkpoint(root, "this is not the folder of a model")),
    }
}

/// Whether silence latents of shape `dims` fit a config.
pub(super) fn check_silence(cfg: &dit::Config, dims: &[usize]) -> std::result::Result<(), String> {
    let c = cfg.audio_acoustic_hidden_dim;
    match dims {
        &[1, channels, frames] if channels == c && frames >= cfg.timbre_fix_frame => Ok(()),
        dims => Err(format!(
            "its tensor has shape {dims:?}, the config asks for [1, {c}, at least {}]",
            cfg.timbre_fix_frame
        )),
    }
}

/// The words of a tensor error without the backtrace that candle may carry along.
pub(super) fn message(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => message(inner),
        other => other.to_string(),
    }
}

/// Refuses what is a path, or nothing, where the name of a folder is meant.
pub(super) fn check_name(field: &'static str, name: &str, example: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
        return Err(Error::Invalid {
            field,
            reason: format!("`{name}` is not the name of a folder, for example {example}"),
        });
    }
    Ok(())
}

pub(super) fn missing_folder(source: &Source) -> String {
    let names: Vec<String> = source
        .names("")
        .into_iter()
        .filter(|name| source.has_folder(name))
        .collect();
    match names.as_slice() {
        [] => "the folder is missing; there is no folder beside it".into(),
        names => format!("the folder is missing; there are {}", names.join(", ")),
    }
}

/// Whether a file name ends with an extension, in any case.
pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
