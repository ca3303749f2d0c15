//! Recordings that a request names: on the command line, files.

use std::path::Path;

use acestep_domain::{GenerationParams, Note};
use acestep_engine::audio::{
    Audio,
    decode::{self, Limit},
};

use super::Failure;

/// Them, read.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    pub(super) source: Option<Audio>,
    pub(super) references: Vec<Audio>,
}

impl Recordings {
    /// Reads what `params` name and the task has use for.
    pub(super) fn read(params: &GenerationParams, notes: &mut Vec<Note>) -> Result<Self, Failure> {
        let mut read = |path: &str, field: &str| read(path, field, notes);
        let source = params
            .src_audio
            .as_deref()
            .filter(|_| params.works_on_source())
            .map(|path| read(path, "src_audio"))
            .transpose()?;
        let references = params.reference_audio.iter();
        Ok(Self {
            source,
            references: references
                .map(|path| read(path, "reference_audio"))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Length of the source, when the task works on one.
    pub(super) fn source_secs(&self) -> Option<f64> {
        self.source.as_ref().map(Audio::duration_secs)
    }
}

fn read(path: &str, field: &str, notes: &mut Vec<Note>) -> Result<Audio, Failure> {
    let decoded = decode::from_path(Path::new(path), Limit::song())
        .map_err(|error| Failure::from(error).about(field))?;
    notes.extend(decoded.notes.into_iter().map(|note| Note {
        field: Some(field.to_owned()),
        message: format!("{path}: {}", note.message),
        ..note
    }));
    Ok(decoded.audio)
}

/// Names of files without their folders: a song may be given away, and where its maker keeps his
/// files is nobody's business.
pub(super) fn without_folders(params: &mut GenerationParams) {
    let name = |path: &str| {
        let name = Path::new(path).file_name();
        name.map_or_else(
            || path.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    params.src_audio = params.src_audio.as_deref().map(name);
    params.reference_audio = params
        .reference_audio
        .iter()
        .map(|path| name(path))
        .collect();
}
