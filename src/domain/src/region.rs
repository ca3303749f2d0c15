//! The part of a source that is made anew, and how the rest is held (engine.md 6.7, 8.4).
//!
//! A region may begin before the source and end behind it: the source is then lengthened by silence
//! on that side, and every place is counted from the new beginning.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::UserError;

/// How firmly a repaint holds what lies outside its region. In every mode the finished song outside
/// the region is the source as the autoencoder gives it back; the mode decides how much the model
/// knows of that while it works, and how wide the seam is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepaintMode {
    /// The source is put back after every step; the widest seam.
    Conservative,
    /// Between the others, by `repaint_strength`.
    #[default]
    Balanced,
    /// The model runs freely; the narrowest seam.
    Aggressive,
}

/// What a mode comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hold {
    /// Share of the steps after which the source is put back outside the region.
    pub injected_share: f64,
    /// Latent frames outside each border over which both are blended.
    pub blend_frames: usize,
    /// Seconds outside each border over which the waves are crossfaded.
    pub crossfade_secs: f64,
}

impl RepaintMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Conservative, Self::Balanced, Self::Aggressive];

    /// The shortest crossfade: with none a click would be heard.
    const SHORTEST_CROSSFADE_SECS: f64 = 0.01;

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conservative => "conservative",
            Self::Balanced => "balanced",
            Self::Aggressive => "aggressive",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// The figures of engine.md 6.7. `strength` is that of the balanced mode: 0 holds like
    /// conservative, 1 like aggressive.
    pub fn hold(self, strength: f64) -> Hold {
        let held = match self {
            Self::Conservative => 1.0,
            Self::Balanced => 1.0 - strength.clamp(0.0, 1.0),
            Self::Aggressive => 0.0,
        };
        Hold {
            injected_share: held,
            blend_frames: (25.0 * held).round_ties_even() as usize,
            crossfade_secs: (0.05 * held).max(Self::SHORTEST_CROSSFADE_SECS),
        }
    }
}

/// A region in seconds of the lengthened source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Silence put before the source.
    pub before_secs: f64,
    /// Silence put behind it.
    pub after_secs: f64,
    /// Where the region begins.
    pub start_secs: f64,
    /// Where it ends.
    pub end_secs: f64,
    /// Length of the lengthened source.
    pub total_secs: f64,
}

/// A region that means nothing, and the key that is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRegion {
    /// The parameter key.
    pub field: &'static str,
    /// What is wrong, without a full stop.
    pub reason: String,
    /// What to do, one sentence.
    pub hint: String,
}

impl From<NoRegion> for UserError {
    fn from(no: NoRegion) -> Self {
        Self::invalid(no.field, format!("{}.", no.reason), no.hint)
    }
}

impl Region {
    /// The region from `start` to `end` (`None` = the end of the source), in seconds of a source of
    /// `source_secs`.
    ///
    /// # Errors
    /// It ends where it begins or before, or does not touch the source.
    pub fn of(start: f64, end: Option<f64>, source_secs: f64) -> Result<Self, NoRegion> {
        // Lengths come from samples, borders from a form that knows tenths.
        const TOUCHES_SECS: f64 = 0.051;
        let until = end.unwrap_or(source_secs);
        if start > source_secs + TOUCHES_SECS || (end.is_none() && start >= source_secs) {
            return Err(NoRegion {
                field: "repainting_start",
                reason: format!(
                    "The part starts at {start} s, and the source ends at {source_secs:.2} s"
                ),
                hint:
                    "Let it start before the end of the source, or at its end to go on from there."
                        .to_owned(),
            });
        }
        if until < -TOUCHES_SECS {
            return Err(NoRegion {
                field: "repainting_end",
                reason: format!("The part ends at {until} s, before the source begins"),
                hint: "Let it end at 0 or later.".to_owned(),
            });
        }
        if until <= start {
            return Err(NoRegion {
                field: "repainting_end",
                reason: format!("The part starts at {start} s and ends at {until} s"),
                hint: "Let it end after its start; -1 is the end of the source.".to_owned(),
            });
        }
        let before_secs = (-start).max(0.0);
        let after_secs = (until - source_secs).max(0.0);
        Ok(Self {
            before_secs,
            after_secs,
            start_secs: start + before_secs,
            end_secs: until + before_secs,
            total_secs: before_secs + source_secs + after_secs,
        })
    }

    /// The latent frames of the region in a source of `frames` frames, at least one.
    pub fn frames(&self, rate_hz: f64, frames: usize) -> Range<usize> {
        // A tenth of a second is no binary number; without the hair 0.6 s of 25 Hz would be frame 14.
        let place = |secs: f64| (secs * rate_hz + 1e-6).floor().max(0.0) as usize;
        let start = place(self.start_secs).min(frames.saturating_sub(1));
        let end = place(self.end_secs).clamp(start + 1, frames.max(start + 1));
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_inside_before_and_behind_the_source() {
        let region = |start, end| Region::of(start, end, 10.0).unwrap();
        assert_eq!(
            region(2.0, Some(4.0)),
            Region {
                before_secs: 0.0,
                after_secs: 0.0,
                start_secs: 2.0,
                end_secs: 4.0,
                total_secs: 10.0
            }
        );
        let before = region(-3.0, Some(0.0));
        assert_eq!((before.before_secs, before.total_secs), (3.0, 13.0));
        assert_eq!((before.start_secs, before.end_secs), (0.0, 3.0));
        let behind = region(10.0, Some(12.5));
        assert_eq!((behind.after_secs, behind.total_secs), (2.5, 12.5));
        assert_eq!(behind.frames(25.0, 312), 250..312);
        // Without an end it runs to the end of the source, whatever the start.
        let open = region(-1.0, None);
        assert_eq!((open.start_secs, open.end_secs), (0.0, 11.0));
        assert_eq!(region(0.6, Some(1.1)).frames(25.0, 250), 15..27);
        assert_eq!(region(9.99, Some(10.0)).frames(25.0, 250), 249..250);
    }

    #[test]
    fn a_region_that_means_nothing_names_its_key() {
        for (start, end, field) in [
            (4.0, Some(4.0), "repainting_end"),
            (4.0, Some(1.0), "repainting_end"),
            (-4.0, Some(-1.0), "repainting_end"),
            (12.0, Some(15.0), "repainting_start"),
            (10.0, None, "repainting_start"),
        ] {
            let refused = Region::of(start, end, 10.0).unwrap_err();
            assert_eq!(refused.field, field, "{start} {end:?}");
        }
    }

    #[test]
    fn modes_hold_as_the_reference_does() {
        let balanced = RepaintMode::Balanced.hold(0.5);
        assert_eq!((balanced.injected_share, balanced.blend_frames), (0.5, 12));
        assert!((balanced.crossfade_secs - 0.025).abs() < 1e-12);
        assert_eq!(
            RepaintMode::Balanced.hold(0.0),
            RepaintMode::Conservative.hold(0.9)
        );
        let free = RepaintMode::Aggressive.hold(0.5);
        assert_eq!((free.injected_share, free.blend_frames), (0.0, 0));
        for mode in RepaintMode::ALL {
            assert_eq!(RepaintMode::from_name(mode.as_str()), Some(mode));
        }
    }
}
