//! Which main model is meant.

use super::{DEFAULT_MODEL, Installed, ServiceConfig};
use crate::note::Note;

pub(super) fn resolve_model(
    requested: &ServiceConfig,
    installed: Installed<'_>,
    notes: &mut Vec<Note>,
) -> String {
    if let Some(name) = requested
        .config_path
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        // A GGUF file may be named without its ending; a folder of that name comes first.
        let file = format!("{name}.gguf");
        let mut names = installed.models.iter().map(|model| &model.name);
        let found = names.find(|there| *there == name || **there == file);
        if found.is_none() {
            notes.push(Note::new(
                "model_missing",
                "config_path",
                format!("Main model: {name} is not in the checkpoints folder."),
            ));
        }
        return found.map_or_else(|| name.to_owned(), Clone::clone);
    }
    let usable = |name: &str| {
        installed
            .models
            .iter()
            .any(|model| model.name == name && model.problem.is_none())
    };
    if usable(DEFAULT_MODEL) {
        return DEFAULT_MODEL.to_owned();
    }
    let taken = installed
        .models
        .iter()
        .filter(|model| model.problem.is_none())
        .min_by_key(|model| (model.built_in, model.name.as_str()))
        .map_or(DEFAULT_MODEL, |model| model.name.as_str());
    // A checkpoint the user put there and cannot have is no matter for silence.
    for model in installed.models.iter().filter(|model| !model.built_in) {
        if let Some(problem) = &model.problem {
            notes.push(Note::new(
                "model_damaged",
                "config_path",
                format!(
                    "Main model: {} cannot be used, using {taken}. {problem}",
                    model.name
                ),
            ));
        }
    }
    taken.to_owned()
}
