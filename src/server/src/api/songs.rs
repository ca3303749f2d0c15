//! Songs of the library: list, look, rename, mark, delete. Their sound is in [`crate::media`].

use acestep_domain::{
    UserError,
    library::{Song, SongList},
};
use acestep_studio::{SongFilter, Studio};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::{ApiError, Result},
    json::{JsonBody, Path, Query, switch},
};

/// The query of [`list`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    limit: Option<usize>,
    offset: Option<usize>,
    query: Option<String>,
    #[serde(default, with = "switch")]
    favourite: Option<bool>,
    job_id: Option<String>,
}

impl Filter {
    /// As the library takes it; with `usual` songs where nobody says how many.
    pub(super) fn into_filter(self, usual: usize) -> SongFilter {
        SongFilter {
            limit: self.limit.unwrap_or(usual),
            offset: self.offset.unwrap_or(0),
            query: self.query.filter(|query| !query.trim().is_empty()),
            favourite: self.favourite,
            job_id: self.job_id,
        }
    }
}

/// `GET /api/v1/songs`, newest first.
pub async fn list(
    State(studio): State<Studio>,
    Query(asked): Query<Filter>,
) -> Result<Json<SongList>> {
    let filter = asked.into_filter(SongFilter::default().limit);
    Ok(Json(studio.songs(&filter)?))
}

/// `GET /api/v1/songs/{id}`.
pub async fn find(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Song>> {
    Ok(Json(studio.song(&id)?))
}

/// `PATCH /api/v1/songs/{id}`: `{"title": …, "favourite": …}`, either or both.
pub async fn update(
    State(studio): State<Studio>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Result<Json<Song>> {
    let (title, favourite) = change_from_json(body.required()?)?;
    Ok(Json(studio.update_song(&id, title, favourite)?))
}

fn change_from_json(body: Value) -> Result<(Option<String>, Option<bool>), ApiError> {
    let Value::Object(change) = body else {
        return Err(UserError::new(
            "invalid_json",
            "The change is not a JSON object.",
            "Send {\"title\": \"…\"} or {\"favourite\": true}.",
        )
        .into());
    };
    let (mut title, mut favourite) = (None, None);
    for (key, value) in change {
        match (key.as_str(), value) {
            ("title", Value::String(text)) => title = Some(text),
            ("favourite", Value::Bool(on)) => favourite = Some(on),
            ("title" | "favourite", Value::Null) => {}
            ("title", _) => {
                return Err(
                    UserError::invalid("title", "The title is not text.", "Send text.").into(),
                );
            }
            ("favourite", _) => {
                return Err(UserError::invalid(
                    "favourite",
                    "favourite is neither true nor false.",
                    "Send true or false.",
                )
                .into());
            }
            (other, _) => {
                return Err(UserError::invalid(
                    other,
                    format!("{other:?} of a song cannot be changed."),
                    "Possible are title and favourite.",
                )
                .into());
            }
        }
    }
    Ok((title, favourite))
}

/// What was deleted.
#[derive(Debug, Serialize)]
pub struct Deleted {
    deleted: String,
}

/// `DELETE /api/v1/songs/{id}`: the song and its files.
pub async fn delete(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Deleted>> {
    studio.delete_song(&id)?;
    Ok(Json(Deleted { deleted: id }))
}
