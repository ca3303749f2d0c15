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

/// A note for everything given that has no part in the task.
pub fn idle(params: &GenerationParams) -> Vec<Note> {
    let fresh = defaults(Family::Turbo, GpuTier::Unlimited);
    let task = params.task_type;
    let needs = task.needs();
    let codes = params.follows_codes() && !params.audio_codes.trim().is_empty();
    let by_task = format!("it has no part in the task {}", task.as_str());
    let mut notes = Vec::new();
    let mut idle = |given: bool, acts: bool, key: &str, name: &str, why: &str| {
        if given && !acts {
            let kind = match why {
                why if why == by_task => "task",
                _ if task == TaskType::Cover => "codes",
                _ => "mode",
            };
            let code = format!("{key}_ignored");
            let message = format!("{name}: not used, {why}.");
            let note = Note::new(&code, key, message);
            notes.push(note.with("why", kind).with("task", task.as_str()));
        }
    };
    let of_source = if codes && task == TaskType::Cover {
        "since audio codes are given in its place"
    } else {
        by_task.as_str()
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
        &by_task,
    );
    idle(
        params.repainting_end.is_some(),
        needs.region,
        "repainting_end",
        "End",
        &by_task,
    );
    let repaint = task == TaskType::Repaint;
    idle(
        params.repaint_mode != fresh.repaint_mode,
        repaint,
        "repaint_mode",
        "Repaint mode",
        &by_task,
    );
    idle(
        params.repaint_strength != fresh.repaint_strength,
        repaint && params.repaint_mode == RepaintMode::Balanced,
        "repaint_strength",
        "Repaint strength",
        if repaint {
            "it acts in the balanced mode only"
        } else {
            &by_task
        },
    );
    idle(
        params.audio_cover_strength != fresh.audio_cover_strength,
        codes || (on_source && !needs.region),
        "audio_cover_strength",
        "Cover strength",
        &by_task,
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
        &by_task,
    );
    idle(
        !params.complete_track_classes.is_empty(),
        needs.tracks,
        "complete_track_classes",
        "Tracks",
        &by_task,
    );
    idle(
        !params.audio_codes.trim().is_empty(),
        params.follows_codes(),
        "audio_codes",
        "Audio codes",
        &by_task,
    );
    notes
}

/// The note for thinking that was asked for in so many words: only a new song has use for written
/// codes.
pub fn idle_thinking(params: &GenerationParams) -> Option<Note> {
    let idle = params.thinking && params.task_type != TaskType::Text2music;
    idle.then(|| {
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
mod tests {
    use super::*;
    use crate::generation::clamp::{clamp, clamp_with_source};

    fn bounds(family: Family) -> Bounds {
        Bounds {
            tier: GpuTier::Tier4,
            lm_loaded: false,
            family,
            unlimited: false,
        }
    }

    fn params(task_type: TaskType) -> GenerationParams {
        GenerationParams {
            task_type,
            caption: "x".into(),
            src_audio: Some("id".into()),
            track_name: Some("drums".into()),
            complete_track_classes: vec!["bass".into()],
            batch_size: 1,
            ..GenerationParams::default()
        }
    }

    #[test]
    fn what_a_task_lacks_is_named_by_its_key() {
        for (task, field) in [
            (TaskType::Cover, "src_audio"),
            (TaskType::Repaint, "src_audio"),
            (TaskType::Lego, "src_audio"),
            (TaskType::Extract, "src_audio"),
            (TaskType::Complete, "src_audio"),
            (TaskType::Lego, "track_name"),
            (TaskType::Extract, "track_name"),
            (TaskType::Complete, "complete_track_classes"),
        ] {
            let mut asked = params(task);
            assert!(check(&asked, Family::Base).is_ok());
            match field {
                "src_audio" => asked.src_audio = None,
                "track_name" => asked.track_name = None,
                _ => asked.complete_track_classes.clear(),
            }
            let refused = check(&asked, Family::Base).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some(field), "{task:?}");
        }
        // Codes stand in for the source of a cover.
        let codes = GenerationParams {
            src_audio: None,
            audio_codes: "1,2".into(),
            ..params(TaskType::Cover)
        };
        assert!(check(&codes, Family::Turbo).is_ok());
    }

    #[test]
    fn a_task_without_anything_names_all_it_lacks_whatever_the_family() {
        for (task, lacks) in [
            (TaskType::Text2music, &[][..]),
            (TaskType::Cover, &["src_audio"]),
            (TaskType::Repaint, &["src_audio"]),
            (TaskType::Lego, &["src_audio", "track_name"]),
            (TaskType::Extract, &["src_audio", "track_name"]),
            (TaskType::Complete, &["src_audio", "complete_track_classes"]),
        ] {
            let asked = GenerationParams {
                task_type: task,
                ..GenerationParams::default()
            };
            let keys = |errors: Vec<UserError>| -> Vec<String> {
                errors.into_iter().filter_map(|error| error.field).collect()
            };
            assert_eq!(keys(missing(&asked)), lacks, "{task:?}");
            for family in [Family::Turbo, Family::Base] {
                let refused = check(&asked, family).err().and_then(|error| error.field);
                let expected = if family.reason_against(task).is_some() {
                    Some("task_type")
                } else {
                    lacks.first().copied()
                };
                assert_eq!(refused.as_deref(), expected, "{task:?} {family:?}");
            }
        }
    }

    #[test]
    fn a_turbo_model_says_why_it_makes_no_tracks() {
        for task in [TaskType::Lego, TaskType::Extract, TaskType::Complete] {
            let refused = clamp(params(task), bounds(Family::Turbo)).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some("task_type"));
            assert_eq!(refused.code, "unsupported");
            assert!(refused.message.contains("turbo"), "{}", refused.message);
        }
    }

    #[test]
    fn the_source_decides_the_length_and_is_never_cut() {
        let open =
            clamp_with_source(params(TaskType::Cover), bounds(Family::Base), Some(12.345)).unwrap();
        assert_eq!(open.params.duration_secs, Some(12.345));
        assert!(
            !open
                .notes
                .iter()
                .any(|note| note.code.starts_with("duration"))
        );
        // Settled a second time, as when the job's turn comes.
        let again = clamp_with_source(open.params, bounds(Family::Base), Some(12.345)).unwrap();
        assert!(
            !again
                .notes
                .iter()
                .any(|note| note.code.starts_with("duration"))
        );

        let asked = GenerationParams {
            duration_secs: Some(30.0),
            ..params(TaskType::Extract)
        };
        let told = clamp_with_source(asked, bounds(Family::Base), Some(12.0)).unwrap();
        assert_eq!(told.params.duration_secs, Some(12.0));
        assert!(
            told.notes
                .iter()
                .any(|note| note.code == "duration_by_source")
        );

        let long = clamp_with_source(params(TaskType::Cover), bounds(Family::Base), Some(361.0));
        assert_eq!(long.unwrap_err().field.as_deref(), Some("src_audio"));
        let extended = GenerationParams {
            repainting_start: 350.0,
            repainting_end: Some(365.0),
            ..params(TaskType::Repaint)
        };
        let refused = clamp_with_source(extended, bounds(Family::Base), Some(355.0)).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("repainting_end"));
    }

    #[test]
    fn what_has_no_part_in_the_task_is_noted() {
        let everything = |task| GenerationParams {
            repainting_start: 1.0,
            repainting_end: Some(2.0),
            repaint_mode: RepaintMode::Conservative,
            repaint_strength: 0.2,
            audio_cover_strength: 0.5,
            cover_noise_strength: 0.5,
            ..params(task)
        };
        let ignored = |task| -> Vec<String> {
            idle(&everything(task))
                .into_iter()
                .filter_map(|note| note.field)
                .collect()
        };
        assert_eq!(
            ignored(TaskType::Text2music),
            [
                "src_audio",
                "repainting_start",
                "repainting_end",
                "repaint_mode",
                "repaint_strength",
                "audio_cover_strength",
                "cover_noise_strength",
                "track_name",
                "complete_track_classes"
            ]
        );
        assert_eq!(
            ignored(TaskType::Repaint),
            [
                "repaint_strength",
                "audio_cover_strength",
                "cover_noise_strength",
                "track_name",
                "complete_track_classes"
            ]
        );
        assert_eq!(
            ignored(TaskType::Complete),
            [
                "repainting_start",
                "repainting_end",
                "repaint_mode",
                "repaint_strength",
                "cover_noise_strength",
                "track_name"
            ]
        );
        assert_eq!(idle(&GenerationParams::default()), []);
        let codes = GenerationParams {
            audio_codes: "5".into(),
            ..params(TaskType::Repaint)
        };
        assert!(
            idle(&codes)
                .iter()
                .any(|note| note.code == "audio_codes_ignored")
        );
    }
}
