//! Settings in a file that somebody has: a song of ours under any name, or parameters as JSON. What the
//! file calls itself decides nothing; its bytes do.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use acestep_domain::{
    GenerationParams, Note, UserError, generation::read::params_from_json, library::FoundSettings,
    saved::STUDIO,
};
use acestep_engine::audio::tags;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    uploads::{UNKNOWN, kind_of},
};

/// Parameters are text; a larger file is none.
const LONGEST_JSON: u64 = 2 << 20;

/// The settings in the file at `path`, which is called `name`, over `base`.
///
/// # Errors
/// There are none in it (`no_settings`), or the JSON in it cannot be read.
pub(crate) fn settings_in(
    path: &Path,
    name: &str,
    base: GenerationParams,
) -> Result<FoundSettings> {
    if let Some(text) = json_text(path)? {
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            refused(
                "invalid_json",
                format!("{name}: this is not JSON: {error}."),
                "Send a file of parameters, or a song that was made here.",
            )
        })?;
        return found(value, None, name, base);
    }
    // A file whose tags cannot be read has none that could be used.
    let tags = tags::find(path).ok().flatten().unwrap_or_default();
    let Some(text) = tags.params_json else {
        if kind_of(path)?.0 == UNKNOWN {
            return Err(refused(
                "invalid_audio",
                format!("{name}: there are no settings in this file, and it is no recording."),
                "Send a file of parameters, or a song that was made here.",
            ));
        }
        return Err(none(name));
    };
    let value = serde_json::from_str(&text).map_err(|error| {
        refused(
            "invalid_json",
            format!("{name}: the settings inside are damaged: {error}."),
            "Use the file as a source or a reference instead.",
        )
    })?;
    found(value, tags.title, name, base)
}

fn refused(code: &str, message: String, hint: &str) -> Error {
    UserError {
        field: Some("file".to_owned()),
        ..UserError::new(code, message, hint)
    }
    .into()
}

fn none(name: &str) -> Error {
    refused(
        "no_settings",
        format!("{name}: there are no settings in this file."),
        "A song that was made here holds them; any other recording can be a source or a reference.",
    )
}

/// The text of a file that begins as a JSON object does.
fn json_text(path: &Path) -> Result<Option<String>> {
    let reading = "Reading the file";
    let mut head = [0; 64];
    let read = File::open(path)
        .and_then(|mut file| file.read(&mut head))
        .map_err(Error::file(reading))?;
    let start = head[..read]
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(&head[..read]);
    let small = fs::metadata(path).map_err(Error::file(reading))?.len() <= LONGEST_JSON;
    if !small || start.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(Error::file(reading))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_start_matches('\u{feff}').to_owned()))
}

/// What `value` says: parameters, or a song's record with its parameters inside.
fn found(
    mut value: Value,
    title: Option<String>,
    name: &str,
    base: GenerationParams,
) -> Result<FoundSettings> {
    let mut title = title.or_else(|| {
        let own = value["title"].as_str();
        own.or_else(|| value[STUDIO]["title"].as_str())
            .map(str::to_owned)
    });
    if value["params"].is_object() {
        value = value["params"].take();
    }
    title = title.filter(|title| !title.trim().is_empty());
    let read = params_from_json(&value, base)?;
    let keys = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys());
    let is_unknown = |key: &str| {
        read.notes
            .iter()
            .any(|note| note.code == "unknown_field" && note.field.as_deref() == Some(key))
    };
    let mut known = keys.filter(|key| *key != STUDIO && *key != "use_random_seed");
    if !known.any(|key| !is_unknown(key)) {
        return Err(none(name));
    }
    let mut notes = read.notes;
    notes.extend(read.errors.into_iter().map(|error| {
        let field = error.field.clone().unwrap_or_default();
        let message = format!("{} The value is left out.", error.message);
        let note = Note::new("field_not_understood", &field, message);
        match error.figure("given") {
            Some(given) => note.with("given", given),
            None => note,
        }
    }));
    Ok(FoundSettings {
        title,
        params: read.params,
        notes,
    })
}
