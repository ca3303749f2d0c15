//! The released hub layout: names of folders and files to networks.

use std::path::{Path, PathBuf};

use acestep_domain::{event::Stage, note::Note, service::Quantization, task::Family};
use candle_core::{DType, Device, Tensor};
use serde::de::DeserializeOwned;

use super::{
    gguf::{self, Kind},
    lora::Layers,
    part::Part,
    pickle,
    place::{Place, Places, vae_source},
    quantize,
    source::Source,
};
use crate::{
    demo,
    device::Placement,
    error::{Error, Result, message},
    models::{dit, oobleck, qwen3},
    nn::{WeightFile, Weights},
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
    places: Places,
    /// Config of the DiT.
    pub dit: dit::Config,
    /// Config of the text encoder.
    pub text_encoder: qwen3::Config,
    /// Config of the autoencoder.
    pub vae: oobleck::Config,
    family: Family,
}

impl Checkpoint {
    /// Opens the DiT folder `config_path` below `root`, or the GGUF file of that name, with or
    /// without its ending, with the autoencoder and text encoder beside it. The bundled model is
    /// found by its name when no folder has it.
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

    /// Whether there is something of that name, whole or damaged: a folder or a GGUF file below
    /// `root`, or the bundled model.
    pub fn is_there(root: &Path, config_path: &str) -> bool {
        let source = Source::Folder(root.to_path_buf());
        let bundled = config_path == demo::NAME && demo::BUNDLED;
        bundled
            || source.has_folder(config_path)
            || gguf::find(&source, config_path, Kind::Dit).is_ok_and(|file| file.is_some())
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
        let places = Places::find(&source, name)?;
        let wrong = |place: &Place, reason| Error::checkpoint(place.config_path(&source), reason);
        let dit: dit::Config = places.dit.config(&source)?;
        dit.validate()
            .map_err(|reason| wrong(&places.dit, reason))?;
        let text_encoder: qwen3::Config = places.text_encoder.config(&source)?;
        text_encoder
            .validate()
            .map_err(|reason| wrong(&places.text_encoder, reason))?;
        if text_encoder.hidden_size != dit.text_hidden_dim {
            let reason = format!(
                "hidden_size is {}, but the DiT {name} expects a text encoder of {} (text_hidden_dim)",
                text_encoder.hidden_size, dit.text_hidden_dim
            );
            return Err(wrong(&places.text_encoder, reason));
        }
        let vae: oobleck::Config = places.vae.config(&source)?;
        vae.validate()
            .map_err(|error| wrong(&places.vae, message(&error)))?;
        if vae.decoder_input_channels != dit.audio_acoustic_hidden_dim {
            let reason = format!(
                "decoder_input_channels is {}, but the DiT {name} writes {} channels (audio_acoustic_hidden_dim)",
                vae.decoder_input_channels, dit.audio_acoustic_hidden_dim
            );
            return Err(wrong(&places.vae, reason));
        }
        let family = dit.family().unwrap_or_else(|| Family::from_name(name));
        Ok(Self {
            source,
            name: name.to_owned(),
            places,
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
        let (source, place) = vae_source(root)?;
        let config: oobleck::Config = place.config(&source)?;
        config
            .validate()
            .map_err(|reason| Error::checkpoint(place.config_path(&source), message(&reason)))?;
        Ok((config, place.part(&source, placement)?))
    }

    /// Name of the DiT, as it was asked for.
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

    /// Folder or file of a module, for messages.
    pub fn path(&self, module: Module) -> PathBuf {
        self.places.of(module).path(&self.source)
    }

    /// The config of a module as any type.
    ///
    /// # Errors
    /// The file is missing, no JSON, or lacks a key.
    pub fn config<T: DeserializeOwned>(&self, module: Module) -> Result<T> {
        self.places.of(module).config(&self.source)
    }

    /// `tokenizer.json` of the text encoder.
    ///
    /// # Errors
    /// The file is missing or not what it should be.
    pub fn tokenizer(&self) -> Result<Vec<u8>> {
        let place = &self.places.text_encoder;
        place.tokenizer(&self.source, self.text_encoder.vocab_size)
    }

    /// Where [`Self::tokenizer`] was read, for messages.
    pub fn tokenizer_path(&self) -> PathBuf {
        self.places.text_encoder.tokenizer_path(&self.source)
    }

    /// What was chosen where several files would do.
    pub fn notes(&self) -> &[Note] {
        &self.places.notes
    }

    /// The block format that most of a module is stored in, where it is a GGUF file that is
    /// quantised.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn packed(&self, module: Module) -> Result<Option<String>> {
        self.places.of(module).packed(&self.source)
    }

    /// The silence latents `[1, t, c]`, f32: context of every frame that has no source, and the
    /// timbre reference when there is none. They carry a meaning by absolute frame: slice from
    /// frame 0.
    ///
    /// # Errors
    /// The file is missing or damaged, or does not fit the config.
    pub fn silence_latent(&self, device: &Device) -> Result<Tensor> {
        let file = match &self.places.dit {
            Place::Folder(folder) => format!("{folder}/{SILENCE}"),
            Place::File(file, _) => return self.silence_in(file, device),
        };
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

    /// The silence latents in a GGUF file, which holds them frames first, `[t, c]`.
    fn silence_in(&self, file: &str, device: &Device) -> Result<Tensor> {
        let wrong = |reason: String| Error::checkpoint(self.source.path(file), reason);
        let opened = gguf::open(&self.source, file, Kind::Dit)?;
        let shape = opened.tensors().get(gguf::SILENCE);
        let dims = silence_dims(shape.map(|info| info.shape.as_slice())).map_err(wrong)?;
        check_silence(&self.dit, &dims).map_err(wrong)?;
        let [_, channels, frames] = dims;
        Weights::new(vec![opened], DType::F32, device)
            .map_err(|damage| wrong(damage.to_string()))?
            .get((frames, channels), gguf::SILENCE)
            .and_then(|silence| silence.unsqueeze(0))
            .map_err(|error| wrong(message(&error)))
    }

    /// The weight files of a module where it is a GGUF file, to weigh it without its data.
    ///
    /// # Errors
    /// The file is damaged.
    pub(crate) fn gguf(&self, module: Module) -> Result<Option<Vec<WeightFile>>> {
        self.places.of(module).gguf(&self.source)
    }

    /// How the matrices of a module are stored: in bf16 if all of them are, else in f32.
    pub(crate) fn stored(&self, module: Module) -> DType {
        self.places.of(module).stored(&self.source)
    }

    /// The linear layers of the DiT, which adapters change; reads the headers of its weights only.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn layers(&self) -> Result<Layers> {
        let files = self.places.dit.weights(&self.source)?;
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
        self.places.of(module).part(&self.source, placement)
    }

    /// Weights of a module in the formats of `quantization`, and what is to be said about them. What
    /// is quantised here is kept beside the checkpoint for the next time, and what is quantised in a
    /// GGUF file stays as it is; `check` is asked now and then whether to go on.
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
        let place = self.places.of(module);
        if place.packed(&self.source)?.is_some() {
            return Ok((place.part(&self.source, placement)?, None));
        }
        let formats = quantize::main_model(module, quantization);
        place.part_in(&self.source, placement, formats, check)
    }
}

/// The shape of the silence latents in a GGUF file, `[t, c]`, as the release has it, `[1, c, t]`.
pub(super) fn silence_dims(shape: Option<&[usize]>) -> std::result::Result<[usize; 3], String> {
    match shape {
        Some(&[frames, channels]) => Ok([1, channels, frames]),
        Some(shape) => Err(format!(
            "the tensor {} has shape {shape:?}, and two dimensions are needed",
            gguf::SILENCE
        )),
        None => Err(format!("the tensor {} is missing", gguf::SILENCE)),
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
