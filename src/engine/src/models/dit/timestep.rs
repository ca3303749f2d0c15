//! Timestep embeddings: a sinusoid through a small MLP, and the six modulation rows of a layer.
//!
//! Reference: `AceStepTimestepEmbedding`.

use candle_core::{DType, Device, Module, Result, Tensor};

use crate::nn::{Linear, SidePaths, Weights};

/// Width of the sinusoid.
const SINUSOID: usize = 256;
/// Times run from 0 to 1; the sinusoid counts in thousandths.
const SCALE: f32 = 1000.;
/// Period ratio between the slowest and the fastest wave.
const MAX_PERIOD: f32 = 10_000.;

/// Rows of modulation: shift, scale and gate of the attention, then of the MLP.
pub(super) const ROWS: usize = 6;

/// One of the two embeddings (`t` and `t - r`).
#[derive(Debug, Clone)]
pub(super) struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    time_proj: Linear,
}

impl TimestepEmbedding {
    /// Takes `linear_1`, `linear_2`, `time_proj`.
    pub(super) fn load(h: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            linear_1: Linear::load_seldom(SINUSOID, h, &w.pp("linear_1"))?,
            linear_2: Linear::load_seldom(h, h, &w.pp("linear_2"))?,
            time_proj: Linear::load_seldom(h, ROWS * h, &w.pp("time_proj"))?,
        })
    }

    /// Takes the side paths of the three layers in place of those they had.
    pub(super) fn attach(&mut self, paths: &SidePaths) {
        self.linear_1.attach(&paths.pp("linear_1"));
        self.linear_2.attach(&paths.pp("linear_2"));
        self.time_proj.attach(&paths.pp("time_proj"));
    }

    /// Sinusoids `[n, 256]` to `temb` `[n, h]` and modulation `[n, 6, h]`.
    pub(super) fn forward(&self, sinusoid: &Tensor) -> Result<(Tensor, Tensor)> {
        let temb = self
            .linear_2
            .forward(&self.linear_1.forward(sinusoid)?.silu()?)?;
        let (n, h) = temb.dims2()?;
        let proj = self
            .time_proj
            .forward(&temb.silu()?)?
            .reshape((n, ROWS, h))?;
        Ok((temb, proj))
    }

    pub(super) const fn parameters(h: usize) -> u64 {
        Linear::parameters(SINUSOID, h, true)
            + Linear::parameters(h, h, true)
            + Linear::parameters(h, ROWS * h, true)
    }
}

/// Cosines, then sines, of each time; counted in f32 whatever the model runs in. `[n, 256]`.
pub(super) fn sinusoid(times: &[f64], dtype: DType, device: &Device) -> Result<Tensor> {
    let half = SINUSOID / 2;
    let frequencies: Vec<f32> = (0..half)
        .map(|j| (-MAX_PERIOD.ln() * j as f32 / half as f32).exp())
        .collect();
    let values: Vec<f32> = times
        .iter()
        .flat_map(|t| {
            let u = SCALE * *t as f32;
            let waves = |f: fn(f32) -> f32| frequencies.iter().map(move |w| f(u * w));
            waves(f32::cos).chain(waves(f32::sin)).collect::<Vec<_>>()
        })
        .collect();
    Tensor::from_vec(values, (times.len(), SINUSOID), device)?.to_dtype(dtype)
}
