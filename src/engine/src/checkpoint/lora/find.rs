//! Which adapters a folder holds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::super::layout::has_extension;

/// Config of PEFT.
const CONFIG: &str = "adapter_config.json";
/// Names of weights, best first; a single other safetensors file will do.
const WEIGHTS: [&str; 3] = [
    "adapter_model.safetensors",
    "lokr_weights.safetensors",
    "pytorch_lora_weights.safetensors",
];
/// Where in its folder an adapter lies; the official trainer nests it.
const NESTED: &str = "adapter";

/// Files of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What it is called by.
    pub(super) name: String,
    /// Its weights; why there are none otherwise, in words.
    pub(super) weights: Result<PathBuf, String>,
    /// Its config, when it has one.
    pub(super) config: Option<PathBuf>,
}

/// The adapters of `dir`, by name. It may be the folder or the file of a single adapter itself.
pub(super) fn places(dir: &Path) -> Vec<Place> {
    if dir.is_file() {
        return single(dir).into_iter().collect();
    }
    if let Some(place) = folder(dir).filter(|place| place.config.is_some()) {
        return vec![place];
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !name_of(path).starts_with('.'))
        .collect();
    paths.sort();
    let mut places: Vec<Place> = paths
        .iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| folder(path))
        .collect();
    for mut place in paths.iter().filter_map(|path| single(path)) {
        if places.iter().any(|other| other.name == place.name) {
            place.name += ".safetensors";
        }
        places.push(place);
    }
    places.sort_by(|a, b| a.name.cmp(&b.name));
    places
}

/// An adapter in one file, called by its stem.
fn single(path: &Path) -> Option<Place> {
    let is_one = path.is_file() && has_extension(&name_of(path), "safetensors");
    is_one.then(|| Place {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        weights: Ok(path.to_path_buf()),
        config: None,
    })
}

/// An adapter in a folder of its own, called by the folder.
fn folder(path: &Path) -> Option<Place> {
    // `.` and `..` have no name of their own.
    let named = path.canonicalize().ok()?;
    [path.to_path_buf(), path.join(NESTED)]
        .iter()
        .find_map(|inside| {
            let config = Some(inside.join(CONFIG)).filter(|config| config.is_file());
            let weights = weights(inside);
            (config.is_some() || weights.is_ok()).then(|| Place {
                name: name_of(&named),
                weights,
                config,
            })
        })
}

fn weights(folder: &Path) -> Result<PathBuf, String> {
    let known = WEIGHTS.iter().map(|name| folder.join(name));
    if let Some(path) = known.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let mut candidates = names
        .iter()
        .filter(|name| has_extension(name, "safetensors"));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok(folder.join(only)),
        (Some(_), Some(_)) => Err(format!(
            "there are several safetensors files and none is called {}",
            WEIGHTS[0]
        )),
        _ => Err(
            match names.iter().find(|name| {
                ["bin", "pt", "pth"]
                    .iter()
                    .any(|kind| has_extension(name, kind))
            }) {
                Some(pickle) => {
                    format!("{pickle} is a pickle, which is not read; save it as safetensors")
                }
                None => format!("{} is missing", WEIGHTS[0]),
            },
        ),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
