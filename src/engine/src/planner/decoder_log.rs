//! The decoder's log: for every token of the language model where in its grammar it was taken, how many
//! were allowed there, and what the model would have taken if it were free. For finding out why a plan
//! is as it is; asked for by `constrained_decoding_debug`. It only tells: what is written is the same
//! with and without it.
//!
//! Tokens are letters of the user's words, so they are told at the level debug and no higher.

use acestep_domain::{GenerationParams, event::Stage, note::Note};
use candle_core::Tensor;
use tracing::{Level, debug, enabled};

use super::{
    sampler::{best, guided},
    tokenizer::LmTokenizer,
};
use crate::{
    error::{Error, Result},
    models::qwen3::CausalLm,
};

/// The log of one job.
#[derive(Clone, Copy)]
pub struct DecoderLog<'a> {
    tokenizer: &'a LmTokenizer,
}

impl std::fmt::Debug for DecoderLog<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecoderLog").finish_non_exhaustive()
    }
}

impl<'a> DecoderLog<'a> {
    /// The log, if it was asked for.
    pub fn of(wanted: bool, tokenizer: &'a LmTokenizer) -> Option<Self> {
        wanted.then_some(Self { tokenizer })
    }

    /// What `lm` would say after `hidden`, `[rows, h]`, if every token were allowed; `None` where it has
    /// no opinion.
    pub(super) fn free(lm: &CausalLm, hidden: &Tensor, scale: Option<f32>) -> Result<Option<u32>> {
        let whole = std::iter::once(0..lm.vocab_size()).collect::<Vec<_>>();
        let rows = lm
            .logits(hidden, &whole)
            .and_then(|logits| logits.to_vec2::<f32>())
            .map_err(Error::in_stage(Stage::LanguageModel))?;
        let candidates: Vec<_> = (0..)
            .zip(guided(&rows, scale))
            .filter(|(_, logit)| logit.is_finite())
            .collect();
        Ok(best(&candidates))
    }

    /// Sequence `sequence` took `token`, one of so many that were `allowed` in `state`; free, the model
    /// would have taken `free`.
    pub(super) fn chosen(
        self,
        sequence: usize,
        state: &str,
        allowed: usize,
        token: u32,
        free: u32,
    ) {
        debug!(
            lm.sequence = sequence,
            grammar.state = state,
            tokens.allowed = allowed,
            token.id = token,
            token.text = self.text(&[token]),
            free.id = free,
            free.text = self.text(&[free]),
            agrees = token == free,
            "constrained token"
        );
    }

    /// The grammar left sequence `sequence` no choice in `state`; the model was not asked.
    pub(super) fn forced(self, sequence: usize, state: &str, run: &[u32]) {
        debug!(
            lm.sequence = sequence,
            grammar.state = state,
            tokens.allowed = 1,
            tokens.count = run.len(),
            token.text = self.text(run),
            "forced tokens"
        );
    }

    fn text(self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }
}

/// That a log was asked for and nobody hears it.
pub fn unheard(params: &GenerationParams) -> Option<Note> {
    let unheard = params.constrained_decoding_debug && !enabled!(Level::DEBUG);
    unheard.then(|| {
        Note::new(
            "decoder_log_off",
            "constrained_decoding_debug",
            "Decoder log: the program does not log at the level debug, so nothing of it was kept. Start it with --debug, or with RUST_LOG=acestep_engine=debug.",
        )
    })
}
