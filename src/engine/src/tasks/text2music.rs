//! A new song from text: the source is silence and all of it may be changed (engine.md 8.2). With
//! audio codes the source is what they stand for, and the instruction is the cover's.

use acestep_domain::{GenerationParams, task::TaskType};
use candle_core::Tensor;

use super::{Conditioning, Sources, Then};
use crate::error::{Error, Result, Stage};

/// Silence of the song's own frames, or the latents of its codes, beside a mask of ones.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let silence = silence(sources.silence, frames)?;
    let from = |task: TaskType, source: &Tensor| -> Result<Conditioning> {
        let mask = (1, frames, sources.mask_channels);
        let context_latents = Tensor::ones(mask, source.dtype(), source.device())
            .and_then(|mask| Tensor::cat(&[source, &mask], 2)) // [1, t, 2c]
            .map_err(Error::in_stage(Stage::Prepare))?;
        Ok(Conditioning {
            instruction: task.instruction(None, &[]),
            context_latents,
            named_secs: params.duration_secs,
            notes: Vec::new(),
            then: None,
        })
    };
    let text = from(TaskType::Text2music, &silence)?;
    let Some(hints) = sources.hints else {
        return Ok(text);
    };
    let source = fit(hints, &silence, frames).map_err(Error::in_stage(Stage::Prepare))?;
    let mut codes = from(TaskType::Cover, &source)?;
    if params.audio_cover_strength < 1.0 {
        codes.then = Some(Then {
            after_share: params.audio_cover_strength,
            conditioning: Box::new(text),
        });
    }
    Ok(codes)
}

/// Silence means something by its place, so it is sliced from frame 0.
fn silence(silence: &Tensor, frames: usize) -> Result<Tensor> {
    let stage = || Error::in_stage(Stage::Prepare);
    let (_, known, _) = silence.dims3().map_err(stage())?;
    if frames > known {
        return Err(Error::Invalid {
            field: "duration",
            reason: format!(
                "the song would have {frames} latent frames, and this model knows {known}"
            ),
        });
    }
    silence.narrow(1, 0, frames).map_err(stage())
}

/// `hints` cut to `frames`, or filled up with the first frames of silence (engine.md 4.3).
fn fit(hints: &Tensor, silence: &Tensor, frames: usize) -> candle_core::Result<Tensor> {
    let there = hints.dim(1)?;
    if there >= frames {
        return hints.narrow(1, 0, frames);
    }
    Tensor::cat(&[hints, &silence.narrow(1, 0, frames - there)?], 1)
}

#[cfg(test)]
mod tests {
    use acestep_domain::task::TaskType;
    use candle_core::Device;

    use super::*;
    use crate::tasks;

    #[test]
    fn the_context_is_the_songs_own_silence_and_a_mask_of_ones() {
        let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let silence = Tensor::from_vec(values, (1, 10, 4), &Device::Cpu).unwrap();
        let sources = Sources {
            silence: &silence,
            mask_channels: 4,
            hints: None,
        };
        let params = GenerationParams::default();
        let found = tasks::conditioning(&params, sources, 3).unwrap();
        let rows: Vec<Vec<f32>> = found.context_latents.squeeze(0).unwrap().to_vec2().unwrap();
        assert_eq!(rows[2], [8.0, 9.0, 10.0, 11.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(rows.len(), 3);
        assert!(
            found
                .instruction
                .starts_with("Fill the audio semantic mask")
        );

        let too_long = tasks::conditioning(&params, sources, 11).unwrap_err();
        assert!(matches!(
            too_long,
            Error::Invalid {
                field: "duration",
                ..
            }
        ));
        let cover = GenerationParams {
            task_type: TaskType::Cover,
            ..params
        };
        let refused = tasks::conditioning(&cover, sources, 3).unwrap_err();
        assert!(refused.to_string().contains("cover"), "{refused}");
    }

    #[test]
    fn codes_are_the_source_of_their_share_of_the_steps() {
        let values: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let silence = Tensor::from_vec(values, (1, 10, 1), &Device::Cpu).unwrap();
        let hints = Tensor::full(7f32, (1, 5, 1), &Device::Cpu).unwrap();
        let sources = Sources {
            silence: &silence,
            mask_channels: 1,
            hints: Some(&hints),
        };
        let rows = |conditioning: &Conditioning| -> Vec<f32> {
            let source = conditioning.context_latents.narrow(2, 0, 1).unwrap();
            source.flatten_all().unwrap().to_vec1().unwrap()
        };
        let mut params = GenerationParams::default();
        let all = tasks::conditioning(&params, sources, 7).unwrap();
        assert_eq!(rows(&all), [7., 7., 7., 7., 7., 0., 1.]);
        assert!(all.instruction.starts_with("Generate audio semantic"));
        assert!(all.then.is_none());
        assert_eq!(
            rows(&tasks::conditioning(&params, sources, 3).unwrap()),
            [7.; 3]
        );

        params.audio_cover_strength = 0.4;
        let some = tasks::conditioning(&params, sources, 3).unwrap();
        let then = some.then.unwrap();
        assert_eq!(then.after_share, 0.4);
        assert_eq!(rows(&then.conditioning), [0., 1., 2.]);
        assert!(then.conditioning.instruction.starts_with("Fill the audio"));
    }
}
