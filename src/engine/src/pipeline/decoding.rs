//! From clean latents to finished takes: decoded, spliced where something of a source is kept, brought
//! to their level.

use std::time::Instant;

use acestep_domain::{event::Stage, library::Report, note::Note};
use candle_core::{Device, Tensor};

use super::{
    generate::{Request, Take},
    kept,
    vae_tiles::decode_tiled,
};
use crate::{
    audio::{
        Audio,
        loudness::{self, Level, Loudness},
    },
    error::{Error, Result},
    models::oobleck::Oobleck,
    observer::Observer,
    tasks::{Kept, Lengths},
};

/// What the takes of one run have in common.
pub(super) struct Decoding<'a> {
    pub(super) vae: &'a Oobleck,
    pub(super) request: &'a Request,
    pub(super) lengths: Lengths,
    /// What is kept of a source, and the source's channels by the same decoder.
    pub(super) kept: Option<(&'a Kept, Vec<Vec<f32>>)>,
    /// Samples that stood above full scale and were not turned down, over all takes.
    pub(super) clipped: usize,
    /// What became of a loudness that was asked for, of each take.
    pub(super) loudness: Vec<Loudness>,
    /// What differs from the plan, over all takes.
    pub(super) told: Vec<Note>,
}

fn stage() -> impl FnOnce(candle_core::Error) -> Error {
    Error::in_stage(Stage::Decode)
}

impl Decoding<'_> {
    /// Frame after frame to `[t, c]`, on the host.
    pub(super) fn tensor(&self, latents: Vec<f32>) -> Result<Tensor> {
        let channels = self.vae.config().decoder_input_channels;
        Tensor::from_vec(latents, (self.lengths.frames, channels), &Device::Cpu).map_err(stage())
    }

    /// How `latents` `[t, c]` sound, cut to the song's length.
    pub(super) fn wave(
        &mut self,
        latents: &Tensor,
        item: usize,
        observer: &dyn Observer,
    ) -> Result<Audio> {
        let on_device = latents.to_device(self.vae.device()).map_err(stage())?;
        let tiles = self.request.tiles;
        let (mut channels, tiling) = decode_tiled(self.vae, &on_device, item, tiles, observer)?;
        for note in tiling.notes() {
            if !self.told.contains(&note) {
                self.told.push(note);
            }
        }
        if let Some(samples) = self.lengths.samples {
            for channel in &mut channels {
                channel.truncate(samples);
            }
        }
        Ok(Audio {
            channels,
            sample_rate_hz: self.vae.sample_rate_hz(),
        })
    }

    /// The finished take of clean latents.
    pub(super) fn take(
        &mut self,
        item: usize,
        latents: Vec<f32>,
        observer: &dyn Observer,
    ) -> Result<Take> {
        let started = Instant::now();
        let latents = self.tensor(latents)?; // [t, c]
        let mut audio = self.wave(&latents, item, observer)?;
        if let Some((kept, source)) = &self.kept {
            kept::splice(&mut audio, source, kept, self.vae.hop());
        }
        // A reproduction is delivered as it is, near silence included: its reader compares, not listens.
        let gain = if self.request.raw_level {
            1.0
        } else if self.keeps_level() {
            self.clipped += loudness::keep(&mut audio)?;
            1.0
        } else {
            let params = &self.request.params;
            let asked = Level {
                normalize: params.normalize,
                target_lufs: params.target_lufs,
            };
            let done = loudness::level(&mut audio, asked)?;
            self.loudness.push(done.loudness);
            done.gain
        };
        let mut report = Report {
            gain,
            decode_secs: started.elapsed().as_secs_f32(),
            ..audio.report()
        };
        report.raw_loudness_lufs = loudness::raw_lufs(&report);
        let kept_latents = self
            .request
            .keep_latents
            .then(|| latents.narrow(0, 0, self.lengths.kept_frames))
            .transpose()
            .map_err(stage())?;
        Ok(Take {
            item,
            seed: self.request.seeds[item],
            audio,
            latents: kept_latents,
            report,
        })
    }

    /// Something of a source is in the song: another level would change what is kept.
    fn keeps_level(&self) -> bool {
        let kept_frames = self.lengths.kept_frames;
        self.kept
            .as_ref()
            .is_some_and(|(kept, _)| kept.region.start > 0 || kept.region.end < kept_frames)
    }

    /// What stood in the way of a loudness, said once for all takes.
    fn loudness_note(&self) -> Option<Note> {
        let target = self.request.params.target_lufs?;
        let note = |code, text: String| Some(Note::new(code, "target_lufs", text));
        if self.loudness.contains(&Loudness::Unmeasured) {
            return note(
                "loudness_unmeasured",
                "Loudness: a song needs 400 ms of sound for it to be measured; its peak decided the level."
                    .to_owned(),
            );
        }
        let reached = self
            .loudness
            .iter()
            .filter_map(|loudness| match loudness {
                Loudness::Limited(reached) => Some(*reached),
                _ => None,
            })
            .reduce(f32::min)?;
        note(
            "loudness_limited",
            format!(
                "Loudness: asked {target} LUFS, the quietest take has {reached:.1}: more would lift its true peak above -1 dB."
            ),
        )
    }

    /// What differs from what was asked.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = self.told.clone();
        if self.request.raw_level || !self.keeps_level() {
            notes.extend(self.loudness_note());
            return notes;
        }
        let target = self.request.params.target_lufs.is_some();
        if self.request.params.normalize || target {
            notes.push(Note::new(
                "normalize_ignored",
                if target { "target_lufs" } else { "normalize" },
                "Level: left as it is, so that what is kept of the source stays as loud as it was.",
            ));
        }
        if self.clipped > 0 {
            notes.push(Note::new(
                "clipped",
                "normalize",
                format!(
                    "Level: {} samples above full scale were clipped; turning the song down would have changed what is kept.",
                    self.clipped
                ),
            )
            .with("n", self.clipped));
        }
        notes
    }
}
