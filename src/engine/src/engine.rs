//! The engine: one checkpoint loaded on one device, and what can be done with it. It has one
//! owner, who calls it from one thread.

use std::path::Path;

use acestep_domain::{
    capabilities::DeviceKind,
    lora::LoraUse,
    note::Note,
    service::{Quantization, Resolved},
    task::Family,
};
use candle_core::{DType, Tensor};

pub use crate::pipeline::align::{AlignRequest, Aligned, Heard};
pub use crate::pipeline::generate::{Request, RunReport, Take};
pub use crate::pipeline::measure::{MeasuredSong, SongWork};
pub use crate::pipeline::score::{ScoreSong, Scored};
pub use crate::pipeline::thinking::{Thinking, Thought};
pub use crate::pipeline::writing::{WriteReport, WriteRequest};
pub use crate::planner::language_model::{LanguageModel, LmInfo, MeasureOptions, Measured};
use crate::{
    audio::{Audio, resample::resample},
    checkpoint::{Checkpoint, LmCheckpoint},
    device::{self, Placement, dtype_of},
    error::{Error, Result, Stage, message},
    kernels::{agreement::ENOUGH, attention::self_test, card},
    memory::give_back,
    models::oobleck::{self, Oobleck},
    nn::Backend,
    observer::Observer,
    pipeline::{
        align,
        generate::{self, Sink},
        measure,
        networks::Networks,
        score, thinking,
        vae_tiles::{TileOptions, decode_tiled, encode_tiled},
        writing,
    },
};

/// How a checkpoint is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Where the networks run.
    pub device: DeviceKind,
    /// Attention without a stored matrix of scores, where the device has a kernel for it.
    pub fused_attention: bool,
    /// In f32 where half precision is usual.
    pub full_precision: bool,
    /// On processors, layers that are not quantised are packed for multiplication as they are read.
    pub compile: bool,
    /// Format of the matrices.
    pub quantization: Quantization,
    /// Text encoder, autoencoder and language model are read for each stage and dropped after it.
    pub offload_to_cpu: bool,
    /// With [`Self::offload_to_cpu`] the networks of the DiT's file are, too.
    pub offload_dit_to_cpu: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: DeviceKind::Cpu,
            fused_attention: true,
            full_precision: false,
            compile: false,
            quantization: Quantization::None,
            offload_to_cpu: false,
            offload_dit_to_cpu: false,
        }
    }
}

impl From<&Resolved> for LoadOptions {
    fn from(resolved: &Resolved) -> Self {
        Self {
            device: resolved.device,
            fused_attention: resolved.use_flash_attention,
            full_precision: resolved.full_precision,
            compile: resolved.compile,
            quantization: resolved.quantization,
            offload_to_cpu: resolved.offload_to_cpu,
            offload_dit_to_cpu: resolved.offload_dit_to_cpu,
        }
    }
}

impl LoadOptions {
    /// Whether the networks of the DiT's file move.
    pub(crate) fn moves_dit(&self) -> bool {
        self.offload_to_cpu && self.offload_dit_to_cpu
    }

    /// Precision of activations.
    pub(crate) fn dtype(&self) -> DType {
        dtype_of(self.device, self.full_precision)
    }

    /// The same, without what does not give on this device what the standard way gives; and the notes
    /// that say so.
    pub(crate) fn with_trusted_kernels(self, placement: &Placement) -> (Self, Vec<Note>) {
        let mut notes = Vec::new();
        if let Some(why) = card::trial(&placement.device, placement.dtype) {
            notes.push(Note::new(
                "fused_kernels_not_trusted",
                "device",
                format!("Fused kernels: in a trial on this card {why}, so general ones run, which are slower."),
            ));
        }
        if !self.fused_attention {
            return (self, notes);
        }
        let (judged, note) = self.judged(self_test(&placement.device, placement.dtype));
        notes.extend(note);
        (judged, notes)
    }

    /// The same, without fused attention where its `trial` was too far from the standard way or failed.
    fn judged(self, trial: candle_core::Result<f32>) -> (Self, Option<Note>) {
        let why = match trial {
            Ok(apart) if apart <= ENOUGH => return (self, None),
            Ok(apart) => format!("differs by {:.0} % from the standard one", apart * 100.0),
            Err(error) => format!("fails ({})", message(&error)),
        };
        let note = Note::new(
            "flash_attention_not_trusted",
            "use_flash_attention",
            format!(
                "Flash attention: in a trial on this device it {why}, so standard attention is used."
            ),
        );
        let standard = Self {
            fused_attention: false,
            ..self
        };
        (standard, Some(note))
    }

    /// How the networks compute attention.
    pub(crate) fn backend(&self) -> Backend {
        if self.fused_attention {
            Backend::Fused
        } else {
            Backend::Standard
        }
    }
}

/// What is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineInfo {
    /// Folder name of the DiT.
    pub name: String,
    /// Turbo or base.
    pub family: Family,
    /// Inside the binary.
    pub built_in: bool,
    /// Samples per second of songs.
    pub sample_rate_hz: u32,
    /// Channels of songs.
    pub channels: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Latent frames per second.
    pub latent_rate_hz: f64,
    /// Values of all networks.
    pub parameters: u64,
    /// Bytes of the weight files.
    pub weights_bytes: u64,
    /// Bytes of the weights as they are loaded.
    pub resident_bytes: u64,
    /// Precision of the weights: that of the activations, or the block format that most of them
    /// have.
    pub dtype: String,
    /// How attention is computed.
    pub attention: String,
    /// Tensors nobody took, options without effect.
    pub notes: Vec<Note>,
}

/// A loaded checkpoint.
pub struct Engine {
    info: EngineInfo,
    networks: Networks,
    language_model: Option<LanguageModel>,
}

impl Engine {
    /// Loads every network of `source`. Reports [`Stage::Load`] for each module and can be
    /// cancelled between modules.
    ///
    /// # Errors
    /// A damaged checkpoint, a device that cannot be had, too little memory, cancelled.
    pub fn load(
        source: &Checkpoint,
        options: &LoadOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let placement = device::open(options.device, options.dtype())?;
        let (options, distrust) = options.with_trusted_kernels(&placement);
        let loaded = Networks::load(source, placement, &options, observer)?;
        give_back();
        let mut notes = loaded.notes;
        notes.extend(distrust);
        if options.compile && options.device != DeviceKind::Cpu {
            notes.push(Note::new(
                "compile_without_effect",
                "compile",
                "Compile: weights are packed for a processor; on a card they are multiplied as they are.",
            ));
        }
        let vae = &loaded.networks.vae_config;
        let info = EngineInfo {
            name: source.name().to_owned(),
            family: source.family(),
            built_in: source.is_built_in(),
            sample_rate_hz: vae.sampling_rate,
            channels: vae.audio_channels,
            latent_channels: vae.decoder_input_channels,
            latent_rate_hz: f64::from(vae.sampling_rate) / vae.hop() as f64,
            parameters: loaded.parameters,
            weights_bytes: loaded.weights_bytes,
            resident_bytes: loaded.held.bytes,
            dtype: loaded.held.dtype(loaded.networks.placement.dtype),
            attention: match options.backend() {
                Backend::Fused => "fused",
                Backend::Standard => "standard",
            }
            .to_owned(),
            notes,
        };
        Ok(Self {
            info,
            networks: loaded.networks,
            language_model: None,
        })
    }

    /// What is loaded.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// Loads a language model beside the DiT. The one loaded before is given up first, so that
    /// never two are in memory; it is gone if the new one cannot be loaded.
    ///
    /// # Errors
    /// See [`LanguageModel::load`].
    pub fn load_lm(
        &mut self,
        source: &LmCheckpoint,
        options: &LoadOptions,
        observer: &dyn Observer,
    ) -> Result<&LmInfo> {
        self.language_model = None;
        let loaded = LanguageModel::load(source, options, observer)?;
        give_back();
        Ok(self.language_model.insert(loaded).info())
    }

    /// Gives the language model up; whether there was one.
    pub fn unload_lm(&mut self) -> bool {
        self.language_model.take().is_some()
    }

    /// The language model, when one is loaded: its jobs are its own methods.
    pub fn lm(&self) -> Option<&LanguageModel> {
        self.language_model.as_ref()
    }

    /// Puts the adapters of `uses`, which lie in the folder `dir`, beside the DiT in place of those
    /// that are there. Nothing is merged and no weight of the DiT is read again, so a change of
    /// scale costs nothing; the layers of an adapter at scale 0 compute what they would without.
    ///
    /// # Errors
    /// One is missing, damaged, of a method that is not supported, or made for another DiT; then
    /// all stays as it was.
    pub fn use_loras(
        &mut self,
        uses: &[LoraUse],
        dir: &Path,
        observer: &dyn Observer,
    ) -> Result<Vec<Note>> {
        self.networks.use_loras(uses, dir, observer)
    }

    /// The adapters that act, with the hashes of their files.
    pub fn loras(&self) -> Vec<LoraUse> {
        self.networks.loras.acting()
    }

    /// Asks the loaded language model, if there is one, for what `thinking` leaves to it; see
    /// [`Thought`].
    ///
    /// # Errors
    /// See [`LanguageModel::plan_song`] and [`LanguageModel::codes`].
    pub fn think(&self, thinking: Thinking<'_>, observer: &dyn Observer) -> Result<Thought> {
        thinking::think(self.lm(), self.networks.has_audio_codes, thinking, observer)
    }

    /// Whether codes can drive the loaded checkpoint.
    pub fn has_audio_codes(&self) -> bool {
        self.networks.has_audio_codes
    }

    /// Sound to audio codes, five a second.
    ///
    /// # Errors
    /// A checkpoint without networks for codes, silence, and see [`Vae::encode`].
    pub fn audio_codes(
        &mut self,
        audio: &Audio,
        observer: &dyn Observer,
    ) -> Result<(Vec<u32>, Vec<Note>)> {
        writing::listen(&mut self.networks, audio, observer)
    }

    /// Does a job that makes words or codes instead of sound.
    ///
    /// # Errors
    /// No language model where one is needed, and see the jobs of [`LanguageModel`].
    pub fn write(
        &mut self,
        request: &WriteRequest<'_>,
        observer: &dyn Observer,
    ) -> Result<WriteReport> {
        writing::write(
            &mut self.networks,
            self.language_model.as_ref(),
            request,
            observer,
        )
    }

    /// Whether it is known where the loaded checkpoint looks for the words.
    pub fn can_time_lyrics(&self) -> bool {
        self.networks.config.lyric_heads().is_some()
    }

    /// Finds out when the words of a finished song are sung, and how clearly.
    ///
    /// # Errors
    /// Nothing is sung, it is not known where this checkpoint looks for the words, silence, too
    /// little memory, cancelled.
    pub fn align(
        &mut self,
        request: &AlignRequest<'_>,
        observer: &dyn Observer,
    ) -> Result<Aligned> {
        align::align(&mut self.networks, request, observer)
    }

    /// Scores a finished song, by what can be had: its attention, a language model that reads codes.
    ///
    /// # Errors
    /// Neither can be had, silence, too little memory, cancelled.
    pub fn score(&mut self, asked: &ScoreSong<'_>, observer: &dyn Observer) -> Result<Scored> {
        score::score(
            &mut self.networks,
            self.language_model.as_ref(),
            asked,
            observer,
        )
    }

    /// Makes the songs of `request`; `sink` receives each one when it is decoded and checked, in
    /// order.
    ///
    /// # Errors
    /// Cancelled, a request this checkpoint cannot do, values that are not finite, silence, too
    /// little memory, or whatever `sink` gives back.
    pub fn generate(
        &mut self,
        request: &Request,
        observer: &dyn Observer,
        sink: &mut Sink<'_>,
    ) -> Result<RunReport> {
        generate::generate(&mut self.networks, request, observer, sink)
    }

    /// How quick songs of some length are made, beside what the machine can do.
    ///
    /// # Errors
    /// See [`Engine::generate`]; [`Error::Unsupported`] on a card, whose rate is not measured.
    pub fn measure(&mut self, work: SongWork, observer: &dyn Observer) -> Result<MeasuredSong> {
        measure::measure(&mut self.networks, work, observer)
    }

    /// Sound to latents, see [`Vae::encode`].
    ///
    /// # Errors
    /// See [`Vae::encode`].
    pub fn vae_encode(
        &self,
        audio: &Audio,
        tiles: TileOptions,
        observer: &dyn Observer,
    ) -> Result<(Tensor, Vec<Note>)> {
        encode(&*self.networks.vae_encoder.visit()?, audio, tiles, observer)
    }

    /// Latents to sound, see [`Vae::decode`].
    ///
    /// # Errors
    /// See [`Vae::decode`].
    pub fn vae_decode(
        &self,
        latents: &Tensor,
        tiles: TileOptions,
        observer: &dyn Observer,
    ) -> Result<(Vec<Audio>, Vec<Note>)> {
        decode(&*self.networks.vae.visit()?, latents, tiles, observer)
    }
}

/// The autoencoder alone.
pub struct Vae {
    network: Oobleck,
}

impl Vae {
    /// Loads the folder `vae` below `root`, or `root` itself when it is one; nothing else needs to
    /// be there. Without a root the bundled one.
    ///
    /// # Errors
    /// The folder is missing or damaged, or the device cannot be had.
    pub fn load(root: Option<&Path>, device: DeviceKind) -> Result<Self> {
        let placement = device::open(device, dtype_of(device, false))?;
        let (config, part) = Checkpoint::vae_alone(root, &placement)?;
        let network = part.load(|w| Oobleck::load(&config, w))?;
        Ok(Self { network })
    }

    /// What it was built from: rates, channels, hop.
    pub fn config(&self) -> &oobleck::Config {
        self.network.config()
    }

    /// Sound to the mean of its latents, `[1, t, c]`, f32. The clip is brought to the network's
    /// channels and sample rate, with notes.
    ///
    /// # Errors
    /// Cancelled, a clip shorter than a latent frame, values that are not finite, too little
    /// memory.
    pub fn encode(
        &self,
        audio: &Audio,
        tiles: TileOptions,
        observer: &dyn Observer,
    ) -> Result<(Tensor, Vec<Note>)> {
        encode(&self.network, audio, tiles, observer)
    }

    /// Latents `[b, t, c]` or `[t, c]` to sound, one clip an item, neither clipped nor scaled.
    ///
    /// # Errors
    /// Cancelled, latents of another width, values that are not finite, too little memory.
    pub fn decode(
        &self,
        latents: &Tensor,
        tiles: TileOptions,
        observer: &dyn Observer,
    ) -> Result<(Vec<Audio>, Vec<Note>)> {
        decode(&self.network, latents, tiles, observer)
    }
}

/// `audio` with the channels and the sample rate of `vae`, and a note for each change.
pub(crate) fn clip_for(vae: &Oobleck, audio: &Audio) -> Result<(Audio, Vec<Note>)> {
    let (rate, channels) = (vae.sample_rate_hz(), vae.config().audio_channels);
    let mut notes = Vec::new();
    if audio.channels.len() != channels {
        notes.push(Note::general(
            "channels_changed",
            format!(
                "The clip has {} channels and the autoencoder takes {channels}: missing ones are copies, others are dropped.",
                audio.channels.len()
            ),
        ));
    }
    if audio.sample_rate_hz != rate {
        notes.push(Note::general(
            "clip_resampled",
            format!(
                "The clip has {} Hz and was resampled to {rate} Hz.",
                audio.sample_rate_hz
            ),
        ));
    }
    let clip = resample(&audio.clone().with_channels(channels), rate)?;
    Ok((clip, notes))
}

pub(crate) fn encode(
    vae: &Oobleck,
    audio: &Audio,
    tiles: TileOptions,
    observer: &dyn Observer,
) -> Result<(Tensor, Vec<Note>)> {
    let (clip, mut notes) = clip_for(vae, audio)?;
    let (latents, tiling) = encode_tiled(vae, &clip.channels, 0, tiles, observer)?;
    notes.extend(tiling.notes());
    let latents = latents
        .unsqueeze(0)
        .map_err(Error::in_stage(Stage::Encode))?; // [1, t, c]
    Ok((latents, notes))
}

fn decode(
    vae: &Oobleck,
    latents: &Tensor,
    tiles: TileOptions,
    observer: &dyn Observer,
) -> Result<(Vec<Audio>, Vec<Note>)> {
    let stage = || Error::in_stage(Stage::Decode);
    let channels = vae.config().decoder_input_channels;
    let items = match latents.dims() {
        &[frames, width] if width == channels && frames > 0 => {
            latents.unsqueeze(0).map_err(stage())?
        }
        &[_, frames, width] if width == channels && frames > 0 => latents.clone(),
        dims => {
            return Err(Error::Invalid {
                field: "latents",
                reason: format!("the shape is {dims:?}, and [songs, frames, {channels}] is needed"),
            });
        }
    };
    let mut clips = Vec::new();
    let mut notes = Vec::new();
    for item in 0..items.dim(0).map_err(stage())? {
        let one = items
            .get(item)
            .and_then(|one| one.to_device(vae.device()))
            .map_err(stage())?;
        let (channels, tiling) = decode_tiled(vae, &one, item, tiles, observer)?;
        notes = tiling.notes();
        clips.push(Audio {
            channels,
            sample_rate_hz: vae.sample_rate_hz(),
        });
    }
    Ok((clips, notes))
}
