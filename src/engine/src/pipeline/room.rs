//! Room for each network of a run, asked for before it works.

use acestep_domain::event::Stage;

use super::networks::Networks;
use crate::{
    error::Result,
    footprint::Footprint,
    memory::room::for_network,
    models::{
        condition_encoder::ConditionEncoder,
        dit::{Dit, Shapes},
        qwen3::Qwen3,
    },
};

impl Networks {
    /// For the text encoder on a prompt of so many tokens.
    ///
    /// # Errors
    /// Too little memory.
    pub(super) fn room_for_text(&self, tokens: usize) -> Result<()> {
        let config = &self.reader.checkpoint.text_encoder;
        let backend = self.reader.backend;
        let footprint = Qwen3::footprint(config, tokens, backend, self.placement.dtype);
        for_network(Stage::Prepare, footprint, &self.placement.device)
    }

    /// For the condition encoder on lyrics of so many tokens, beside so many references.
    ///
    /// # Errors
    /// Too little memory.
    pub(super) fn room_for_condition(&self, tokens: usize, references: usize) -> Result<()> {
        let footprint = ConditionEncoder::footprint(
            &self.config,
            tokens,
            references.max(1),
            self.reader.backend,
            self.placement.dtype,
        );
        for_network(Stage::Prepare, footprint, &self.placement.device)
    }

    /// Of the DiT: what it prepares for a run, and what a step takes.
    pub(super) fn dit_footprint(
        &self,
        (frames, condition_tokens): (usize, usize),
        steps: usize,
    ) -> Footprint {
        let shapes = Shapes {
            frames,
            condition_tokens,
            steps,
            backend: self.reader.backend,
        };
        Dit::footprint(&self.config, &shapes, self.placement.dtype)
    }
}
