//! What can be chosen: DiT folders and language models below a root.

use std::path::Path;

use acestep_domain::{capabilities::ModelEntry, task::Family};

use super::{
    gguf::{self, Kind},
    inspect::report,
    layout::{DIT_PREFIX, has_extension},
    part::open_weights,
    place::Places,
    source::Source,
};
use crate::{demo, error::Error};

/// Prefix of language-model folders.
pub(super) const LM_PREFIX: &str = "acestep-5Hz-lm-";

/// DiT checkpoints below `root` by name, folders and GGUF files, then the one inside the binary unless
/// a folder has its name. What cannot be loaded is listed with its problem.
pub fn list_models(root: &Path) -> Vec<ModelEntry> {
    let source = Source::Folder(root.to_path_buf());
    let mut models: Vec<ModelEntry> = source
        .names("")
        .into_iter()
        .filter(|name| is_main_model(&source, name))
        .map(|name| entry(&source, name, false))
        .collect();
    if demo::BUNDLED && !models.iter().any(|model| model.name == demo::NAME) {
        models.push(entry(
            &Source::Embedded(demo::FILES),
            demo::NAME.into(),
            true,
        ));
    }
    models
}

/// Folders and files of releases are known by their names, other GGUF files by their content.
fn is_main_model(source: &Source, name: &str) -> bool {
    let is_dit = |file: &String| gguf::kind(source, file) == Some(Kind::Dit);
    if source.has_folder(name) {
        return name.starts_with(DIT_PREFIX) || gguf::files(source, name).iter().any(is_dit);
    }
    has_extension(name, "gguf") && (name.starts_with(DIT_PREFIX) || is_dit(&name.to_owned()))
}

fn entry(source: &Source, name: String, built_in: bool) -> ModelEntry {
    let report = report(source, &name);
    let beside = Places::find(source, &name).err().map(|error| match error {
        Error::Checkpoint { path, reason } => {
            let module = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{module}: {reason}")
        }
        other => other.to_string(),
    });
    ModelEntry {
        family: report.family.unwrap_or_else(|| Family::from_name(&name)),
        name,
        size_bytes: report.bytes,
        built_in,
        problem: report.problems.into_iter().next().or(beside),
    }
}

/// Whether a folder below `root` has a config, weight files that are not cut off, and the files `beside`
/// them. Headers alone are read, so this takes milliseconds; [`inspect`](super::inspect) finds the rest.
pub fn has_files(root: &Path, folder: &str, beside: &[&str]) -> bool {
    let source = Source::Folder(root.to_path_buf());
    let has = |name: &str| source.has(&format!("{folder}/{name}"));
    has("config.json")
        && beside.iter().all(|name| has(name))
        && open_weights(&source, folder).is_ok()
}

/// The language model inside the binary, unless a folder below `root` has its name: name and bytes.
pub fn built_in_lm(root: &Path) -> Option<(String, u64)> {
    let name = demo::LM_NAME;
    let shadowed = Source::Folder(root.to_path_buf()).has_folder(name);
    let bytes = demo::file(&format!("{name}/model.safetensors"))?.len();
    (!shadowed).then(|| (name.to_owned(), bytes as u64))
}

/// Language models below `root`, folders and GGUF files: name and bytes of the weights.
pub fn list_lms(root: &Path) -> Vec<(String, u64)> {
    let source = Source::Folder(root.to_path_buf());
    let mut models: Vec<(String, u64)> = source
        .names("")
        .into_iter()
        .filter(|name| name.starts_with(LM_PREFIX) && source.has_folder(name))
        .map(|name| {
            let bytes = match gguf::find(&source, &name, Kind::Lm) {
                Ok(Some(file)) => source.size(&file),
                _ => source
                    .names(&name)
                    .into_iter()
                    .filter(|file| has_extension(file, "safetensors"))
                    .map(|file| source.size(&format!("{name}/{file}")))
                    .sum(),
            };
            (name, bytes)
        })
        .collect();
    models.extend(gguf::list(&source, LM_PREFIX));
    models.sort();
    models
}
