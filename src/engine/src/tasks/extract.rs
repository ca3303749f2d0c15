//! One track of a source by itself: the whole source is the context and all of it may be changed
//! (engine.md 8.2).

use acestep_domain::{GenerationParams, task::TaskType};

use super::{Conditioning, Sources};
use crate::error::Result;

/// The source's latents beside a mask of ones; the instruction names the track.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let instruction = TaskType::Extract.instruction(params.track_name.as_deref(), &[]);
    sources.over_all(instruction, params, frames)
}
