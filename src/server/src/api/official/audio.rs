//! `GET /v1/audio?path=`: the sound of a song. What the official program calls a path is here the name that
//! a result gives, `ID.mp3`; nothing else is a file.

use acestep_domain::{UserError, generation::AudioFormat};
use acestep_studio::Studio;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;

use super::{items::extension, recordings::is_id};
use crate::{
    api::{
        error::{ApiError, Result},
        json::{Path, Query},
    },
    media::{self, WantedSong},
};

/// The query of [`audio`].
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    path: Option<String>,
}

/// The whole file or a range of it; another extension than the file's own is that format of it.
pub(super) async fn audio(
    State(studio): State<Studio>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response> {
    let path = wanted.path.unwrap_or_default();
    let (id, suffix) = path.split_once('.').unwrap_or((&path, ""));
    if !is_id(id) || !suffix.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            UserError::invalid(
                "path",
                "This path leads out of the library.",
                "Ask for the file of a result as it is given there.",
            ),
        ));
    }
    let song = studio.song(id)?;
    let suffix = suffix.to_ascii_lowercase();
    let format = if suffix.is_empty() || suffix == extension(&song) {
        None
    } else if AudioFormat::from_name(&suffix).is_some() {
        Some(suffix)
    } else {
        let shown: String = path.chars().take(80).collect();
        return Err(UserError::new(
            "not_found",
            format!("There is no {shown:?}."),
            "Songs are mp3, flac and wav.",
        )
        .into());
    };
    let wanted = WantedSong {
        download: None,
        format,
    };
    media::audio(State(studio), Path(song.id), Query(wanted), headers).await
}
