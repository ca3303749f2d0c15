//! What each task asks of the loop, as data. A task calls no model and runs no loop; it chooses
//! the source latents, the mask and the instruction. One file a task.

pub mod text2music;

use acestep_domain::{GenerationParams, note::Note, task::TaskType};
use candle_core::Tensor;

use crate::error::{Error, Result};

/// Latent frames the networks were trained on at least; shorter songs are made longer inside and
/// cut afterwards (engine.md 13.17).
pub const MIN_FRAMES: usize = 128;

/// What the loop starts from.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// What the text encoder is told to do.
    pub instruction: String,
    /// Source latents and mask, `[1, t, 2c]`, f32, on the host.
    pub context_latents: Tensor,
    /// The length the caption prompt names.
    pub named_secs: Option<f64>,
    /// Fields that do nothing here.
    pub notes: Vec<Note>,
    /// What the run goes on with.
    pub then: Option<Then>,
}

/// A change of conditioning in mid-run (engine.md 6.6): after `floor(steps * after_share)` steps.
#[derive(Debug, Clone)]
pub struct Then {
    /// Share of the steps before it, 0 to 1.
    pub after_share: f64,
    /// What comes then.
    pub conditioning: Box<Conditioning>,
}

/// What a task may draw on.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Silence latents `[1, t, c]` from frame 0, f32, on the host.
    pub silence: &'a Tensor,
    /// Channels of the mask.
    pub mask_channels: usize,
    /// Latents of audio codes, `[1, t, c]`, f32, on the host.
    pub hints: Option<&'a Tensor>,
}

/// The conditioning of a request of `frames` latent frames.
///
/// # Errors
/// A task this version cannot do, or a song longer than the model's silence.
pub fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    match params.task_type {
        TaskType::Text2music => text2music::conditioning(params, sources, frames),
        other => Err(Error::Unsupported {
            what: format!("the task {}", other.as_str()),
            because: "this version makes songs from text; tasks on existing audio come later"
                .to_owned(),
        }),
    }
}

/// How long a song is inside and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Latent frames the networks see.
    pub frames: usize,
    /// Latent frames of the song.
    pub kept_frames: usize,
    /// Samples of the song; `None` = all that the frames decode to.
    pub samples: Option<usize>,
}

impl Lengths {
    /// Frames that cover `duration_secs`, at least [`MIN_FRAMES`], and the samples to keep.
    /// `samples_from_frames` is the decoder's.
    ///
    /// # Errors
    /// A length that is not above 0.
    pub fn covering(
        duration_secs: f64,
        sample_rate_hz: u32,
        hop: usize,
        samples_from_frames: impl Fn(usize) -> usize,
    ) -> Result<Self> {
        let samples = (duration_secs * f64::from(sample_rate_hz)).round();
        if !(samples.is_finite() && samples >= 1.0) {
            return Err(Error::Invalid {
                field: "duration",
                reason: format!("{duration_secs} is not a length above 0 seconds"),
            });
        }
        let samples = samples as usize;
        let mut kept_frames = samples.div_ceil(hop);
        // Decoders with odd strides give a little less than a hop for each frame.
        while samples_from_frames(kept_frames) < samples {
            kept_frames += 1;
        }
        Ok(Self {
            frames: kept_frames.max(MIN_FRAMES),
            kept_frames,
            samples: Some(samples),
        })
    }

    /// Exactly `frames`, nothing padded and nothing cut: for noise that was given.
    pub fn exact(frames: usize) -> Self {
        Self {
            frames,
            kept_frames: frames,
            samples: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cover_the_asked_length_and_the_output_is_cut_to_it() {
        let even = |frames| frames * 1920;
        for (secs, frames, kept, samples) in [
            (0.1, 128, 3, 4_800),
            (5.0, 128, 125, 240_000),
            (5.12, 128, 128, 245_760),
            (5.13, 129, 129, 246_240),
            (60.0, 1500, 1500, 2_880_000),
        ] {
            let lengths = Lengths::covering(secs, 48_000, 1920, even).unwrap();
            assert_eq!(
                lengths,
                Lengths {
                    frames,
                    kept_frames: kept,
                    samples: Some(samples)
                },
                "{secs}"
            );
        }
        // A decoder that loses 30 samples needs one frame more.
        let odd = |frames: usize| (frames * 1920).saturating_sub(30);
        assert_eq!(
            Lengths::covering(8.0, 48_000, 1920, odd).unwrap().frames,
            201
        );
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Lengths::covering(wrong, 48_000, 1920, even).is_err());
        }
    }
}
