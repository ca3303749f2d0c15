//! The bodies of the official program: JSON, forms with and without files, and bodies that do not say what
//! they are. A key inside the body is read here, before any file is taken in.

use acestep_domain::{UserError, library::Upload};
use acestep_studio::Studio;
use axum::{
    body::to_bytes,
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::RELEASE_TASK;
use crate::{
    api::{
        error::ApiError,
        json::{MAX_BODY_BYTES, is_json, too_large},
        uploads::{cut_off, defect, is_form, not_a_form, take},
    },
    auth::{Access, Unproven, unauthorized},
    state::AppState,
};

/// Where the key may stand.
const TOKEN: &str = "ai_token";

/// Fields of a body and the files in it.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// By name; those of a form are text.
    pub(super) fields: Map<String, Value>,
    /// Recordings by the name of their field, taken in.
    pub(super) files: Vec<(String, Upload)>,
}

impl FromRequest<AppState> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let unproven = request.extensions().get::<Unproven>().is_some();
        let door = Door {
            access: &state.access,
            open: !unproven,
        };
        if is_form(request.headers()) {
            return multipart(request, state, door).await;
        }
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap_or("?").to_ascii_lowercase());
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| too_large().into_response())?;
        let mut fields =
            fields_from_bytes(kind.as_deref(), &bytes).map_err(IntoResponse::into_response)?;
        if !door.admits(fields.remove(TOKEN).as_ref()) {
            return Err(unauthorized(door.access));
        }
        Ok(Self {
            fields,
            files: Vec::new(),
        })
    }
}

/// Whether what comes may be read.
#[derive(Clone, Copy)]
struct Door<'a> {
    access: &'a Access,
    open: bool,
}

impl Door<'_> {
    /// Whether a key was shown, or is none needed.
    fn admits(self, token: Option<&Value>) -> bool {
        let token = token.and_then(Value::as_str);
        self.open || token.is_some_and(|token| self.access.accepts_key(token.trim()))
    }
}

fn fields_from_bytes(kind: Option<&str>, bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let body = bytes.trim_ascii();
    let urlencoded = "application/x-www-form-urlencoded";
    match kind {
        _ if body.is_empty() => Ok(Map::new()),
        Some(kind) if is_json(kind) => from_json(body),
        Some(kind) if kind.starts_with(urlencoded) => Ok(from_pairs(body)),
        None if body.starts_with(b"{") || body.starts_with(b"[") => from_json(body),
        None if body.contains(&b'=') => Ok(from_pairs(body)),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            UserError::new(
                "unsupported_media_type",
                "The body is neither JSON nor a form.",
                "Send JSON with the header Content-Type: application/json, or a form.",
            ),
        )),
    }
}

fn from_json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let hint = "Send one JSON object such as {\"prompt\": \"lofi piano\"}.";
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(UserError::new("invalid_json", "The body is not a JSON object.", hint).into()),
        Err(error) => {
            let message = format!("The body is not JSON: {error}.");
            Err(UserError::new("invalid_json", message, hint).into())
        }
    }
}

/// `a=1&b=2`.
fn from_pairs(body: &[u8]) -> Map<String, Value> {
    let plain = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    String::from_utf8_lossy(body)
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(name), Value::String(plain(value)))
        })
        .collect()
}

/// A form with files. Whoever has shown no key yet must do so before the first file.
async fn multipart(request: Request, state: &AppState, door: Door<'_>) -> Result<Form, Response> {
    let takes_files = request.uri().path() == RELEASE_TASK;
    let mut read = Form::default();
    let filled = fill(&mut read, request, &state.studio, takes_files, door).await;
    if filled.is_err() {
        forget(&state.studio, &read.files);
    }
    filled.map(|()| read)
}

async fn fill(
    read: &mut Form,
    request: Request,
    studio: &Studio,
    takes_files: bool,
    mut door: Door<'_>,
) -> Result<(), Response> {
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| not_a_form(&error.body_text()).into_response())?;
    let mut bytes = 0;
    let wrong = |error: &axum::extract::multipart::MultipartError| cut_off(error).into_response();
    while let Some(mut field) = parts.next_field().await.map_err(|error| wrong(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some_and(|name| !name.is_empty()) {
            if !door.admits(None) {
                return Err(unauthorized(door.access));
            }
            if !takes_files {
                return Err(no_files(&name).into_response());
            }
            let upload = receive(studio, field)
                .await
                .map_err(IntoResponse::into_response)?;
            read.files.push((name, upload));
            continue;
        }
        let mut text = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|error| wrong(&error))? {
            bytes += chunk.len();
            if bytes > MAX_BODY_BYTES {
                return Err(too_large().into_response());
            }
            text.extend_from_slice(&chunk);
        }
        let text = Value::String(String::from_utf8_lossy(&text).into_owned());
        if name == TOKEN {
            door.open = door.admits(Some(&text));
            if !door.open {
                return Err(unauthorized(door.access));
            }
        } else {
            read.fields.insert(name, text);
        }
    }
    if door.admits(None) {
        Ok(())
    } else {
        Err(unauthorized(door.access))
    }
}

async fn receive(studio: &Studio, mut field: Field<'_>) -> Result<Upload, ApiError> {
    let mut incoming = studio.receive(field.file_name().unwrap_or_default())?;
    while let Some(chunk) = field.chunk().await.transpose() {
        take(&mut incoming, chunk)?;
    }
    // Decoding takes seconds of a processor; the other requests go on meanwhile.
    let upload = tokio::task::spawn_blocking(move || incoming.finish())
        .await
        .map_err(|_| defect())??;
    Ok(upload)
}

/// Removes what was taken in for a request that came to nothing.
pub(super) fn forget(studio: &Studio, files: &[(String, Upload)]) {
    for (_, upload) in files {
        if let Err(error) = studio.delete_upload(&upload.id) {
            // It is removed after its days all the same.
            tracing::warn!("an upload could not be removed: {error}");
        }
    }
}

fn no_files(name: &str) -> ApiError {
    let shown: String = name.chars().take(40).collect();
    UserError::invalid(
        name,
        format!("{shown}: no file is taken here."),
        "Send files to /release_task.",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_taken_for_what_it_says_or_looks_like() {
        let read = |kind: Option<&str>, body: &str| {
            fields_from_bytes(kind, body.as_bytes()).map(Value::Object)
        };
        let expected = json!({ "prompt": "a & b", "bpm": "90" });
        let pairs = "prompt=a+%26+b&bpm=90";
        for kind in [
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            None,
        ] {
            assert_eq!(read(kind, pairs).unwrap(), expected);
        }
        for kind in [Some("application/vnd.song+json"), None] {
            assert_eq!(read(kind, " {\"a\": 1}").unwrap(), json!({ "a": 1 }));
            assert_eq!(read(kind, "[1]").unwrap_err().status(), 400);
        }
        assert_eq!(read(Some("text/plain"), "a=1").unwrap_err().status(), 415);
        assert_eq!(read(None, "hello").unwrap_err().status(), 415);
        assert_eq!(read(None, "").unwrap(), json!({}));
    }
}
