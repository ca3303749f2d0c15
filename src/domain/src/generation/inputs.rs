//! What a request must be given for its task, what of it does nothing, and what its source decides.
//!
//! A page or API client sends, beside the text:
//! - `src_audio`: the id of an upload (`POST /api/v1/uploads`) or of a song of the library; ids are
//!   global, so one key serves both. Needed by cover (unless there are `audio_codes`), repaint, lego,
//!   extract and complete. Its length is the song's; `duration` is then not used.
//! - `reference_audio`: one such id or a list of up to [`MAX_REFERENCES`]; the song takes on their
//!   sound. Possible with every task.
//! - `repainting_start`, `repainting_end`: seconds of the source, for repaint and lego. Below 0 or
//!   behind the end the source is lengthened; `-1` as the end is the end of the source.
//! - `repaint_mode`, `repaint_strength`: see [`crate::region::RepaintMode`].
//! - `audio_cover_strength`: share of the steps that follow the source or the codes, for cover,
//!   extract, complete, and text2music with codes; after them the text alone decides.
//! - `cover_noise_strength`: how much of the source's own sound a cover starts from.
//! - `track_name` (lego, extract) and `complete_track_classes` (complete): see [`crate::task::TRACKS`].
//!
//! Whatever is given and has no part in the task is a note with the code `KEY_ignored`.

use super::{
    GenerationParams,
    clamp::{Bounds, minutes},
};
use crate::{
    defaults::defaults,
    error::UserError,
    note::Note,
    region::{Region, RepaintMode},
    task::{Family, TaskType},
    tier::GpuTier,
};

/// Most references of one song: each adds one place to what the model attends to, and it was trained
/// on few.
pub const MAX_REFERENCES: usize = 8;

impl GenerationParams {
    /// The task works on `src_audio`: it needs a source, and no codes stand in for it.
    pub fn works_on_source(&self) -> bool {
        match self.task_type {
            TaskType::Text2music => false,
            TaskType::Cover => self.audio_codes.trim().is_empty(),
            _ => true,
        }
    }

    /// The task follows `audio_codes` when they are given.
    pub const fn follows_codes(&self) -> bool {
        matches!(self.task_type, TaskType::Text2music | TaskType::Cover)
    }

    /// The region of a task that has one, in a source of `source_secs`.
    ///
    /// # Errors
    /// A region that means nothing.
    pub fn region(&self, source_secs: f64) -> Result<Option<Region>, crate::region::NoRegion> {
        if !self.task_type.needs().region {
            return Ok(None);
        }
        Region::of(self.repainting_start, self.repainting_end, source_secs).map(Some)
    }
}

/// Refuses a task that the family cannot do, and one that lacks what it needs.
///
/// # Errors
/// With the key of what is wrong or missing.
pub fn check(params: &GenerationParams, family: Family) -> Result<(), UserError> {
    let task = params.task_type;
    let name = task.as_str();
    if let Some(reason) = family.reason_against(task) {
        let possible: Vec<&str> = family.tasks().iter().map(|task| task.as_str()).collect();
        return Err(UserError {
            field: Some("task_type".to_owned()),
            ..UserError::new(
                "unsupported",
                format!("This model cannot do {name}: {reason}."),
                format!(
                    "Load a base model (acestep-v15-base), or choose one of {}.",
                    possible.join(", ")
                ),
            )
        });
    }
    if let Some(missing) = missing(params).into_iter().next() {
        return Err(missing);
    }
    if params.reference_audio.len() > MAX_REFERENCES {
        return Err(UserError::invalid(
            "reference_audio",
            format!("There are {} references.", params.reference_audio.len()),
            format!("Give at most {MAX_REFERENCES}."),
        ));
    }
    Ok(())
}

/// Everything that the task needs and does not have, each by its key.
pub fn missing(params: &GenerationParams) -> Vec<UserError> {
    let (task, needs) = (params.task_type, params.task_type.needs());
    let name = task.as_str();
    let mut missing = Vec::new();
    if params.works_on_source() && params.src_audio.is_none() {
        missing.push(UserError::invalid(
            "src_audio",
            format!("The task {name} works on a source, and none is given."),
            "Give a recording or a song of the library as src_audio.",
        ));
    }
    if needs.track && params.track_name.is_none() {
        missing.push(UserError::invalid(
            "track_name",
            format!("The task {name} needs to know which track."),
            "Name one as track_name, for example drums or vocals.",
        ));
    }
    if needs.tracks && params.complete_track_classes.is_empty() {
        missing.push(UserError::invalid(
            "complete_track_classes",
            format!("The task {name} needs to know which tracks to add."),
            "Name one or more as complete_track_classes, for example drums and bass.",
        ));
    }
    missing
}

/// Why something that is given is not used.
#[derive(Debug, Clone, Copy)]
enum Unused {
    /// It has no part in the task.
    Task,
    /// Audio codes stand in its place.
    Codes,
    /// It acts in another mode of repainting.
    Mode,
}

impl Unused {
    fn note(self, task: TaskType, key: &str, name: &str) -> Note {
        let (kind, why) = match self {
            Self::Task => (
                "task",
                format!("it has no part in the task {}", task.as_str()),
            ),
            Self::Codes => (
                "codes",
                "since audio codes are given in its place".to_owned(),
            ),
            Self::Mode => ("mode", "it acts in the balanced mode only".to_owned()),
        };
        let message = format!("{name}: not used, {why}.");
        Note::new(&format!("{key}_ignored"), key, message)
            .with("why", kind)
            .with("task", task.as_str())
    }
}

/// A note for everything given that has no part in the task.
pub fn idle(params: &GenerationParams) -> Vec<Note> {
    let fresh = defaults(Family::Turbo, GpuTier::Unlimited);
    let task = params.task_type;
    let needs = task.needs();
    let codes = params.follows_codes() && !params.audio_codes.trim().is_empty();
    let mut notes = Vec::new();
    let mut idle = |given: bool, acts: bool, key: &str, name: &str, why: Unused| {
        if given && !acts {
            notes.push(why.note(task, key, name));
        }
    };
    let of_source = if codes && task == TaskType::Cover {
        Unused::Codes
    } else {
        Unused::Task
    };
    let on_source = params.works_on_source();
    idle(
        params.src_audio.is_some(),
        on_source,
        "src_audio",
        "Source",
        of_source,
    );
    idle(
        params.repainting_start != fresh.repainting_start,
        needs.region,
        "repainting_start",
        "Start",
        Unused::Task,
    );
    idle(
        params.repainting_end.is_some(),
        needs.region,
        "repainting_end",
        "End",
        Unused::Task,
    );
    let repaint = task == TaskType::Repaint;
    idle(
        params.repaint_mode != fresh.repaint_mode,
        repaint,
        "repaint_mode",
        "Repaint mode",
        Unused::Task,
    );
    idle(
        params.repaint_strength != fresh.repaint_strength,
        repaint && params.repaint_mode == RepaintMode::Balanced,
        "repaint_strength",
        "Repaint strength",
        if repaint { Unused::Mode } else { Unused::Task },
    );
    idle(
        params.audio_cover_strength != fresh.audio_cover_strength,
        codes || (on_source && !needs.region),
        "audio_cover_strength",
        "Cover strength",
        Unused::Task,
    );
    idle(
        params.cover_noise_strength != fresh.cover_noise_strength,
        task == TaskType::Cover && on_source,
        "cover_noise_strength",
        "Start from the source",
        of_source,
    );
    idle(
        params.track_name.is_some(),
        needs.track,
        "track_name",
        "Track",
        Unused::Task,
    );
    idle(
        !params.complete_track_classes.is_empty(),
        needs.tracks,
        "complete_track_classes",
        "Tracks",
        Unused::Task,
    );
    idle(
        !params.audio_codes.trim().is_empty(),
        params.follows_codes(),
        "audio_codes",
        "Audio codes",
        Unused::Task,
    );
    notes
}

/// The note for thinking that was asked for in so many words: only a new song has use for written
/// codes, and given ones are followed as they are.
pub fn idle_thinking(params: &GenerationParams) -> Option<Note> {
    let of_song = params.task_type == TaskType::Text2music;
    if !params.thinking || params.lm_writes_codes() {
        return None;
    }
    Some(if of_song {
        Unused::Codes.note(params.task_type, "thinking", "Thinking")
    } else {
        Note::new(
            "thinking_ignored",
            "thinking",
            format!(
                "Thinking: not used, the task {} follows its source and no written codes.",
                params.task_type.as_str()
            ),
        )
    })
}

/// The source says how long the song is; what else says so gives way.
///
/// # Errors
/// A region that means nothing, or a song over the limit: a source is never cut silently.
pub(super) fn settle_source(
    params: &mut GenerationParams,
    source_secs: f64,
    bounds: Bounds,
    asked_secs: Option<f64>,
    notes: &mut Vec<Note>,
) -> Result<(), UserError> {
    let region = params.region(source_secs)?;
    let secs = region.map_or(source_secs, |region| region.total_secs);
    let (max_secs, _) = bounds.limits();
    // Files end on whole blocks: a song of exactly the limit may come back a hair longer.
    if secs > max_secs + 0.05 {
        let (field, what, hint) = match region {
            Some(region) if region.after_secs > 0.0 && source_secs <= max_secs => (
                "repainting_end",
                "the lengthened song would be",
                "Let the part end earlier.",
            ),
            Some(region) if region.before_secs > 0.0 && source_secs <= max_secs => (
                "repainting_start",
                "the lengthened song would be",
                "Let the part start later.",
            ),
            _ => ("src_audio", "the source is", "Give a shorter one."),
        };
        let name = if field == "src_audio" {
            "Source"
        } else {
            "Part"
        };
        return Err(UserError::invalid(
            field,
            format!(
                "{name}: {what} {} long, over {}, {}.",
                minutes(secs),
                minutes(max_secs),
                bounds.why()
            ),
            hint,
        ));
    }
    if let Some(region) = region
        && params.task_type == TaskType::Repaint
        && region.end_secs - region.start_secs >= region.total_secs - 1e-6
    {
        notes.push(Note::new(
            "region_is_everything",
            "repainting_end",
            "Part: it covers the whole source, so nothing of it is kept.",
        ));
    }
    // A job that is settled again brings the exact length along.
    if asked_secs.is_some_and(|asked| (asked - secs).abs() > 0.1) {
        let used = minutes(secs);
        let message = format!("Length: {used}, as the source says.");
        notes.push(Note::new("duration_by_source", "duration", message).with("used", used));
    }
    params.duration_secs = Some(secs);
    Ok(())
}

#[cfg(test)]
mod tests;
