//! Recordings a song is made from: songs of the library and uploads, under ids of one kind.

use acestep_domain::library::{RecordingKind, Song, Upload};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::ApiError;

/// What the page shows of a source or a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The id that a request names.
    pub id: String,
    /// Title of the song, or name of the file.
    pub name: String,
    /// Length in seconds.
    pub duration_secs: f64,
    /// Peaks over the whole length, 0 to 1.
    pub peaks: Vec<f32>,
    /// Upload or song.
    pub kind: RecordingKind,
}

impl Recording {
    /// Where its sound is.
    pub fn audio_url(&self) -> String {
        match self.kind {
            RecordingKind::Song => crate::player::audio_url(&self.id),
            RecordingKind::Upload => format!("/api/v1/uploads/{}/audio", self.id),
        }
    }
}

impl From<&Song> for Recording {
    fn from(song: &Song) -> Self {
        Self {
            id: song.id.clone(),
            name: song.title.clone(),
            duration_secs: song.duration_secs,
            peaks: song.peaks.clone(),
            kind: RecordingKind::Song,
        }
    }
}

impl From<&Upload> for Recording {
    fn from(upload: &Upload) -> Self {
        Self {
            id: upload.id.clone(),
            name: upload.name.clone(),
            duration_secs: upload.duration_secs,
            peaks: upload.peaks.clone(),
            kind: RecordingKind::Upload,
        }
    }
}

/// Brings a file to the studio, which reads it whole before it says what it is.
///
/// # Errors
/// As the studio refuses it: unreadable, empty, silent, too long or too large.
#[cfg(feature = "hydrate")]
pub async fn upload(name: &str, file: &web_sys::Blob) -> Result<Recording, ApiError> {
    let upload: Upload = send("/api/v1/uploads", name, file).await?;
    Ok(Recording::from(&upload))
}

/// Asks the studio for the settings inside a file, which is not kept.
///
/// # Errors
/// There are none in it (`no_settings`), or they cannot be read.
#[cfg(feature = "hydrate")]
pub async fn settings_in(
    name: &str,
    file: &web_sys::Blob,
) -> Result<acestep_domain::library::FoundSettings, ApiError> {
    send("/api/v1/settings", name, file).await
}

/// Sends a file and reads the answer.
#[cfg(feature = "hydrate")]
async fn send<T: serde::de::DeserializeOwned>(
    path: &str,
    name: &str,
    file: &web_sys::Blob,
) -> Result<T, ApiError> {
    let asked = web_sys::RequestInit::new();
    asked.set_body(file);
    let url = format!("{path}?name={}", js_sys::encode_uri_component(name));
    let answer = super::call::fetch(&url, &asked).await?;
    super::call::understood(crate::wire::read(&answer))
}

/// One recording: a song of the library, or an upload.
#[server(name = GetRecording, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn recording(id: String) -> Result<Recording, ApiError> {
    find(&id)
}

/// What was sent in, newest first.
#[server(name = GetUploads, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn uploads() -> Result<Vec<Upload>, ApiError> {
    let list = super::context::studio()?.uploads();
    Ok(list.map_err(super::context::user)?.uploads)
}

/// Deletes one of them; refused while a job needs it.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn delete_upload(id: String) -> Result<(), ApiError> {
    super::context::studio()?
        .delete_upload(&id)
        .map_err(super::context::user)
}

/// [`recording`] while the server draws the page.
#[cfg(feature = "ssr")]
pub fn find(id: &str) -> Result<Recording, ApiError> {
    let studio = super::context::studio()?;
    // Ids are global, so what is no song is an upload or gone.
    if let Ok(song) = studio.song(id) {
        return Ok(Recording::from(&song));
    }
    let upload = studio.upload(id).map_err(super::context::user)?;
    Ok(Recording::from(&upload))
}
