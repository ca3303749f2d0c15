//! A region of a source made anew: silence of its own frames stands in the region, the source outside
//! of it, and outside of it the song is the source again (engine.md 6.7, 8.2).

use acestep_domain::{GenerationParams, task::TaskType};
use candle_core::Tensor;

use super::{Conditioning, Kept, Sources, prepare};
use crate::error::Result;

/// The source with a hole beside a mask of the hole, and what is kept round it.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let given = sources.needed(TaskType::Repaint)?;
    let region = given.region.clone().unwrap_or(0..frames);
    let source = sources.fit(&given.latents, frames)?;
    let silence = sources.silence(frames)?;
    let holed = || {
        let mut parts = Vec::new();
        for (from, span) in [
            (&source, 0..region.start),
            (&silence, region.clone()),
            (&source, region.end..frames),
        ] {
            if !span.is_empty() {
                parts.push(from.narrow(1, span.start, span.len())?);
            }
        }
        Tensor::cat(&parts, 1) // [1, t, c]
    };
    let mut repaint = sources.over(
        TaskType::Repaint.instruction(None, &[]),
        &holed().map_err(prepare())?,
        region.clone(),
        Some(given.secs),
    )?;
    repaint.kept = Some(Kept {
        source,
        region,
        hold: params.repaint_mode.hold(params.repaint_strength),
    });
    Ok(repaint)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::tasks::{self, Source};

    #[test]
    fn the_hole_is_silence_of_its_own_place() {
        let silence: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let silence = Tensor::from_vec(silence, (1, 10, 1), &Device::Cpu).unwrap();
        let source = Source {
            latents: Tensor::full(-1f32, (1, 6, 1), &Device::Cpu).unwrap(),
            secs: 0.24,
            region: Some(2..4),
        };
        let sources = Sources {
            silence: &silence,
            mask_channels: 1,
            hints: None,
            source: Some(&source),
        };
        let params = GenerationParams {
            task_type: TaskType::Repaint,
            ..GenerationParams::default()
        };
        let repaint = tasks::conditioning(&params, sources, 6).unwrap();
        let rows: Vec<Vec<f32>> = repaint
            .context_latents
            .squeeze(0)
            .unwrap()
            .to_vec2()
            .unwrap();
        assert_eq!(
            rows,
            [
                [-1., 0.],
                [-1., 0.],
                [2., 1.],
                [3., 1.],
                [-1., 0.],
                [-1., 0.]
            ]
        );
        let kept = repaint.kept.unwrap();
        assert_eq!((kept.region, kept.source.dtype()), (2..4, DType::F32));
    }
}
