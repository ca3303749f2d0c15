//! What each task asks of the loop, as data. A task calls no model and runs no loop; it chooses
//! the source latents, the mask, the instruction and what is kept. One file a task.

pub mod complete;
pub mod cover;
pub mod extract;
pub mod lego;
pub mod repaint;
pub mod text2music;

use std::ops::Range;

use acestep_domain::{GenerationParams, note::Note, region, task::TaskType};
use candle_core::Tensor;

use crate::error::{Error, Result, Stage};

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
    /// What the noise is mixed with.
    pub start: Option<Start>,
    /// What the song keeps of its source.
    pub kept: Option<Kept>,
}

/// A change of conditioning in mid-run (engine.md 6.6): after `floor(steps * after_share)` steps.
#[derive(Debug, Clone)]
pub struct Then {
    /// Share of the steps before it, 0 to 1.
    pub after_share: f64,
    /// What comes then.
    pub conditioning: Box<Conditioning>,
}

/// A run that begins below the noisy end (engine.md 6.6): at the timestep nearest to `1 - share`,
/// with as much of `latents` in the state as that timestep leaves.
#[derive(Debug, Clone)]
pub struct Start {
    /// How much of the way is taken over, above 0 to 1.
    pub share: f64,
    /// Clean latents `[1, t, c]`, f32, on the host.
    pub latents: Tensor,
}

/// Frames of the source that the song keeps (engine.md 6.7).
#[derive(Debug, Clone)]
pub struct Kept {
    /// Clean latents of the source, `[1, t, c]`, f32, on the host.
    pub source: Tensor,
    /// The frames that are made anew; all others are kept.
    pub region: Range<usize>,
    /// How they are kept.
    pub hold: region::Hold,
}

/// What a task may draw on.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Silence latents `[1, t, c]` from frame 0, f32, on the host.
    pub silence: &'a Tensor,
    /// Channels of the mask.
    pub mask_channels: usize,
    /// Latents of audio codes, given or heard in the source, `[1, t, c]`, f32, on the host.
    pub hints: Option<&'a Tensor>,
    /// The source itself.
    pub source: Option<&'a Source>,
}

/// A source as the networks see it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Mean latents `[1, t, c]`, f32, on the host.
    pub latents: Tensor,
    /// Its length.
    pub secs: f64,
    /// The frames to be made anew, of tasks that have a region.
    pub region: Option<Range<usize>>,
}

/// The conditioning of a request of `frames` latent frames.
///
/// # Errors
/// A source that is missing, or a song longer than the model's silence.
pub fn conditioning(
    params: &GenerationParams,
    sources: Sources<'_>,
    frames: usize,
) -> Result<Conditioning> {
    match params.task_type {
        TaskType::Text2music => text2music::conditioning(params, sources, frames),
        TaskType::Cover => cover::conditioning(params, sources, frames),
        TaskType::Repaint => repaint::conditioning(params, sources, frames),
        TaskType::Lego => lego::conditioning(params, sources, frames),
        TaskType::Extract => extract::conditioning(params, sources, frames),
        TaskType::Complete => complete::conditioning(params, sources, frames),
    }
}

impl<'a> Sources<'a> {
    /// The source of a task that cannot do without.
    fn needed(&self, task: TaskType) -> Result<&'a Source> {
        self.source.ok_or_else(|| Error::Invalid {
            field: "src_audio",
            reason: format!(
                "the task {} works on a source, and none was given",
                task.as_str()
            ),
        })
    }

    /// Silence of the first `frames` frames: it means something by its place.
    fn silence(&self, frames: usize) -> Result<Tensor> {
        let (_, known, _) = self.silence.dims3().map_err(prepare())?;
        if frames > known {
            return Err(Error::Invalid {
                field: if self.source.is_some() {
                    "src_audio"
                } else {
                    "duration"
                },
                reason: format!(
                    "the song would have {frames} latent frames, and this model knows {known}"
                ),
            });
        }
        self.silence.narrow(1, 0, frames).map_err(prepare())
    }

    /// `latents` cut to `frames`, or filled up with the first frames of silence (engine.md 4.3, 8.3).
    ///
    /// # Errors
    /// More frames than the model's silence has.
    pub fn fit(&self, latents: &Tensor, frames: usize) -> Result<Tensor> {
        let silence = self.silence(frames)?;
        let fit = || {
            let there = latents.dim(1)?;
            if there >= frames {
                return latents.narrow(1, 0, frames);
            }
            Tensor::cat(&[latents, &silence.narrow(1, 0, frames - there)?], 1)
        };
        fit().map_err(prepare())
    }

    /// `instruction` over the whole source, all of which may be changed, until the text alone decides.
    fn over_all(
        &self,
        instruction: String,
        params: &GenerationParams,
        frames: usize,
    ) -> Result<Conditioning> {
        let source = self.needed(params.task_type)?;
        let latents = self.fit(&source.latents, frames)?;
        self.over(instruction, &latents, 0..frames, Some(source.secs))?
            .with_strength(params, self, frames)
    }

    /// `instruction` over `source` `[1, t, c]`, whose frames of `region` may be changed.
    fn over(
        &self,
        instruction: String,
        source: &Tensor,
        region: Range<usize>,
        named_secs: Option<f64>,
    ) -> Result<Conditioning> {
        let context = || {
            let (_, frames, _) = source.dims3()?;
            let mask: Vec<f32> = (0..frames)
                .map(|frame| f32::from(u8::from(region.contains(&frame))))
                .collect();
            let mask = Tensor::from_vec(mask, (1, frames, 1), source.device())?
                .broadcast_as((1, frames, self.mask_channels))?
                .to_dtype(source.dtype())?;
            Tensor::cat(&[source, &mask], 2) // [1, t, 2c]
        };
        Ok(Conditioning {
            instruction,
            context_latents: context().map_err(prepare())?,
            named_secs,
            notes: Vec::new(),
            then: None,
            start: None,
            kept: None,
        })
    }
}

impl Conditioning {
    /// Leaves the song to the text alone after the share of the steps that `audio_cover_strength`
    /// gives to the source (engine.md 6.6): silence as the source, everything may be changed.
    fn with_strength(
        mut self,
        params: &GenerationParams,
        sources: &Sources<'_>,
        frames: usize,
    ) -> Result<Self> {
        if params.audio_cover_strength < 1.0 {
            let text = sources.over(
                TaskType::Text2music.instruction(None, &[]),
                &sources.silence(frames)?,
                0..frames,
                self.named_secs,
            )?;
            self.then = Some(Then {
                after_share: params.audio_cover_strength,
                conditioning: Box::new(text),
            });
        }
        Ok(self)
    }
}

fn prepare() -> impl FnOnce(candle_core::Error) -> Error {
    Error::in_stage(Stage::Prepare)
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

    /// Those of a source of `frames` frames and `samples` samples.
    pub fn of_source(frames: usize, samples: usize) -> Self {
        Self {
            frames: frames.max(MIN_FRAMES),
            kept_frames: frames,
            samples: Some(samples),
        }
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
