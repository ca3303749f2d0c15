//! Latent frames to decoder tokens and back.
//!
//! Reference: `proj_in` (Conv1d) and `proj_out` (ConvTranspose1d) of `AceStepTransformer1DModel`.
//! Kernel and stride are both the patch size, so each is a linear layer on stacked frames. The
//! input layer is cut in two: the context (source latents and mask) does not change while
//! denoising, so its share, with the bias, is computed once.

use candle_core::{Module, Result, Tensor};

use super::Config;
use crate::nn::{Linear, Weights};

/// `proj_in`, cut by channels.
#[derive(Debug, Clone)]
pub(super) struct PatchIn {
    context: Linear,
    latents: Linear,
    patch: usize,
}

impl PatchIn {
    /// Takes `weight` `[h, in_channels, patch]` and `bias` `[h]`.
    pub(super) fn load(cfg: &Config, w: &Weights) -> Result<Self> {
        let (h, patch) = (cfg.hidden_size, cfg.patch_size);
        let weight = w.get((h, cfg.in_channels, patch), "weight")?;
        let bias = w.get(h, "bias")?;
        let part = |start: usize, len: usize| {
            // Stacked frames are numbered p * channels + c.
            weight
                .narrow(1, start, len)?
                .transpose(1, 2)?
                .contiguous()?
                .reshape((h, patch * len))
        };
        let context = cfg.context_channels();
        Ok(Self {
            context: Linear::from_parts(part(0, context)?, Some(bias)),
            latents: Linear::from_parts(part(context, cfg.audio_acoustic_hidden_dim)?, None),
            patch,
        })
    }

    /// The share of the context `[b, t, c]`, with the bias: `[b, s, h]`.
    pub(super) fn context(&self, context_latents: &Tensor) -> Result<Tensor> {
        self.context.forward(&self.stack(context_latents)?)
    }

    /// The share of the noisy latents `[b, t, c]`: `[b, s, h]`.
    pub(super) fn latents(&self, hidden_states: &Tensor) -> Result<Tensor> {
        self.latents.forward(&self.stack(hidden_states)?)
    }

    /// `[b, t, c]` to `[b, s, patch * c]`, the last token filled with zero frames.
    fn stack(&self, x: &Tensor) -> Result<Tensor> {
        let (b, t, c) = x.dims3()?;
        let s = t.div_ceil(self.patch);
        let x = x.pad_with_zeros(1, 0, s * self.patch - t)?;
        x.contiguous()?.reshape((b, s, self.patch * c))
    }

    pub(super) const fn parameters(cfg: &Config) -> u64 {
        Linear::parameters(cfg.in_channels * cfg.patch_size, cfg.hidden_size, true)
    }
}

/// `proj_out`.
#[derive(Debug, Clone)]
pub(super) struct PatchOut {
    linear: Linear,
    channels: usize,
    patch: usize,
}

impl PatchOut {
    /// Takes `weight` `[h, c, patch]` and `bias` `[c]`.
    pub(super) fn load(cfg: &Config, w: &Weights) -> Result<Self> {
        let (h, c, patch) = (
            cfg.hidden_size,
            cfg.audio_acoustic_hidden_dim,
            cfg.patch_size,
        );
        let weight = w
            .get((h, c, patch), "weight")?
            .permute((2, 1, 0))?
            .contiguous()?;
        let bias = w.get(c, "bias")?.repeat(patch)?;
        let linear = Linear::from_parts(weight.reshape((patch * c, h))?, Some(bias));
        Ok(Self {
            linear,
            channels: c,
            patch,
        })
    }

    /// Tokens `[b, s, h]` to the first `frames` latent frames, `[b, t, c]`.
    pub(super) fn forward(&self, hidden_states: &Tensor, frames: usize) -> Result<Tensor> {
        let (b, s, _) = hidden_states.dims3()?;
        let stacked = self.linear.forward(hidden_states)?; // [b, s, patch * c]
        stacked
            .reshape((b, s * self.patch, self.channels))?
            .narrow(1, 0, frames)
    }

    pub(super) const fn parameters(cfg: &Config) -> u64 {
        (cfg.hidden_size * cfg.patch_size * cfg.audio_acoustic_hidden_dim
            + cfg.audio_acoustic_hidden_dim) as u64
    }
}
