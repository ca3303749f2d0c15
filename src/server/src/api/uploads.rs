//! Recordings sent in: take, list, look, delete. Their sound is in [`crate::media`].
//!
//! A file comes as the whole body (then its name stands in the query or in the header `X-Filename`,
//! percent-encoded) or as the first file of a `multipart/form-data` form. It is written to the disk as
//! it comes and looked at once it is whole.

use acestep_domain::{
    UserError,
    library::{FoundSettings, MAX_UPLOAD_BYTES, Upload, UploadList},
};
use acestep_studio::{Incoming, Studio, uploads::too_large};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Multipart, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::IntoResponse,
};
use futures::StreamExt;
use http_body_util::LengthLimitError;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{
    error::{ApiError, Result},
    json::{Path, Query},
};

/// Largest body: the largest file, and what a form puts round it.
pub const MAX_BODY_BYTES: usize = MAX_UPLOAD_BYTES as usize + (1 << 20);

/// The query of [`receive`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    name: Option<String>,
}

/// `POST /api/v1/uploads`: one file of sound; answers with its id, length, rate and channels.
pub async fn receive(
    State(studio): State<Studio>,
    Query(named): Query<Named>,
    request: Request,
) -> Result<impl IntoResponse> {
    let incoming = incoming(&studio, named, request).await?;
    // Decoding takes seconds of a processor; the other requests go on meanwhile.
    let upload = tokio::task::spawn_blocking(move || incoming.finish())
        .await
        .map_err(|_| defect())??;
    let place = format!("/api/v1/uploads/{}", upload.id);
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(upload)))
}

/// `POST /api/v1/settings`: one file, which is looked at and not kept; answers with the settings in it.
pub async fn settings(
    State(studio): State<Studio>,
    Query(named): Query<Named>,
    request: Request,
) -> Result<Json<FoundSettings>> {
    let incoming = incoming(&studio, named, request).await?;
    let found = tokio::task::spawn_blocking(move || studio.settings_in(incoming))
        .await
        .map_err(|_| defect())??;
    Ok(Json(found))
}

/// The file of a request, on the disk.
async fn incoming(studio: &Studio, named: Named, request: Request) -> Result<Incoming> {
    let headers = request.headers();
    let name = named.name.or_else(|| name_from_header(headers));
    if is_form(headers) {
        from_form(studio, name, request).await
    } else {
        from_body(studio, name, request).await
    }
}

pub(super) fn defect() -> UserError {
    UserError::new(
        "internal",
        "The program hit a defect while reading the file.",
        "Try another file; if it happens again, please report it with the program's log.",
    )
}

/// `GET /api/v1/uploads`, newest first.
pub async fn list(State(studio): State<Studio>) -> Result<Json<UploadList>> {
    Ok(Json(studio.uploads()?))
}

/// `GET /api/v1/uploads/{id}`.
pub async fn find(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Upload>> {
    Ok(Json(studio.upload(&id)?))
}

/// What was deleted.
#[derive(Debug, Serialize)]
pub struct Deleted {
    deleted: String,
}

/// `DELETE /api/v1/uploads/{id}`: refused while a job needs it.
pub async fn delete(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Json<Deleted>> {
    studio.delete_upload(&id)?;
    Ok(Json(Deleted { deleted: id }))
}

/// A file over the limit, before a byte of it is read.
pub fn refused_for_size() -> ApiError {
    too_large().into()
}

fn name_from_header(headers: &HeaderMap) -> Option<String> {
    let name = headers.get("x-filename")?.to_str().ok()?;
    Some(percent_decode_str(name).decode_utf8_lossy().into_owned())
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

async fn from_body(studio: &Studio, name: Option<String>, request: Request) -> Result<Incoming> {
    let mut incoming = studio.receive(&name.unwrap_or_default())?;
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        take(&mut incoming, chunk)?;
    }
    Ok(incoming)
}

async fn from_form(studio: &Studio, name: Option<String>, request: Request) -> Result<Incoming> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| not_a_form(&error.body_text()))?;
    while let Some(mut field) = form.next_field().await.map_err(|error| cut_off(&error))? {
        let is_file = field.file_name().is_some() || field.name() == Some("file");
        if !is_file {
            continue;
        }
        let sent = field.file_name().map(str::to_owned);
        let mut incoming = studio.receive(&name.or(sent).unwrap_or_default())?;
        while let Some(chunk) = field.chunk().await.transpose() {
            take(&mut incoming, chunk)?;
        }
        return Ok(incoming);
    }
    Err(not_a_form("there is no file in it"))
}

/// Writes what has come; a page of memory to the disk's cache, which is no waiting.
pub(super) fn take<E: std::error::Error + 'static>(
    incoming: &mut Incoming,
    chunk: std::result::Result<Bytes, E>,
) -> Result<()> {
    let chunk = chunk.map_err(|error| cut_off(&error))?;
    Ok(incoming.write(&chunk)?)
}

pub(super) fn not_a_form(reason: &str) -> ApiError {
    UserError::invalid(
        "file",
        format!("The form cannot be read: {}.", reason.trim_end_matches('.')),
        "Send one file as the field `file`, or the file itself as the body.",
    )
    .into()
}

/// The body ended before its end, or went over the limit.
pub(super) fn cut_off(error: &(dyn std::error::Error + 'static)) -> ApiError {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if one.is::<LengthLimitError>() {
            return refused_for_size();
        }
        cause = one.source();
    }
    UserError::invalid("file", "The file did not arrive whole.", "Send it again.").into()
}
