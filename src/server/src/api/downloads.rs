//! Downloads of released checkpoints.

use acestep_domain::{
    UserError,
    release::{Download, Downloadable, Hub},
};
use acestep_studio::Studio;
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    error::Result,
    json::{JsonBody, Path},
};

/// What there is to fetch and what is being fetched.
#[derive(Debug, Serialize)]
pub struct Listed {
    downloadable: Vec<Downloadable>,
    downloads: Vec<Download>,
    checkpoints_free_bytes: Option<u64>,
}

/// `GET /api/v1/downloads`.
pub async fn list(State(studio): State<Studio>) -> Json<Listed> {
    let status = studio.status();
    Json(Listed {
        downloadable: status.downloadable,
        downloads: status.downloads,
        checkpoints_free_bytes: status.checkpoints_free_bytes,
    })
}

/// `POST /api/v1/downloads` with `name` and, where it matters, `source` (`huggingface`, `modelscope`): begins
/// or resumes a download.
pub async fn start(
    State(studio): State<Studio>,
    body: JsonBody,
) -> Result<(StatusCode, Json<Download>)> {
    let asked = object(body.required()?, &["name", "source"])?;
    let name = match asked.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name.trim(),
        _ => {
            return Err(UserError::invalid(
                "name",
                "No release is named.",
                "Send its name as text; GET /api/v1/downloads lists them.",
            )
            .into());
        }
    };
    let source = match asked.get("source") {
        None | Some(Value::Null) => None,
        Some(Value::String(auto)) if auto == "auto" => None,
        Some(given) => Some(given.as_str().and_then(Hub::from_name).ok_or_else(|| {
            UserError::invalid(
                "source",
                format!("source is {given}."),
                "Send auto, huggingface or modelscope.",
            )
        })?),
    };
    let download = studio.start_download(name, source)?;
    Ok((StatusCode::ACCEPTED, Json(download)))
}

/// `PATCH /api/v1/downloads/{name}` with `paused`.
pub async fn change(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    body: JsonBody,
) -> Result<Json<Download>> {
    let asked = object(body.required()?, &["paused"])?;
    match asked.get("paused") {
        Some(Value::Bool(true)) => Ok(Json(studio.pause_download(&name)?)),
        Some(Value::Bool(false)) => Ok(Json(studio.start_download(&name, None)?)),
        _ => Err(
            UserError::invalid("paused", "paused is not a switch.", "Send true or false.").into(),
        ),
    }
}

/// `DELETE /api/v1/downloads/{name}`: stops it and drops what was fetched.
pub async fn remove(State(studio): State<Studio>, Path(name): Path<String>) -> Result<StatusCode> {
    studio.remove_download(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

fn object(body: Value, keys: &[&str]) -> std::result::Result<Map<String, Value>, UserError> {
    let Value::Object(object) = body else {
        return Err(UserError::new(
            "invalid_json",
            "The body is not a JSON object.",
            "Send an object such as {\"name\": \"acestep-v15-turbo\"}.",
        ));
    };
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(UserError::invalid(
            key,
            format!("There is no key {key:?} here."),
            format!("The keys are {}.", keys.join(", ")),
        )),
        None => Ok(object),
    }
}
