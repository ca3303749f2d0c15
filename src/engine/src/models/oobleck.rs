//! Oobleck, the autoencoder between sound and latents.
//!
//! Reference: `AutoencoderOobleck` of diffusers 0.42.1
//! (`models/autoencoders/autoencoder_oobleck.py`), with one freedom: `encoder.conv2` has twice
//! `decoder_input_channels` outputs, which is what a decoder of that width needs, whatever
//! `encoder_hidden_size` says (the reference takes `encoder_hidden_size` itself; in released
//! checkpoints both are 128).
//!
//! Sound is `[b, channels, n]` in −1..1 at [`Oobleck::sample_rate_hz`], latents are `[b, c, t]`;
//! there is no scaling between the latents here and those of the diffusion. Tiling is not done
//! here but in `pipeline::vae_tiles`, which asks for the receptive fields below.

mod decoder;
mod encoder;
mod layers;

use candle_core::{DType, Device, Result, Tensor, bail};
use serde::Deserialize;

use crate::footprint::Footprint;
use crate::nn::weights::Weights;
use decoder::Decoder;
use encoder::Encoder;
pub use layers::Kernels;
use layers::Layer;

/// `config.json` of the autoencoder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// Channels of the encoder before the multiples.
    pub encoder_hidden_size: usize,
    /// Strides of the encoder's blocks; the decoder goes backwards.
    pub downsampling_ratios: Vec<usize>,
    /// Channels after each block, in units of the hidden size.
    pub channel_multiples: Vec<usize>,
    /// Channels of the decoder before the multiples.
    pub decoder_channels: usize,
    /// Latent channels.
    pub decoder_input_channels: usize,
    /// 1 for mono, 2 for stereo.
    pub audio_channels: usize,
    /// Samples a second.
    pub sampling_rate: u32,
}

impl Config {
    /// Refuses what no network can be built from.
    ///
    /// # Errors
    /// One sentence naming the key.
    pub fn validate(&self) -> Result<()> {
        let Self {
            downsampling_ratios: ratios,
            channel_multiples: multiples,
            ..
        } = self;
        if ratios.is_empty() || ratios.len() != multiples.len() {
            bail!(
                "downsampling_ratios ({} values) and channel_multiples ({} values) must have the same length, at least one",
                ratios.len(),
                multiples.len()
            );
        }
        let sizes = [
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_channels", self.decoder_channels),
            ("decoder_input_channels", self.decoder_input_channels),
            ("audio_channels", self.audio_channels),
            ("sampling_rate", self.sampling_rate as usize),
        ];
        let lists = ratios
            .iter()
            .map(|&value| ("downsampling_ratios", value))
            .chain(multiples.iter().map(|&value| ("channel_multiples", value)));
        for (key, value) in sizes.into_iter().chain(lists) {
            if value == 0 {
                bail!("{key} must not be 0");
            }
        }
        Ok(())
    }

    /// Samples of one latent frame.
    pub fn hop(&self) -> usize {
        self.downsampling_ratios.iter().product()
    }

    /// Bytes of the largest kernel in f32.
    pub(crate) fn largest_kernel_bytes(&self) -> u64 {
        let layers = [decoder::layers(self), encoder::layers(self)];
        let largest = layers.iter().flatten().map(Layer::parameters).max();
        largest.unwrap_or(0) * size_of::<f32>() as u64
    }

    /// Samples that `frames` frames decode to: `hop` a frame, a little less where a stride is odd.
    pub fn samples_from_frames(&self, frames: usize) -> usize {
        layers::out_len(&decoder::layers(self), frames)
    }

    /// Frames that `samples` samples encode to.
    pub fn frames_from_samples(&self, samples: usize) -> usize {
        layers::out_len(&encoder::layers(self), samples)
    }

    /// How many frames before or after its own a decoded sample depends on.
    pub fn decoder_receptive_field(&self) -> usize {
        let hop = self.hop() as isize;
        // The samples of frame 0, and the frames they come from.
        let (first, last) = layers::input_span(&decoder::layers(self), 0, hop - 1);
        first.min(0).unsigned_abs().max(last.max(0).unsigned_abs())
    }

    /// How many frames of sound before or after its own a latent frame depends on.
    pub fn encoder_receptive_field(&self) -> usize {
        let hop = self.hop();
        let (first, last) = layers::input_span(&encoder::layers(self), 0, 0);
        let before = first.min(0).unsigned_abs();
        let after = (last - hop as isize + 1).max(0).unsigned_abs();
        before.max(after).div_ceil(hop)
    }
}

/// Mean and standard deviation of the latents of a sound, `[b, c, t]` each, f32.
#[derive(Debug, Clone)]
pub struct Moments {
    /// The mean, which is what an encoded song is.
    pub mean: Tensor,
    /// `softplus(scale) + 1e-4`.
    pub std: Tensor,
}

/// The autoencoder.
pub struct Oobleck {
    config: Config,
    decoder: Option<Decoder>,
    encoder: Option<Encoder>,
    dtype: DType,
    device: Device,
}

impl Oobleck {
    /// Both halves.
    ///
    /// # Errors
    /// The config is unusable, or a tensor is missing or has another shape than it says.
    pub fn load(config: &Config, w: &Weights) -> Result<Self> {
        let mut vae = Self::load_decoder(config, w)?;
        vae.encoder = Self::load_encoder(config, w)?.encoder;
        Ok(vae)
    }

    /// The decoder alone, half the memory; encoding is then refused.
    ///
    /// # Errors
    /// As [`Oobleck::load`].
    pub fn load_decoder(config: &Config, w: &Weights) -> Result<Self> {
        let mut vae = Self::empty(config, w)?;
        vae.decoder = Some(Decoder::load(config, &w.pp("decoder"))?);
        Ok(vae)
    }

    /// The encoder alone; decoding is then refused.
    ///
    /// # Errors
    /// As [`Oobleck::load`].
    pub fn load_encoder(config: &Config, w: &Weights) -> Result<Self> {
        let mut vae = Self::empty(config, w)?;
        vae.encoder = Some(Encoder::load(config, &w.pp("encoder"))?);
        Ok(vae)
    }

    fn empty(config: &Config, w: &Weights) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            decoder: None,
            encoder: None,
            dtype: w.dtype(),
            device: w.device().clone(),
        })
    }

    /// What it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Samples of one latent frame.
    pub fn hop(&self) -> usize {
        self.config.hop()
    }

    /// Samples a second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config.sampling_rate
    }

    /// See [`Config::decoder_receptive_field`].
    pub fn decoder_receptive_field(&self) -> usize {
        self.config.decoder_receptive_field()
    }

    /// See [`Config::encoder_receptive_field`].
    pub fn encoder_receptive_field(&self) -> usize {
        self.config.encoder_receptive_field()
    }

    /// Latents `[b, c, t]` of any dtype to sound `[b, channels, n]`, f32, neither clipped nor scaled.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let Some(decoder) = &self.decoder else {
            bail!("the decoder of the autoencoder was not loaded");
        };
        let latents = latents.to_device(&self.device)?.to_dtype(self.dtype)?;
        decoder.forward(&latents)?.to_dtype(DType::F32)
    }

    /// Sound `[b, channels, n]` of any dtype to the mean and spread of its latents.
    pub fn encode(&self, audio: &Tensor) -> Result<Moments> {
        let parameters = self.encode_parameters(audio)?; // [b, 2 c, t]
        let c = self.config.decoder_input_channels;
        let scale = parameters.narrow(1, c, c)?;
        // softplus(x) = max(x, 0) + ln(1 + exp(−|x|)), which never overflows.
        let softplus = (scale.relu()? + (scale.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok(Moments {
            mean: parameters.narrow(1, 0, c)?.contiguous()?,
            std: (softplus + 1e-4)?,
        })
    }

    /// Sound `[b, channels, n]` of any dtype to latents `[b, c, t]`, f32: the mean.
    pub fn encode_mean(&self, audio: &Tensor) -> Result<Tensor> {
        self.encode_parameters(audio)?
            .narrow(1, 0, self.config.decoder_input_channels)?
            .contiguous()
    }

    fn encode_parameters(&self, audio: &Tensor) -> Result<Tensor> {
        let Some(encoder) = &self.encoder else {
            bail!("the encoder of the autoencoder was not loaded");
        };
        let audio = audio.to_device(&self.device)?.to_dtype(self.dtype)?;
        encoder.forward(&audio)?.to_dtype(DType::F32)
    }
}

/// Bytes of decoding `frames` latent frames at once, and of the decoder's weights, in `dtype`.
pub fn decoder_footprint(
    config: &Config,
    frames: usize,
    dtype: DType,
    kernels: Kernels,
) -> Footprint {
    footprint(&decoder::layers(config), frames, dtype, kernels)
}

/// Multiplications and additions of decoding `frames` frames.
pub fn decoder_operations(config: &Config, frames: usize) -> f64 {
    layers::operations(&decoder::layers(config), frames)
}

/// Multiplications and additions of encoding `frames` frames' worth of samples.
pub fn encoder_operations(config: &Config, frames: usize) -> f64 {
    layers::operations(&encoder::layers(config), frames * config.hop())
}

/// Bytes of encoding `frames` frames' worth of samples at once, and of the encoder's weights.
pub fn encoder_footprint(
    config: &Config,
    frames: usize,
    dtype: DType,
    kernels: Kernels,
) -> Footprint {
    footprint(
        &encoder::layers(config),
        frames * config.hop(),
        dtype,
        kernels,
    )
}

fn footprint(layers: &[Layer], len: usize, dtype: DType, kernels: Kernels) -> Footprint {
    let size = dtype.size_in_bytes() as u64;
    Footprint {
        weights: layers.iter().map(Layer::parameters).sum::<u64>() * size,
        activations: layers::peak_bytes(layers, len, dtype, kernels),
        cache: 0,
    }
}

#[cfg(test)]
pub(crate) mod tests;
