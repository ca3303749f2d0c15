//! The task of the form, and what of the form has a part in it. What has none is not shown and not sent.

use acestep_domain::{
    generation::GenerationParams,
    region::RepaintMode,
    task::{Family, TaskType},
};
use leptos::prelude::*;
use serde_json::Value;

use super::{
    StudioStore,
    fields::{SIMPLE, list, place},
    form::Form,
};
use crate::api::recordings::Recording;

/// The task of `form`; a new song where it names none.
pub fn task_of(form: &Value) -> TaskType {
    form["task_type"]
        .as_str()
        .and_then(TaskType::from_name)
        .unwrap_or_default()
}

/// A description is enough. Only a new song can be described.
pub fn is_simple(form: &Value) -> bool {
    form["mode"] == SIMPLE && task_of(form) == TaskType::Text2music
}

/// Whether `task` has use for the parameter `key`; `form` tells what else it hangs on.
pub fn has_part(key: &str, task: TaskType, form: &Value) -> bool {
    let needs = task.needs();
    let bare = GenerationParams {
        task_type: task,
        thinking: true,
        ..GenerationParams::default()
    };
    match key {
        "src_audio" => needs.source,
        "duration" => !needs.source,
        "repainting_start" | "repainting_end" => needs.region,
        "repaint_mode" => task == TaskType::Repaint,
        "repaint_strength" => {
            task == TaskType::Repaint
                && form["repaint_mode"]
                    .as_str()
                    .is_none_or(|mode| mode == RepaintMode::Balanced.as_str())
        }
        "audio_cover_strength" => !needs.region,
        "cover_noise_strength" => task == TaskType::Cover,
        "track_name" => needs.track,
        "complete_track_classes" => needs.tracks,
        "audio_codes" => bare.follows_codes(),
        "thinking" => bare.lm_writes_codes(),
        "use_constrained_decoding" | "constrained_decoding_debug" => bare.task_uses_lm(),
        key if key.starts_with("lm_") || key.starts_with("use_cot_") => bare.task_uses_lm(),
        _ => true,
    }
}

impl Form {
    /// The chosen task.
    pub fn task(self) -> TaskType {
        self.text("task_type")
            .with(|name| TaskType::from_name(name))
            .unwrap_or_default()
    }

    /// The chosen task reads audio codes.
    pub fn follows_codes(self) -> bool {
        GenerationParams {
            task_type: self.task(),
            ..GenerationParams::default()
        }
        .follows_codes()
    }

    /// Something stands in the field for audio codes.
    pub fn gives_codes(self) -> bool {
        self.text("audio_codes")
            .with(|codes| !codes.trim().is_empty())
    }

    /// Codes are given that the loaded main model was not trained on; the studio would refuse them.
    pub fn codes_unread(self, store: StudioStore) -> bool {
        self.follows_codes()
            && self.gives_codes()
            && !self.is_simple()
            && store.is_ready()
            && !store.takes_codes()
    }

    /// The recordings of the song's sound, in order.
    pub fn references(self) -> Vec<String> {
        self.text("reference_audio")
            .with(|text| list(text).map(str::to_owned).collect())
    }

    /// Adds a recording to the references, or takes it away.
    pub fn set_reference(self, id: &str, wanted: bool) {
        let mut ids = untrack(|| self.references());
        ids.retain(|known| known != id);
        if wanted {
            ids.push(id.to_owned());
        }
        self.text("reference_audio").set(ids.join(", "));
    }

    /// A recording is no more: it is neither source nor reference.
    /// Whether it was the source.
    pub fn let_go(self, id: &str) -> bool {
        let source = self.text("src_audio");
        let was_source = source.with_untracked(|own| own == id);
        if was_source {
            source.set(String::new());
        }
        self.set_reference(id, false);
        was_source
    }

    /// Start and end of the part in seconds of `source`; what is not written is its beginning or end.
    pub fn part(self, source: &Recording) -> (f64, f64) {
        let of = |key: &str| self.text(key).with(|text| place(text));
        (
            of("repainting_start").unwrap_or(0.0),
            of("repainting_end").unwrap_or(source.duration_secs),
        )
    }
}

/// Why the loaded family cannot do `task`; `None` when it can, or when nothing is loaded yet.
pub fn reason_against(store: StudioStore, task: TaskType) -> Option<&'static str> {
    let family: Option<Family> = store
        .status
        .with(|status| status.model.as_ref().map(|model| model.family));
    family?.reason_against(task)
}

/// Whether the row of tasks has `task`: before a model is loaded, those of the one that Initialize would
/// load, so that the row does not change under the hand.
pub fn is_offered(store: StudioStore, task: TaskType) -> bool {
    let family = store.status.with(|status| match &status.model {
        Some(model) => Some(model.family),
        None => status
            .resolved
            .as_ref()
            .map(|planned| Family::from_name(&planned.config_path)),
    });
    family.is_none_or(|family| family.reason_against(task).is_none())
}

#[cfg(test)]
mod tests {
    use acestep_domain::{generation::inputs::idle, note::Note};

    use super::*;

    /// What the page takes out is what the domain would call idle, no less.
    #[test]
    fn nothing_that_is_left_in_is_idle() {
        let full = GenerationParams {
            src_audio: Some("0190".into()),
            repainting_start: 1.0,
            repainting_end: Some(2.0),
            repaint_mode: RepaintMode::Aggressive,
            repaint_strength: 0.1,
            audio_cover_strength: 0.5,
            cover_noise_strength: 0.5,
            track_name: Some("drums".into()),
            complete_track_classes: vec!["bass".into()],
            ..GenerationParams::default()
        };
        let form = serde_json::to_value(&full).unwrap();
        for task in TaskType::ALL {
            let notes: Vec<Note> = idle(&GenerationParams {
                task_type: task,
                ..full.clone()
            });
            for note in notes {
                let key = note.field.unwrap_or_default();
                // Codes are not among the rest, and only they give a new song a strength.
                let by_codes = key == "audio_cover_strength" && task == TaskType::Text2music;
                assert!(by_codes || !has_part(&key, task, &form), "{task:?}: {key}");
            }
        }
    }
}
