//! Encoding and decoding in tiles, so that memory does not grow with the song.
//!
//! A tile is a core and an overlap on each side; the network sees all of it, the core alone is
//! kept. As long as the overlap is no smaller than the receptive field, which is computed from
//! the config, the cores together are what one run over the whole song would have given. Smaller
//! overlaps are therefore raised, never obeyed; [`Tiling`] says so.
//!
//! Items of a batch are run one after another by the caller: peak memory and results do not
//! depend on the batch.

use std::ops::Range;

use acestep_domain::memory::MemoryPlan;
use acestep_domain::note::Note;
use candle_core::{DType, Device, IndexOp, Tensor};

use super::finite;
use crate::cards;
use crate::error::{Error, Result, Stage};
use crate::memory::room::{for_bytes, for_network};
use crate::models::oobleck::{Kernels, Oobleck, decoder_footprint, encoder_footprint};
use crate::observer::Observer;

/// Smaller tiles than this repeat more work than they do.
const SMALLEST_TILE: usize = 64;

/// What the caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileOptions {
    /// Latent frames of a tile, overlaps included.
    pub tile_frames: usize,
    /// Latent frames added on each side of a core; `None` takes the receptive field.
    pub overlap_frames: Option<usize>,
}

impl From<&MemoryPlan> for TileOptions {
    fn from(plan: &MemoryPlan) -> Self {
        Self {
            tile_frames: plan.vae_tile_frames,
            overlap_frames: None,
        }
    }
}

impl Default for TileOptions {
    /// The official decode chunk.
    fn default() -> Self {
        Self {
            tile_frames: 512,
            overlap_frames: None,
        }
    }
}

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Latent frames of a tile, overlaps included.
    pub tile_frames: usize,
    /// Latent frames on each side of a core.
    pub overlap_frames: usize,
    asked: TileOptions,
    frames: usize,
}

impl Tiling {
    /// For `frames` latent frames through a network that looks `receptive_field` frames to each
    /// side.
    pub fn new(asked: TileOptions, receptive_field: usize, frames: usize) -> Self {
        let overlap_frames = asked.overlap_frames.unwrap_or(0).max(receptive_field);
        Self {
            // With a core smaller than an overlap, most of the work would be thrown away.
            tile_frames: asked.tile_frames.max(3 * overlap_frames.max(1)),
            overlap_frames,
            asked,
            frames,
        }
    }

    /// Cores of about one length: as many as have to be, none larger than it has to be.
    fn core_frames(&self) -> usize {
        if self.frames <= self.tile_frames {
            self.frames.max(1)
        } else {
            let most = self.tile_frames - 2 * self.overlap_frames;
            self.frames.div_ceil(self.frames.div_ceil(most))
        }
    }

    /// How many tiles.
    pub fn tiles(&self) -> usize {
        self.frames.div_ceil(self.core_frames())
    }

    /// Core and whole of tile `index`, in frames.
    fn tile(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let start = index * self.core_frames();
        let core = start..(start + self.core_frames()).min(self.frames);
        let whole = core.start.saturating_sub(self.overlap_frames)
            ..(core.end + self.overlap_frames).min(self.frames);
        (core, whole)
    }

    /// What differs from what was asked.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some(asked) = self.asked.overlap_frames
            && asked < self.overlap_frames
        {
            notes.push(Note::general(
                "tile_overlap_raised",
                format!(
                    "The tile overlap was raised from {asked} to {} latent frames, as far as this autoencoder looks; with less, seams would be heard.",
                    self.overlap_frames
                ),
            ));
        }
        if self.asked.tile_frames > self.tile_frames && self.frames > self.tile_frames {
            notes.push(Note::general(
                "tile_size_lowered",
                format!(
                    "Memory: there was less than planned, so the song was decoded in pieces of {} latent frames instead of {}.",
                    self.tile_frames, self.asked.tile_frames
                ),
            ));
        }
        if self.asked.tile_frames < self.tile_frames && self.frames > self.asked.tile_frames {
            notes.push(Note::general(
                "tile_size_raised",
                format!(
                    "The tile size was raised from {} to {} latent frames, three times the overlap; smaller tiles would mostly repeat work.",
                    self.asked.tile_frames, self.tile_frames
                ),
            ));
        }
        notes
    }
}

/// Decodes one song, `latents` `[t, c]` of any dtype, to its channels on the host, neither
/// clipped nor scaled. Progress counts tiles of song `item`.
///
/// # Errors
/// Cancelled between two tiles, out of memory, a failing operation, or values that are not finite.
pub fn decode_tiled(
    vae: &Oobleck,
    latents: &Tensor,
    item: usize,
    options: TileOptions,
    observer: &dyn Observer,
) -> Result<(Vec<Vec<f32>>, Tiling)> {
    const STAGE: Stage = Stage::Decode;
    let failed = || Error::in_stage(STAGE);
    let (frames, _c) = latents.dims2().map_err(failed())?;
    // Smaller tiles make no song smaller, so this is asked once and for all.
    let samples = vae.config().samples_from_frames(frames);
    let bytes = samples * vae.config().audio_channels * size_of::<f32>();
    for_bytes(STAGE, bytes as u64, &Device::Cpu)?;
    let latents = latents
        .t()
        .and_then(|latents| latents.unsqueeze(0))
        .map_err(failed())?; // [1, c, t]
    let mut tiling = fitting(vae, options, frames)?;
    loop {
        match decode_in(vae, &latents, item, &tiling, observer) {
            // A card is asked by using it, and what was free may be taken by another program.
            Err(refused @ Error::OutOfMemory { .. }) => {
                tiling = halved(&tiling, vae.decoder_receptive_field()).ok_or(refused)?;
            }
            decoded => return decoded.map(|channels| (channels, tiling)),
        }
    }
}

/// All tiles of `latents` `[1, c, t]`, one after another.
fn decode_in(
    vae: &Oobleck,
    latents: &Tensor,
    item: usize,
    tiling: &Tiling,
    observer: &dyn Observer,
) -> Result<Vec<Vec<f32>>> {
    const STAGE: Stage = Stage::Decode;
    let failed = || Error::in_stage(STAGE);
    let frames = tiling.frames;
    let (hop, samples) = (vae.hop(), vae.config().samples_from_frames(frames));
    let mut channels = vec![Vec::with_capacity(samples); vae.config().audio_channels];
    for index in 0..tiling.tiles() {
        observer.check()?;
        // The tile before may have been of another size.
        cards::trim();
        let (core, whole) = tiling.tile(index);
        room_to_decode(vae, whole.len())?;
        let tile = latents
            .narrow(2, whole.start, whole.len())
            .and_then(|tile| vae.decode(&tile)) // [1, channels, n]
            .map_err(failed())?;
        // Frame f becomes samples from f · hop on, wherever a tile begins; only the song's end
        // may fall short of a whole frame.
        let first = (core.start - whole.start) * hop;
        let len = if core.end == frames {
            samples
        } else {
            core.end * hop
        } - core.start * hop;
        for (i, channel) in channels.iter_mut().enumerate() {
            let values = tile
                .i((0, i))
                .and_then(|row| row.narrow(0, first, len)?.to_vec1::<f32>())
                .map_err(failed())?;
            finite::values(&values, STAGE, "autoencoder's decoder")?;
            channel.extend(values);
        }
        observer.progress(STAGE, item, index + 1, tiling.tiles());
    }
    Ok(channels)
}

/// Tiles of `frames` as asked, or as large as there is room for.
fn fitting(vae: &Oobleck, asked: TileOptions, frames: usize) -> Result<Tiling> {
    let field = vae.decoder_receptive_field();
    let mut tiling = Tiling::new(asked, field, frames);
    loop {
        let Err(refused) = room_to_decode(vae, tiling.tile_frames.min(frames)) else {
            return Ok(tiling);
        };
        tiling = halved(&tiling, field).ok_or(refused)?;
    }
}

/// Tiles of half the size; `None` where that is too small to be worth it.
fn halved(tiling: &Tiling, receptive_field: usize) -> Option<Tiling> {
    let half = TileOptions {
        tile_frames: tiling.tile_frames.min(tiling.frames) / 2,
        ..tiling.asked
    };
    let smaller = Tiling::new(half, receptive_field, tiling.frames);
    (half.tile_frames >= SMALLEST_TILE && smaller.tile_frames < tiling.tile_frames).then_some(
        Tiling {
            asked: tiling.asked,
            ..smaller
        },
    )
}

/// Room for a tile of `frames`, in the precision that a processor counts in.
fn room_to_decode(vae: &Oobleck, frames: usize) -> Result<()> {
    let footprint = decoder_footprint(vae.config(), frames, DType::F32, Kernels::Processor);
    for_network(Stage::Decode, footprint, vae.device())
}

/// Encodes one clip, given as its channels, to the mean of its latents `[t, c]`, f32, on the
/// autoencoder's device. Progress counts tiles of clip `item`.
///
/// # Errors
/// As [`decode_tiled`]; also if the channels are not those of the autoencoder or differ in length.
pub fn encode_tiled(
    vae: &Oobleck,
    channels: &[Vec<f32>],
    item: usize,
    options: TileOptions,
    observer: &dyn Observer,
) -> Result<(Tensor, Tiling)> {
    const STAGE: Stage = Stage::Encode;
    let failed = || Error::in_stage(STAGE);
    let samples = channels.first().map_or(0, Vec::len);
    let config = vae.config();
    if channels.len() != config.audio_channels
        || channels.iter().any(|channel| channel.len() != samples)
    {
        return Err(Error::Audio {
            what: "sound to encode".to_owned(),
            reason: format!(
                "it has channels of {:?} samples, the autoencoder takes {} channels of the same length",
                channels.iter().map(Vec::len).collect::<Vec<_>>(),
                config.audio_channels
            ),
        });
    }
    let (hop, frames) = (vae.hop(), config.frames_from_samples(samples));
    if frames == 0 {
        return Err(Error::Audio {
            what: "sound to encode".to_owned(),
            reason: format!("it has {samples} samples, less than one latent frame ({hop})"),
        });
    }
    let tiling = Tiling::new(options, vae.encoder_receptive_field(), frames);

    let mut latents = Vec::with_capacity(tiling.tiles());
    for index in 0..tiling.tiles() {
        observer.check()?;
        cards::trim();
        let (core, whole) = tiling.tile(index);
        // The last tile takes the samples that do not fill a frame as well.
        let end = if whole.end == frames {
            samples
        } else {
            whole.end * hop
        };
        let span = whole.start * hop..end;
        let footprint = encoder_footprint(config, whole.len(), DType::F32, Kernels::Processor);
        for_network(STAGE, footprint, vae.device())?;
        let tile: Vec<f32> = channels
            .iter()
            .flat_map(|channel| &channel[span.clone()])
            .copied()
            .collect();
        let mean = Tensor::from_vec(tile, (1, config.audio_channels, span.len()), vae.device())
            .and_then(|tile| vae.encode_mean(&tile)) // [1, c, t]
            .and_then(|mean| {
                mean.narrow(2, core.start - whole.start, core.len())?
                    .i(0)?
                    .t()
            }) // [t, c]
            .map_err(failed())?;
        let values = mean
            .flatten_all()
            .and_then(|mean| mean.to_vec1::<f32>())
            .map_err(failed())?;
        finite::values(&values, STAGE, "autoencoder's encoder")?;
        latents.push(mean);
        observer.progress(STAGE, item, index + 1, tiling.tiles());
    }
    let latents = Tensor::cat(&latents, 0).map_err(failed())?;
    Ok((latents, tiling))
}

#[cfg(test)]
mod tests;
