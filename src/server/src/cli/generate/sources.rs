//! Recordings that a request names: on the command line, files.

use std::path::Path;

use acestep_domain::{GenerationParams, UserError};
use acestep_engine::audio::{Audio, decode};

use super::Failure;

/// Them, read.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    pub(super) source: Option<Audio>,
    pub(super) references: Vec<Audio>,
}

impl Recordings {
    /// Reads what `params` name and the task has use for.
    pub(super) fn read(params: &GenerationParams) -> Result<Self, Failure> {
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

fn read(path: &str, field: &str) -> Result<Audio, Failure> {
    decode::from_path(Path::new(path)).map_err(|error| {
        Failure::input(UserError::invalid(
            field,
            format!("{error}."),
            "Give a file that plays elsewhere: wav, flac, mp3, ogg or m4a.",
        ))
    })
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
