//! Condition encoder: lyrics, timbre and caption packed into the one sequence that the decoder
//! attends to.
//!
//! Reference: `AceStepConditionEncoder`. An item is encoded alone and at its true lengths, so
//! packing is concatenation: lyrics first, then one vector a reference, then the caption. The
//! reference sorts padding to the end of a batch instead; the valid part is the same.

use candle_core::{DType, Module, Result, Tensor};

use super::{dit::Config, lyric_encoder::LyricEncoder, timbre_encoder::TimbreEncoder};
use crate::{
    footprint::Footprint,
    nn::{Backend, Linear, Weights},
};

/// The precision of this network in a model of `dtype`.
const fn kept_in(dtype: DType) -> DType {
    match dtype {
        DType::F16 => DType::F32,
        other => other,
    }
}

/// The network with the null embedding.
#[derive(Debug, Clone)]
pub struct ConditionEncoder {
    text_projector: Linear,
    lyric_encoder: LyricEncoder,
    timbre_encoder: TimbreEncoder,
    null_condition_emb: Tensor,
    dtype: DType,
}

impl ConditionEncoder {
    /// Takes `encoder.*` and `null_condition_emb`; `w` stands at the root of the DiT file.
    ///
    /// Lyric states exceed the range of f16, so a model in f16 keeps this network in f32.
    pub fn load(cfg: &Config, backend: Backend, w: &Weights) -> Result<Self> {
        let w = w.with_dtype(kept_in(w.dtype()));
        let he = cfg.encoder_width();
        let encoder = w.pp("encoder");
        Ok(Self {
            text_projector: Linear::load_without_bias(
                cfg.text_hidden_dim,
                he,
                &encoder.pp("text_projector"),
            )?,
            lyric_encoder: LyricEncoder::load(cfg, backend, &encoder.pp("lyric_encoder"))?,
            timbre_encoder: TimbreEncoder::load(cfg, backend, &encoder.pp("timbre_encoder"))?,
            null_condition_emb: w.get((1, 1, he), "null_condition_emb")?,
            dtype: w.dtype(),
        })
    }

    /// The condition of one item, `[1, l, he]` with `l = lyrics + references + caption`:
    /// - `text_hidden_states` `[1, lt, text_hidden_dim]`, output of the text encoder;
    /// - `lyric_hidden_states` `[1, ll, text_hidden_dim]`, rows of its embedding table;
    /// - `refer_audio` `[n, t, c]`, latents of the references in the order they were given, or
    ///   the first `timbre_fix_frame` silence frames when there is none.
    ///
    /// Inputs may come in any float precision.
    pub fn forward(
        &self,
        text_hidden_states: &Tensor,
        lyric_hidden_states: &Tensor,
        refer_audio: &Tensor,
    ) -> Result<Tensor> {
        let timbre = self.timbre(refer_audio)?;
        self.pack(text_hidden_states, lyric_hidden_states, &timbre)
    }

    /// Timbre vectors `[1, n, he]` of `n` references; without a reference they are a constant of
    /// the checkpoint, which a caller may keep.
    pub fn timbre(&self, refer_audio: &Tensor) -> Result<Tensor> {
        self.timbre_encoder
            .forward(&refer_audio.to_dtype(self.dtype)?)?
            .unsqueeze(0)
    }

    /// [`Self::forward`] with the timbre vectors `[1, n, he]` at hand.
    pub fn pack(
        &self,
        text_hidden_states: &Tensor,
        lyric_hidden_states: &Tensor,
        timbre: &Tensor,
    ) -> Result<Tensor> {
        let text = self
            .text_projector
            .forward(&text_hidden_states.to_dtype(self.dtype)?)?;
        let lyrics = self
            .lyric_encoder
            .forward(&lyric_hidden_states.to_dtype(self.dtype)?)?;
        Tensor::cat(&[&lyrics, timbre, &text], 1) // [1, l, he]
    }

    /// The condition of the unguided branch, `[1, 1, he]`. The reference repeats it to the length
    /// of the condition; since all keys are then alike, one gives the same result exactly.
    pub fn null(&self) -> &Tensor {
        &self.null_condition_emb
    }

    /// Parameters, the null embedding included.
    pub fn parameters(cfg: &Config) -> u64 {
        let he = cfg.encoder_width();
        Linear::parameters(cfg.text_hidden_dim, he, false)
            + he as u64
            + LyricEncoder::parameters(cfg)
            + TimbreEncoder::parameters(cfg)
    }

    /// Memory for one item with `lyric_tokens` and `references`. In f16 the network is kept in
    /// f32, see [`Self::load`].
    pub fn footprint(
        cfg: &Config,
        lyric_tokens: usize,
        references: usize,
        backend: Backend,
        dtype: DType,
    ) -> Footprint {
        let dtype = kept_in(dtype);
        let parts = LyricEncoder::footprint(cfg, lyric_tokens, backend, dtype)
            + TimbreEncoder::footprint(cfg, references, backend, dtype);
        Footprint::new(Self::parameters(cfg), dtype).with_activations(parts.activations)
    }
}
