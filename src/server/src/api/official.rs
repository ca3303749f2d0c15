//! The routes of the official program, for whoever already talks to it: the same names, fields and
//! envelope, translated to what [`crate::api`] does. One queue, one library; nothing is kept here.
//!
//! Where the original does other than it says (a seed that is not used, uploads that fail, failures
//! without a reason), this does what was meant. Two things differ on purpose: no path of the server's
//! disk is read or told, and every route but `/health` asks for the key where there is one.

mod about;
mod audio;
mod chat;
mod envelope;
mod fields;
mod form;
mod format_input;
mod hints;
mod items;
mod order;
mod query_result;
mod recordings;
mod release_task;
mod samples;
mod task;

use acestep_domain::UserError;
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, OriginalUri, Request},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::json;

use super::error::{ApiError, method_not_allowed};
use crate::state::AppState;

/// Open to all.
pub const HEALTH: &str = "/health";
/// Takes files.
pub const RELEASE_TASK: &str = "/release_task";
const QUERY_RESULT: &str = "/query_result";
const FORMAT_INPUT: &str = "/format_input";
const RANDOM_SAMPLE: &str = "/create_random_sample";
const CHAT: &str = "/v1/chat/completions";

/// Every route.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route(
            RELEASE_TASK,
            // The limit of a file is `bound_body`'s.
            post(release_task::release).layer(DefaultBodyLimit::disable()),
        )
        .route(QUERY_RESULT, post(query_result::query))
        .route(FORMAT_INPUT, post(format_input::format))
        .route(RANDOM_SAMPLE, post(samples::random))
        .route("/v1/models", get(about::models))
        .route("/v1/stats", get(about::stats))
        .route("/v1/audio", get(audio::audio))
        .route(CHAT, post(chat::complete))
        .route(HEALTH, get(about::health))
        .route("/v1/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Whether `path` is one of these routes and no page.
pub fn is_route(path: &str) -> bool {
    [RELEASE_TASK, QUERY_RESULT, FORMAT_INPUT, RANDOM_SAMPLE].contains(&path)
        || path.starts_with("/v1/")
        || path == HEALTH
}

/// Whether the handler itself looks for the key in the body, whatever kind of body it is
/// ([`form::Form`] does).
pub fn reads_token(method: &Method, path: &str) -> bool {
    *method == Method::POST
        && [RELEASE_TASK, QUERY_RESULT, FORMAT_INPUT, RANDOM_SAMPLE].contains(&path)
}

/// Largest body of a route that takes more than parameters without taking files.
pub fn most_bytes(path: &str) -> Option<usize> {
    (path == CHAT).then_some(chat::MAX_BODY_BYTES)
}

/// A body beyond that limit.
pub fn refused_for_size(path: &str) -> Option<ApiError> {
    (path == CHAT).then(chat::too_large)
}

async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    let shown: String = uri.path().chars().take(120).collect();
    UserError::new(
        "not_found",
        format!("There is no {shown:?} in this API."),
        "Below /v1 there are models, stats, audio and chat/completions.",
    )
    .into()
}

/// Says a refusal on one of these routes as the official program does: the sentence under `detail`,
/// beside the status.
pub async fn refusals(request: Request, next: Next) -> Response {
    /// A refusal is a few sentences.
    const LONGEST: usize = 64 << 10;
    let is_ours = is_route(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_ours || !is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LONGEST).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Ok(error) = serde_json::from_slice::<UserError>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let detail = json!({ "detail": error.to_string().trim_end() });
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (parts, Json(detail)).into_response()
}
