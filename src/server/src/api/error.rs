//! `UserError.code` to an HTTP status. The only place where a status of a failure is chosen.

use acestep_domain::UserError;
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{OriginalUri, Request, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// A failure on its way out: `{code, message, hint, field}` and an honest status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    error: UserError,
}

/// Result of a handler.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A failure with its status.
    pub const fn new(status: StatusCode, error: UserError) -> Self {
        Self { status, error }
    }

    /// What happened and what to do.
    pub fn told(&self) -> String {
        self.error.to_string().trim_end().to_owned()
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

/// The status of a code; an unknown code is a defect of the server.
fn status_of(code: &str) -> StatusCode {
    match code {
        "invalid_json" | "invalid_value" | "invalid_audio" | "unsupported" | "checkpoint"
        | "lora" | "no_settings" => StatusCode::BAD_REQUEST,
        "too_large" | "uploads_full" => StatusCode::PAYLOAD_TOO_LARGE,
        "not_found" | "not_timed" => StatusCode::NOT_FOUND,
        "conflict" | "cancelled" | "lm_over_tier" => StatusCode::CONFLICT,
        "busy" => StatusCode::TOO_MANY_REQUESTS,
        "not_ready" | "out_of_memory" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The same for the page's own calls: its framework answers every refusal with 500 and knows no other.
pub async fn honest_status(request: Request, next: Next) -> Response {
    /// A refusal is a few sentences.
    const LONGEST: usize = 64 << 10;
    let is_call = request.uri().path().starts_with("/api/page/");
    let response = next.run(request).await;
    if !is_call || response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LONGEST).await else {
        return parts.status.into_response();
    };
    if let Ok(error) = serde_json::from_slice::<UserError>(&bytes) {
        parts.status = status_of(&error.code);
    }
    Response::from_parts(parts, Body::from(bytes))
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        Self::new(status_of(&error.code), error)
    }
}

impl From<acestep_studio::Error> for ApiError {
    fn from(error: acestep_studio::Error) -> Self {
        let chain = chain(&error);
        let answer = Self::from(UserError::from(error));
        // What is the server's fault is logged once, here, with its causes.
        if answer.status.is_server_error() && answer.status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(error.code = %answer.error.code, "request failed: {chain}");
        }
        answer
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let reason = text
            .strip_prefix("Failed to deserialize query string: ")
            .unwrap_or(&text)
            .trim_end_matches('.');
        // The reader says `limit: invalid digit found in string`.
        let field = reason
            .split_once(": ")
            .map(|(name, _)| name)
            .filter(|name| !name.contains(' '));
        if let Some(unknown) = field.and_then(|field| unknown_key(field, reason)) {
            return unknown.into();
        }
        UserError {
            field: field.map(str::to_owned),
            ..UserError::new(
                "invalid_value",
                format!("The query is not understood: {reason}."),
                "Check the values behind the question mark.",
            )
        }
        .into()
    }
}

/// The reader says ``page: unknown field `page`, expected `limit` or `offset` ``.
fn unknown_key(key: &str, reason: &str) -> Option<UserError> {
    let told = reason
        .strip_prefix(key)?
        .strip_prefix(": unknown field `")?
        .strip_prefix(key)?;
    let known: Vec<&str> = told.split('`').skip(2).step_by(2).collect();
    Some(UserError::invalid(
        key,
        format!("There is no key {key:?} in this query."),
        format!("The keys are {}.", known.join(", ")),
    ))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self.error)).into_response();
        let wait = match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some("10"),
            StatusCode::SERVICE_UNAVAILABLE => Some("5"),
            _ => None,
        };
        if let Some(secs) = wait {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static(secs));
        }
        response
    }
}

/// No such route below `/api`.
pub async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    let shown: String = uri.path().chars().take(120).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        UserError::new(
            "not_found",
            format!("There is no {shown:?} in this API."),
            "The routes start with /api/v1, for example GET /api/v1/status.",
        ),
    )
}

/// The route exists, the method does not.
pub async fn method_not_allowed(
    method: axum::http::Method,
    // The route's own path lacks what its router is nested below.
    OriginalUri(uri): OriginalUri,
) -> ApiError {
    let shown: String = uri.path().chars().take(120).collect();
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        UserError::new(
            "method_not_allowed",
            format!("{method} is not possible on {shown}."),
            "The header Allow names the methods that are.",
        ),
    )
}

/// A handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands over what was thrown"
)]
pub fn panicked(thrown: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = thrown
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| thrown.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!("a request hit a defect: {text}");
    ApiError::from(UserError::new(
        "internal",
        "The program hit a defect.",
        "Try again; if it happens again, please report it with the program's log.",
    ))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_honest_status() {
        for (code, status) in [
            ("invalid_json", 400),
            ("invalid_value", 400),
            ("invalid_audio", 400),
            ("too_large", 413),
            ("uploads_full", 413),
            ("no_settings", 400),
            ("unsupported", 400),
            ("checkpoint", 400),
            ("lora", 400),
            ("not_found", 404),
            ("conflict", 409),
            ("cancelled", 409),
            ("lm_over_tier", 409),
            ("busy", 429),
            ("not_ready", 503),
            ("out_of_memory", 503),
            ("storage", 500),
            ("internal", 500),
            ("a_new_one", 500),
        ] {
            assert_eq!(status_of(code).as_u16(), status, "{code}");
        }
    }
}
