//! A new song from text: the source is silence and all of it may be changed (engine.md 8.2). With
//! audio codes it is a cover of what they stand for.

use acestep_domain::{GenerationParams, task::TaskType};

use super::{Conditioning, Sources, cover};
use crate::error::Result;

/// Silence of the song's own frames, or the latents of its codes, beside a mask of ones.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    if sources.hints.is_some() {
        return cover::conditioning(params, sources, frames);
    }
    sources.over(
        TaskType::Text2music.instruction(None, &[]),
        &sources.silence(frames)?,
        0..frames,
        params.duration_secs,
    )
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::{error::Error, tasks};

    #[test]
    fn the_context_is_the_songs_own_silence_and_a_mask_of_ones() {
        let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let silence = Tensor::from_vec(values, (1, 10, 4), &Device::Cpu).unwrap();
        let sources = Sources {
            silence: &silence,
            mask_channels: 4,
            hints: None,
            source: None,
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
            source: None,
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
