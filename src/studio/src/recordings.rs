//! Recordings that parameters name: an id is that of an upload or of a song of the library.

use std::path::PathBuf;

use acestep_domain::{
    GenerationParams, Note, UserError,
    generation::{clamp::Clamped, inputs},
    job::JobKind,
    library::{MadeFrom, RecordingKind},
};
use acestep_engine::{
    audio::{
        Audio,
        decode::{self, Limit},
    },
    error::Error as EngineError,
};

use rusqlite::Connection;

use crate::{
    error::{Error, Result},
    jobs::NewJob,
    loadout::Loadout,
    studio::Shared,
    uploads,
};

/// The parameters that name recordings.
pub(crate) const SOURCE: &str = "src_audio";
pub(crate) const REFERENCE: &str = "reference_audio";

/// A recording that is there.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) kind: RecordingKind,
    pub(crate) name: String,
    pub(crate) duration_secs: f64,
    /// Codes that a language model wrote for it, as text; empty without.
    pub(crate) audio_codes: String,
    path: PathBuf,
}

impl Recording {
    /// What is said where it is named by `field` to be listened to and `codes` are given as well.
    pub(crate) fn beside(&self, codes: &str, field: &str) -> Option<Note> {
        if codes.trim().is_empty() {
            return None;
        }
        Some(if self.audio_codes.is_empty() {
            Note::new(
                "recording_unused",
                field,
                format!(
                    "{field}: audio codes are given, so {} is not listened to.",
                    self.name
                ),
            )
        } else {
            Note::new(
                "audio_codes_replaced",
                "audio_codes",
                format!(
                    "Audio codes: those that were written for {} are used, not the ones given.",
                    self.name
                ),
            )
        })
    }

    /// Its sound, and what of it is missing.
    pub(crate) fn read(&self) -> Result<decode::Decoded> {
        decode::from_path(&self.path, Limit::song()).map_err(|error| match error {
            // The engine names the file by its whole path, which is nobody's business.
            EngineError::Sound { fault, .. } => uploads::named(fault, &self.name),
            other => other.into(),
        })
    }

    fn read_for(&self, field: &str, notes: &mut Vec<Note>) -> Result<Audio> {
        let decoded = self.read().map_err(|error| about(error, field))?;
        notes.extend(decoded.notes.into_iter().map(|note| Note {
            field: Some(field.to_owned()),
            message: format!("{}: {}", self.name, note.message),
            ..note
        }));
        Ok(decoded.audio)
    }
}

/// The same failure, about `field`.
fn about(error: Error, field: &str) -> Error {
    UserError {
        field: Some(field.to_owned()),
        ..UserError::from(error)
    }
    .into()
}

/// An id that is neither an upload's nor a song's.
fn unknown(id: &str, field: &str) -> Error {
    let shown: String = id.chars().take(80).collect();
    UserError {
        field: Some(field.to_owned()),
        ..UserError::new(
            "not_found",
            format!("There is no upload and no song {shown:?}."),
            "Send the recording to /api/v1/uploads and name the id of the answer, or that of a song.",
        )
    }
    .into()
}

/// Refuses a job that names a recording which was deleted after its request was read. While it waits they
/// cannot be, and this is asked in the same write that lets it wait.
pub(crate) fn require(db: &Connection, job: &NewJob<'_>) -> Result<()> {
    let params = job.params;
    let of_songs = job.kind == JobKind::Generate;
    let source = params.src_audio.as_deref();
    let source = source.filter(|_| of_songs && params.works_on_source());
    let references = params.reference_audio.iter().filter(|_| of_songs);
    let named = source
        .map(|id| (SOURCE, id))
        .into_iter()
        .chain(references.map(|id| (REFERENCE, id.as_str())))
        .chain(job.source_song_id.map(|id| ("song_id", id)));
    let mut statement = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ?1)
             OR EXISTS (SELECT 1 FROM songs WHERE id = ?1)",
    )?;
    for (field, id) in named {
        if !statement.query_row([id], |row| row.get::<_, bool>(0))? {
            return Err(unknown(id, field));
        }
    }
    Ok(())
}

/// What a run works on, read.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    pub(crate) source: Option<Audio>,
    pub(crate) references: Vec<Audio>,
    pub(crate) made_from: Vec<MadeFrom>,
    pub(crate) notes: Vec<Note>,
}

impl Shared {
    /// The recording of `id`, which the parameter `field` names.
    ///
    /// # Errors
    /// There is none, or its file is gone.
    pub(crate) fn recording(&self, id: &str, field: &str) -> Result<Recording> {
        if let Some(kept) = self.uploads.find(id)? {
            let kept = self
                .uploads
                .present(&kept.upload.id)
                .map_err(|error| about(error, field))?;
            return Ok(Recording {
                id: kept.upload.id,
                kind: RecordingKind::Upload,
                name: kept.upload.name,
                duration_secs: kept.upload.duration_secs,
                audio_codes: String::new(),
                path: self.paths.upload(&kept.file_name),
            });
        }
        let kept = self.library.present(id).map_err(|error| match error {
            Error::NotFound { .. } => unknown(id, field),
            other => about(other, field),
        })?;
        Ok(Recording {
            kind: RecordingKind::Song,
            name: kept.song.title,
            duration_secs: kept.song.duration_secs,
            audio_codes: kept.song.audio_codes,
            path: self.paths.song(&kept.file_name),
            id: kept.song.id,
        })
    }

    /// Brings `params` inside what the models of `loadout` can do for a job of `kind`; the recordings
    /// it names must be there.
    pub(crate) fn settle(
        &self,
        loadout: &Loadout,
        kind: JobKind,
        params: GenerationParams,
    ) -> Result<Clamped> {
        if kind.is_kept_with_song() {
            // Of a song that is there; nothing about it can be changed.
            return Ok(Clamped {
                params,
                notes: Vec::new(),
            });
        }
        if kind != JobKind::Generate {
            return loadout.settle(kind, params, None);
        }
        // What is missing altogether is told before what cannot be found.
        inputs::check(&params, loadout.family())?;
        for id in &params.reference_audio {
            self.recording(id, REFERENCE)?;
        }
        let source = params.src_audio.as_deref();
        let source = source.filter(|_| params.works_on_source());
        let source_secs = source
            .map(|id| self.recording(id, SOURCE))
            .transpose()?
            .map(|recording| recording.duration_secs);
        loadout.settle(kind, params, source_secs)
    }

    /// Reads the recordings that `params` name and the task has use for.
    pub(crate) fn recordings(&self, params: &GenerationParams) -> Result<Recordings> {
        let mut read = Recordings::default();
        let source = params.src_audio.iter().filter(|_| params.works_on_source());
        let named = source
            .map(|id| (SOURCE, id))
            .chain(params.reference_audio.iter().map(|id| (REFERENCE, id)));
        for (field, id) in named {
            let recording = self.recording(id, field)?;
            let audio = recording.read_for(field, &mut read.notes)?;
            if field == SOURCE {
                read.source = Some(audio);
            } else {
                read.references.push(audio);
            }
            read.made_from.push(MadeFrom {
                field: field.to_owned(),
                id: recording.id,
                kind: recording.kind,
                name: recording.name,
                duration_secs: recording.duration_secs,
            });
        }
        Ok(read)
    }
}
