//! A new track that fits a source: the source is the context everywhere, and the mask says where the
//! track plays (engine.md 8.2, 13.19). The song is the track; nothing of the source is put into it.

use acestep_domain::{GenerationParams, task::TaskType};

use super::{Conditioning, Sources};
use crate::error::Result;

/// The source's latents beside a mask of the region; the instruction names the track.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let source = sources.needed(TaskType::Lego)?;
    let instruction = TaskType::Lego.instruction(params.track_name.as_deref(), &[]);
    sources.over(
        instruction,
        &sources.fit(&source.latents, frames)?,
        source.region.clone().unwrap_or(0..frames),
        Some(source.secs),
    )
}
