//! The library: list, rename, mark, delete.

use acestep_domain::library::{Song, SongList};
use leptos::prelude::*;

use super::ApiError;

/// Songs, newest first.
#[server(name = GetSongs, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn songs(
    #[server(default)] limit: usize,
    #[server(default)] offset: usize,
    #[server(default)] query: String,
    #[server(default)] favourite: bool,
) -> Result<SongList, ApiError> {
    let filter = acestep_studio::SongFilter {
        limit,
        offset,
        query: Some(query).filter(|query| !query.trim().is_empty()),
        favourite: favourite.then_some(true),
        ..acestep_studio::SongFilter::default()
    };
    super::context::studio()?
        .songs(&filter)
        .map_err(super::context::user)
}

/// One song.
#[server(name = GetSong, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn song(id: String) -> Result<Song, ApiError> {
    super::context::studio()?
        .song(&id)
        .map_err(super::context::user)
}

/// Renames or marks a song; an absent value keeps what it is.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn update_song(
    id: String,
    #[server(default)] title: Option<String>,
    #[server(default)] favourite: Option<bool>,
) -> Result<Song, ApiError> {
    super::context::studio()?
        .update_song(&id, title, favourite)
        .map_err(super::context::user)
}

/// Deletes a song and its file.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn delete_song(id: String) -> Result<(), ApiError> {
    super::context::studio()?
        .delete_song(&id)
        .map_err(super::context::user)
}

/// Puts what `action` needs of a song into the form, and leads there; for browsers that run no script.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn begin(song_id: String, action: String) -> Result<(), ApiError> {
    let studio = super::context::studio()?;
    let song = studio.song(&song_id).map_err(super::context::user)?;
    let draft = studio.draft().map_err(super::context::user)?;
    if let Some(action) = crate::state::song_action::SongAction::from_name(&action) {
        let (max_secs, _) = studio.bounds().limits();
        let fields = action.fields(&song, &draft.unwrap_or_default(), max_secs);
        super::context::lay_over_draft(&studio, fields)?;
    }
    leptos_axum::redirect(crate::address::GENERATE);
    Ok(())
}
