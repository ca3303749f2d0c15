//! Brings a request inside the limits of tier and family, with a note for every change.

mod ranges;

use self::ranges::{clamp_ranges, clamp_sampler};
use super::{GenerationParams, inputs};
use crate::{
    audio_codes,
    defaults::AUTO_DURATION_SECS,
    error::UserError,
    metadata::Bpm,
    note::Note,
    param::range_of,
    task::{Family, TaskType},
    tier::{GpuTier, limits},
};

/// What a request is clamped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The tier.
    pub tier: GpuTier,
    /// A language model is loaded (or planned).
    pub lm_loaded: bool,
    /// Family of the checkpoint.
    pub family: Family,
    /// The machine has no card: tier limits may be lifted.
    pub unlimited: bool,
}

/// A request inside the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Clamped {
    /// The parameters as used. The length is settled, unless a loaded language model plans it.
    pub params: GenerationParams,
    /// One note for every change.
    pub notes: Vec<Note>,
}

/// Key and name of the sensitivity of scores.
const SCORE_SCALE: (&str, &str) = ("score_scale", "Score sensitivity");

/// Brings the sensitivity of scores into its range, with a note if it was outside.
pub fn score_scale(value: &mut f64) -> Option<Note> {
    into_range(SCORE_SCALE.0, SCORE_SCALE.1, value)
}

/// Brings `value` into the range of the parameter `key`, with a note if it was outside.
fn into_range(key: &str, name: &str, value: &mut f64) -> Option<Note> {
    let (low, high) = range_of(key);
    let used = value.clamp(low, high);
    let note = (used != *value).then(|| {
        changed(
            key,
            name,
            value,
            &used,
            &format!("the range is {low} to {high}"),
        )
    });
    *value = used;
    note
}

/// `m:ss`, with tenths when there are any.
pub fn minutes(secs: f64) -> String {
    let tenths = (secs * 10.0).round() as u64;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    if rest.is_multiple_of(10) {
        format!("{minutes}:{:02}", rest / 10)
    } else {
        format!("{minutes}:{:02}.{}", rest / 10, rest % 10)
    }
}

impl Bounds {
    /// Longest song and largest batch.
    pub fn limits(self) -> (f64, usize) {
        let limits = limits(
            if self.unlimited {
                GpuTier::Unlimited
            } else {
                self.tier
            },
            self.lm_loaded,
        );
        (f64::from(limits.max_duration_secs), limits.max_batch_size)
    }

    pub(super) fn why(self) -> String {
        let lm = if self.lm_loaded {
            "with LM"
        } else {
            "without LM"
        };
        match self.tier {
            _ if self.unlimited => "the longest the models know".to_owned(),
            GpuTier::Unlimited => format!("the limit {lm}"),
            tier => format!("the tier {} limit {lm}", tier as usize + 1),
        }
    }

    /// The note with whose limit it is, and the way past it where there is one.
    fn told(self, mut note: Note, better: bool) -> Note {
        if self.unlimited {
            note = note.with("why", "models");
        } else {
            let lm = if self.lm_loaded { "lm" } else { "no_lm" };
            note = note.with("why", format!("tier_{lm}"));
            if self.tier != GpuTier::Unlimited {
                note = note.with("tier", self.tier as usize + 1);
            }
        }
        if self.lm_loaded && better {
            note.message += " Without the language model more is possible.";
            note = note.with("way_out", "no_lm");
        }
        note
    }
}

/// Clamps `params` to `bounds`. The length of a task on a source stays open: only its file tells it,
/// see [`clamp_with_source`].
///
/// # Errors
/// A task this family cannot do, something it needs that is missing, or two fields that contradict
/// each other where no value can be chosen for the user.
pub fn clamp(params: GenerationParams, bounds: Bounds) -> Result<Clamped, UserError> {
    clamp_with_source(params, bounds, None)
}

/// [`clamp`] for a request whose source has `source_secs`, when that is known.
///
/// # Errors
/// As [`clamp`]; a region that means nothing, or a source over the limit.
pub fn clamp_with_source(
    params: GenerationParams,
    bounds: Bounds,
    source_secs: Option<f64>,
) -> Result<Clamped, UserError> {
    inputs::check(&params, bounds.family)?;
    let asked_secs = params.duration_secs;
    let on_source = params.works_on_source();
    let planned = bounds.lm_loaded && params.lm_plans();
    let Clamped {
        mut params,
        mut notes,
    } = clamp_numbers(params, bounds, planned || on_source)?;
    if params.instrumental
        && !params.lyrics.trim().is_empty()
        && !is_instrumental_tag(&params.lyrics)
    {
        notes.push(Note::new(
            "lyrics_ignored",
            "lyrics",
            "Lyrics: instrumental is on, so the lyrics are kept but not sung.",
        ));
    }
    if params.vocal_language != params.sung_language() {
        notes.push(Note::new(
            "vocal_language_ignored",
            "vocal_language",
            "Vocal language: instrumental is on, so nobody sings and no language is used.",
        ));
    }
    notes.extend(inputs::idle(&params));
    // Codes that a language model is about to write are followed as given ones are.
    if bounds.lm_loaded && params.lm_writes_codes() {
        notes.retain(|note| note.code != "audio_cover_strength_ignored");
    }
    let codes = audio_codes::parse(&params.audio_codes)?;
    if !codes.is_empty() && params.follows_codes() {
        settle_codes(&mut params, codes.len(), bounds, &mut notes)?;
    }
    if on_source && let Some(secs) = source_secs {
        notes.retain(|note| note.code != "duration_clamped");
        inputs::settle_source(&mut params, secs, bounds, asked_secs, &mut notes)?;
    }
    if params.caption.trim().is_empty()
        && params.lyrics.trim().is_empty()
        && params.task_type == TaskType::Text2music
    {
        notes.push(Note::new(
            "nothing_described",
            "caption",
            "Caption: caption and lyrics are both empty, so the model chooses the music.",
        ));
    }
    Ok(Clamped { params, notes })
}

/// Clamps the parameters of a job that makes words or codes: no song yet, so an open length stays open,
/// and what is missing is what is asked for.
///
/// # Errors
/// As [`clamp`]; and codes that cannot be read.
pub fn clamp_words(params: GenerationParams, bounds: Bounds) -> Result<Clamped, UserError> {
    let clamped = clamp_numbers(params, bounds, true)?;
    audio_codes::parse(&clamped.params.audio_codes)?;
    Ok(clamped)
}

/// What holds for every job. An open length is settled unless it is `left_open`.
fn clamp_numbers(
    mut params: GenerationParams,
    bounds: Bounds,
    left_open: bool,
) -> Result<Clamped, UserError> {
    let mut notes = Vec::new();
    clamp_length_and_batch(&mut params, bounds, left_open, &mut notes);
    clamp_sampler(&mut params, bounds.family, &mut notes);
    clamp_ranges(&mut params, &mut notes);
    for lora in params.loras.iter_mut().flatten() {
        lora.clamp("loras", &mut notes);
    }
    if let Some(bpm) = params.bpm {
        let used = bpm.0.clamp(Bpm::MIN, Bpm::MAX);
        if used != bpm.0 {
            notes.push(changed(
                "bpm",
                "Tempo",
                &bpm,
                &used,
                "models know 30 to 300 BPM",
            ));
            params.bpm = Some(Bpm(used));
        }
    }
    if params.cfg_interval_start > params.cfg_interval_end {
        return Err(UserError::invalid(
            "cfg_interval_start",
            format!(
                "The guidance interval starts at {} and ends at {}.",
                params.cfg_interval_start, params.cfg_interval_end
            ),
            "Let it start at or below its end.",
        ));
    }
    Ok(Clamped { params, notes })
}

/// The lyrics that mean "no vocals", as the models were trained with them.
pub const INSTRUMENTAL: &str = "[Instrumental]";

/// Nothing is sung: said so, no words, or the mark that stands for none.
pub fn is_instrumental(params: &GenerationParams) -> bool {
    params.instrumental || params.lyrics.trim().is_empty() || is_instrumental_tag(&params.lyrics)
}

/// True for the lyrics that mean "no vocals".
pub fn is_instrumental_tag(lyrics: &str) -> bool {
    ["[instrumental]", "[inst]"]
        .iter()
        .any(|tag| lyrics.trim().eq_ignore_ascii_case(tag))
}

fn changed(
    key: &str,
    name: &str,
    asked: &dyn std::fmt::Display,
    used: &dyn std::fmt::Display,
    why: &str,
) -> Note {
    Note::new(
        &format!("{key}_clamped"),
        key,
        format!("{name}: asked {asked}, using {used}, {why}."),
    )
    .with("asked", asked)
    .with("used", used)
}

/// The note for a length that nobody gave.
pub fn auto_length(used_secs: f64) -> Note {
    let used = minutes(used_secs);
    Note::new(
        "duration_auto",
        "duration",
        format!("Length: auto, using {used}, the fixed length when no language model decides."),
    )
    .with("used", used)
}

fn clamp_length_and_batch(
    params: &mut GenerationParams,
    bounds: Bounds,
    left_open: bool,
    notes: &mut Vec<Note>,
) {
    let (max_secs, max_batch) = bounds.limits();
    let without_lm = Bounds {
        lm_loaded: false,
        ..bounds
    }
    .limits();
    let (min_secs, _) = range_of("duration");
    match params.duration_secs {
        None if left_open => {}
        None => {
            let used = AUTO_DURATION_SECS.min(max_secs);
            params.duration_secs = Some(used);
            notes.push(auto_length(used));
        }
        Some(asked) => {
            // Engine precision (engine.md 8.3).
            let tenths = (asked * 10.0).round() / 10.0;
            let used = tenths.clamp(min_secs, max_secs);
            if tenths > max_secs {
                let note = changed(
                    "duration",
                    "Length",
                    &minutes(asked),
                    &minutes(used),
                    &bounds.why(),
                );
                notes.push(bounds.told(note, without_lm.0 > max_secs));
            } else if asked < min_secs {
                notes.push(changed(
                    "duration",
                    "Length",
                    &asked,
                    &used,
                    "the shortest length in seconds",
                ));
            } else if used != asked && !params.works_on_source() {
                notes.push(Note {
                    code: "duration_rounded".to_owned(),
                    ..changed(
                        "duration",
                        "Length",
                        &asked,
                        &used,
                        "lengths are whole tenths of a second",
                    )
                    .with("why", "tenths")
                });
            }
            params.duration_secs = Some(used);
        }
    }
    if params.batch_size > max_batch {
        let note = changed(
            "batch_size",
            "Takes",
            &params.batch_size,
            &max_batch,
            &bounds.why(),
        );
        notes.push(bounds.told(note, without_lm.1 > max_batch));
        params.batch_size = max_batch;
    }
    if params.seeds.len() > params.batch_size {
        let note = Note::new(
            "seed_ignored",
            "seed",
            format!(
                "Seed: given {}, used {}, one for each take.",
                params.seeds.len(),
                params.batch_size
            ),
        )
        .with("given", params.seeds.len())
        .with("used", params.batch_size);
        notes.push(note);
        params.seeds.truncate(params.batch_size);
    }
}

/// Codes say how long a song is; what else says so gives way.
fn settle_codes(
    params: &mut GenerationParams,
    count: usize,
    bounds: Bounds,
    notes: &mut Vec<Note>,
) -> Result<(), UserError> {
    let secs = audio_codes::secs(count);
    let (max_secs, _) = bounds.limits();
    if secs > max_secs {
        return Err(UserError::invalid(
            "audio_codes",
            format!(
                "Audio codes: {count} codes are {} of music, over {}, {}.",
                minutes(secs),
                minutes(max_secs),
                bounds.why()
            ),
            "Give fewer codes.",
        ));
    }
    notes.retain(|note| note.code != "duration_auto");
    if params
        .duration_secs
        .is_some_and(|asked| (asked - secs).abs() > 0.05)
        && !notes.iter().any(|note| note.code == "duration_by_codes")
    {
        let used = minutes(secs);
        let message = format!("Length: {count} audio codes make {used}.");
        notes.push(
            Note::new("duration_by_codes", "duration", message)
                .with("given", count)
                .with("used", used),
        );
    }
    params.duration_secs = Some(secs);
    Ok(())
}

#[cfg(test)]
mod tests;
