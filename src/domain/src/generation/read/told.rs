//! What was understood and does not act as it was written.

use serde_json::Value;

use super::GenerationParams;
use crate::{metadata::is_auto, note::Note, number::decimal, task::TaskType};

/// What of the value of `key`, which was set, is left out.
pub(super) fn left_out(params: &mut GenerationParams, key: &str, value: &Value) -> Option<Note> {
    match key {
        "timesteps" if params.timesteps.is_none() && says_something(value) => Some(Note::new(
            "timesteps_empty",
            key,
            "Own timesteps: only the end point 0 is given, so steps and shift decide.",
        )),
        "complete_track_classes" => repeated(&mut params.complete_track_classes, key),
        "bpm" => rounded(params, value),
        _ => None,
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !is_auto(text) && text.contains('0'),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// The models know whole tempi.
fn rounded(params: &GenerationParams, value: &Value) -> Option<Note> {
    let given = match value {
        Value::String(text) => decimal(text.trim())?,
        value => value.as_f64()?,
    };
    let used = params.bpm?.0;
    (given.fract() != 0.0).then(|| {
        Note::new(
            "bpm_rounded",
            "bpm",
            format!("Tempo: {used} is used in place of {given}, models know whole beats a minute."),
        )
        .with("given", given)
        .with("used", used)
    })
}

/// Takes every track once.
fn repeated(tracks: &mut Vec<String>, key: &str) -> Option<Note> {
    let mut once: Vec<String> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    for track in tracks.drain(..) {
        let seen = if once.contains(&track) {
            &mut twice
        } else {
            &mut once
        };
        if !seen.contains(&track) {
            seen.push(track);
        }
    }
    *tracks = once;
    let message = format!(
        "Tracks: {} named more than once; it counts once.",
        twice.join(", ")
    );
    (!twice.is_empty()).then(|| Note::new("tracks_repeated", key, message))
}

/// What timesteps of one's own replace, where steps and shift were given as something else than the
/// usual ones.
pub(super) fn replaced(
    params: &GenerationParams,
    (usual_steps, usual_shift): (usize, f64),
) -> Vec<Note> {
    let Some(timesteps) = &params.timesteps else {
        return Vec::new();
    };
    let count = timesteps.len();
    let note = |key: &str, message: String| {
        Note::new(&format!("{key}_ignored"), key, message).with("why", "timesteps")
    };
    let steps = params.inference_steps;
    let other_steps = steps != usual_steps && steps != count;
    let steps = other_steps.then(|| {
        note(
            "inference_steps",
            format!("Steps: not used, {count} timesteps of your own are given in their place."),
        )
    });
    let shift = (params.shift != usual_shift).then(|| {
        note(
            "shift",
            "Shift: not used, timesteps of your own are taken as they are.".to_owned(),
        )
    });
    steps.into_iter().chain(shift).collect()
}

/// An instruction other than the task's own, which old files repeat.
pub(super) fn instruction(params: &GenerationParams, text: &str) -> Option<Note> {
    let text = text.trim();
    let (track, tracks) = (params.track_name.as_deref(), &params.complete_track_classes);
    let known = TaskType::ALL
        .into_iter()
        .flat_map(|task| [task.instruction(None, &[]), task.instruction(track, tracks)]);
    let bare = |text: &str| text.trim_end_matches(':').to_ascii_lowercase();
    let is_known = is_auto(text) || known.into_iter().any(|known| bare(&known) == bare(text));
    (!is_known).then(|| {
        Note::new(
            "field_ignored",
            "instruction",
            "instruction: not used, each task has an instruction of its own.",
        )
    })
}
