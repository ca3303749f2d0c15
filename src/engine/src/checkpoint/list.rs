//! What can be chosen: DiT folders and language models below a root.

use std::path::Path;

use acestep_domain::{capabilities::ModelEntry, task::Family};

use super::{
    inspect::report,
    layout::{DIT_PREFIX, TEXT_ENCODER, VAE, has_extension},
    source::Source,
};
use crate::demo;

/// Prefix of language-model folders.
pub(super) const LM_PREFIX: &str = "acestep-5Hz-lm-";

/// DiT checkpoints below `root` by name, then the one inside the binary unless a folder has its
/// name. What cannot be loaded is listed with its problem.
pub fn list_models(root: &Path) -> Vec<ModelEntry> {
    let source = Source::Folder(root.to_path_buf());
    let mut models: Vec<ModelEntry> = source
        .names("")
        .into_iter()
        .filter(|name| name.starts_with(DIT_PREFIX) && source.has_folder(name))
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

fn entry(source: &Source, name: String, built_in: bool) -> ModelEntry {
    let report = report(source, &name);
    let beside = [VAE, TEXT_ENCODER]
        .into_iter()
        .find(|folder| !source.has_folder(folder))
        .map(|folder| format!("the folder {folder} beside it is missing"));
    ModelEntry {
        family: report.family.unwrap_or_else(|| Family::from_name(&name)),
        name,
        size_bytes: report.bytes,
        built_in,
        problem: report.problems.into_iter().next().or(beside),
    }
}

/// The language model inside the binary, unless a folder below `root` has its name: name and bytes.
pub fn built_in_lm(root: &Path) -> Option<(String, u64)> {
    let name = demo::LM_NAME;
    let shadowed = Source::Folder(root.to_path_buf()).has_folder(name);
    let bytes = demo::file(&format!("{name}/model.safetensors"))?.len();
    (!shadowed).then(|| (name.to_owned(), bytes as u64))
}

/// Language models below `root`: folder name and bytes of its weights.
pub fn list_lms(root: &Path) -> Vec<(String, u64)> {
    let source = Source::Folder(root.to_path_buf());
    source
        .names("")
        .into_iter()
        .filter(|name| name.starts_with(LM_PREFIX) && source.has_folder(name))
        .map(|name| {
            let weights = source
                .names(&name)
                .into_iter()
                .filter(|file| has_extension(file, "safetensors"));
            let bytes = weights
                .map(|file| source.size(&format!("{name}/{file}")))
                .sum();
            (name, bytes)
        })
        .collect()
}
