//! The gated feed-forward block: `down(silu(gate(x)) * up(x))`.

use candle_core::{Module, Result, Tensor};

use super::{Linear, SidePaths, Weights};
use crate::kernels::swiglu::swiglu;

/// SwiGLU MLP without biases.
#[expect(clippy::struct_field_names, reason = "names of the checkpoint")]
#[derive(Debug, Clone)]
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    /// Takes `gate_proj`, `up_proj` `[i, h]` and `down_proj` `[h, i]`.
    pub fn load(h: usize, i: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            gate_proj: Linear::load_without_bias(h, i, &w.pp("gate_proj"))?,
            up_proj: Linear::load_without_bias(h, i, &w.pp("up_proj"))?,
            down_proj: Linear::load_without_bias(i, h, &w.pp("down_proj"))?,
        })
    }

    /// Takes the side paths of the three matrices in place of those they had.
    pub fn attach(&mut self, paths: &SidePaths) {
        self.gate_proj.attach(&paths.pp("gate_proj"));
        self.up_proj.attach(&paths.pp("up_proj"));
        self.down_proj.attach(&paths.pp("down_proj"));
    }

    /// Parameters of the three matrices.
    pub const fn parameters(h: usize, i: usize) -> u64 {
        3 * Linear::parameters(h, i, false)
    }
}

impl Module for Mlp {
    /// `[…, h]` to the same shape.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [gate, up] = Linear::forward_all([&self.gate_proj, &self.up_proj], x)?; // […, i]
        self.down_proj.forward(&swiglu(&gate, &up)?) // […, h]
    }
}
