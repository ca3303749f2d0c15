//! A source with tracks added: the whole source is the context and all of it may be changed
//! (engine.md 8.2).

use acestep_domain::{GenerationParams, task::TaskType};

use super::{Conditioning, Sources};
use crate::error::Result;

/// The source's latents beside a mask of ones; the instruction names the tracks.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let instruction = TaskType::Complete.instruction(None, &params.complete_track_classes);
    sources.over_all(instruction, params, frames)
}
