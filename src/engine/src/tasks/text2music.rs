//! A new song from text: the source is silence and all of it may be changed (engine.md 8.2).

use acestep_domain::{GenerationParams, note::Note};
use candle_core::Tensor;

use super::{Conditioning, Sources};
use crate::error::{Error, Result, Stage};

/// Silence of the song's own frames beside a mask of ones. Silence means something by its place,
/// so it is sliced from frame 0.
pub(super) fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    let stage = || Error::in_stage(Stage::Prepare);
    let (_, known, _) = sources.silence.dims3().map_err(stage())?;
    if frames > known {
        return Err(Error::Invalid {
            field: "duration",
            reason: format!(
                "the song would have {frames} latent frames, and this model knows {known}"
            ),
        });
    }
    let context_latents = sources
        .silence
        .narrow(1, 0, frames)
        .and_then(|source| {
            let mask = Tensor::ones(
                (1, frames, sources.mask_channels),
                source.dtype(),
                source.device(),
            )?;
            Tensor::cat(&[source, mask], 2) // [1, t, 2c]
        })
        .map_err(stage())?;
    let mut notes = Vec::new();
    if !params.audio_codes.trim().is_empty() {
        notes.push(Note::new(
            "audio_codes_ignored",
            "audio_codes",
            "Audio codes: this version makes songs from text alone, so the codes are not used.",
        ));
    }
    Ok(Conditioning {
        instruction: params.task_type.instruction(None, &[]),
        context_latents,
        named_secs: params.duration_secs,
        notes,
    })
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
}
