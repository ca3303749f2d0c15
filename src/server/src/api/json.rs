//! Bodies and queries in, with a sentence for each way to be wrong.

use acestep_domain::UserError;
use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;

/// Largest body: parameters are text.
pub const MAX_BODY_BYTES: usize = 2 << 20;

/// A JSON body; `None` when it is empty.
#[derive(Debug)]
pub struct JsonBody(pub Option<Value>);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| too_large())?;
        // Some editors begin a file with a mark of its encoding.
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        if text.trim_ascii().is_empty() {
            return Ok(Self(None));
        }
        // A body without a type is taken for JSON; a form of a foreign page always has one.
        if let Some(given) = content_type.filter(|given| !is_json(given)) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                UserError::new(
                    "unsupported_media_type",
                    format!(
                        "The body is sent as {:?}.",
                        given.chars().take(80).collect::<String>()
                    ),
                    "Send JSON with the header Content-Type: application/json.",
                ),
            ));
        }
        serde_json::from_slice(text)
            .map(|value| Self(Some(value)))
            .map_err(|error| {
                UserError::new(
                    "invalid_json",
                    format!("The body is not JSON: {error}."),
                    "Send one JSON object such as {\"caption\": \"lofi piano\", \"duration\": 30}.",
                )
                .into()
            })
    }
}

impl JsonBody {
    /// The body, refused when there is none.
    pub fn required(self) -> Result<Value, ApiError> {
        self.0.ok_or_else(|| {
            UserError::new(
                "invalid_json",
                "The body is empty.",
                "Send one JSON object such as {\"caption\": \"lofi piano\", \"duration\": 30}.",
            )
            .into()
        })
    }
}

pub(super) fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// A body beyond the limit.
pub fn too_large() -> ApiError {
    UserError::new(
        "too_large",
        format!("The body is larger than {} MB.", MAX_BODY_BYTES >> 20),
        "Send the parameters alone; sound goes to /api/v1/uploads.",
    )
    .into()
}

/// The query, in our own words when it is wrong.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(value) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// No query: whatever stands in one is refused, since nobody reads it.
#[derive(Debug)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await?;
        match pairs.into_iter().next() {
            None => Ok(Self),
            Some((key, _)) => Err(UserError::invalid(
                &key,
                format!("There is no key {key:?} here: this route reads no query."),
                "Leave out what stands behind the question mark.",
            )
            .into()),
        }
    }
}

/// Parts of the path, in our own words when they are no text.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|_no_text| {
                UserError::new(
                    "not_found",
                    "There is nothing at this address: a part of it is no text.",
                    "Use ids as the lists of this API give them.",
                )
                .into()
            })
    }
}

/// `true`, `1`, `yes`, `on` and their opposites in a query; a bare `?wait` is true.
pub mod switch {
    use serde::{Deserialize, Deserializer, de};

    /// Reads an optional switch.
    ///
    /// # Errors
    /// Any other word.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<bool>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.to_ascii_lowercase().as_str() {
            "" | "true" | "1" | "yes" | "on" => Ok(Some(true)),
            "false" | "0" | "no" | "off" => Ok(Some(false)),
            _ => Err(de::Error::custom(format!(
                "{text:?} is neither true nor false"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_mark_of_the_encoding_is_no_part_of_a_body() {
        let read = async |text: &'static str| {
            let request = Request::new(Body::from(text));
            JsonBody::from_request(request, &()).await.unwrap().0
        };
        assert_eq!(
            read("\u{feff}{\"bpm\": 90}").await,
            Some(json!({ "bpm": 90 }))
        );
        assert_eq!(read("\u{feff} ").await, None);
    }
}
