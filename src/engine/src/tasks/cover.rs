//! A new take on a source or on audio codes: the latents of the codes are the source and all of it
//! may be changed (engine.md 8.2). A checkpoint without networks for codes follows the source's own
//! latents (`cover-nofsq` of the later reference), with a note.

use acestep_domain::{GenerationParams, note::Note, task::TaskType};

use super::{Conditioning, Sources, Start};
use crate::error::Result;

/// What the codes stand for beside a mask of ones; the text alone after their share of the steps.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let mut notes = Vec::new();
    let followed = if let Some(hints) = sources.hints {
        hints
    } else {
        let source = sources.needed(TaskType::Cover)?;
        notes.push(Note::new(
            "cover_without_codes",
            "src_audio",
            "Source: this model was not trained on audio codes, so the cover follows the source's own sound and stays close to it.",
        ));
        &source.latents
    };
    let named_secs = sources
        .source
        .map_or(params.duration_secs, |source| Some(source.secs));
    let mut cover = sources
        .over(
            TaskType::Cover.instruction(None, &[]),
            &sources.fit(followed, frames)?,
            0..frames,
            named_secs,
        )?
        .with_strength(params, &sources, frames)?;
    if params.cover_noise_strength > 0.0
        && let Some(source) = sources.source
    {
        cover.start = Some(Start {
            share: params.cover_noise_strength,
            latents: sources.fit(&source.latents, frames)?,
        });
    }
    cover.notes = notes;
    Ok(cover)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::{
        error::Error,
        tasks::{self, Source},
    };

    #[test]
    fn without_codes_the_source_itself_is_followed_and_a_missing_one_is_named() {
        let silence = Tensor::zeros((1, 10, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let source = Source {
            latents: Tensor::full(3f32, (1, 4, 1), &Device::Cpu).unwrap(),
            secs: 0.16,
            region: None,
        };
        let sources = Sources {
            silence: &silence,
            mask_channels: 1,
            hints: None,
            source: Some(&source),
        };
        let params = GenerationParams {
            task_type: TaskType::Cover,
            cover_noise_strength: 0.5,
            ..GenerationParams::default()
        };
        let cover = tasks::conditioning(&params, sources, 5).unwrap();
        let rows: Vec<Vec<f32>> = cover.context_latents.squeeze(0).unwrap().to_vec2().unwrap();
        assert_eq!(rows[3..], [[3.0, 1.0], [0.0, 1.0]]);
        assert_eq!(cover.notes[0].code, "cover_without_codes");
        assert_eq!(cover.named_secs, Some(0.16));
        assert_eq!(cover.start.unwrap().share, 0.5);

        let nothing = Sources {
            source: None,
            ..sources
        };
        assert!(matches!(
            tasks::conditioning(&params, nothing, 5),
            Err(Error::Invalid {
                field: "src_audio",
                ..
            })
        ));
    }
}
