//! The page: routes of the app drawn on the server, its server functions, and the files of its bundle.

use acestep_app::{address::Page, shell};
use acestep_studio::Studio;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE,
            COOKIE, ETAG, IF_NONE_MATCH, VARY,
        },
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use leptos::prelude::{LeptosOptions, provide_context};
use leptos_axum::LeptosRoutes as _;
use tower_http::{CompressionLevel, compression::CompressionLayer};

use crate::{
    api::error::honest_status,
    site::{self, SiteFile},
    state::AppState,
};

/// What the document needs to know of the bundle that `cargo xtask build` makes.
pub fn options() -> LeptosOptions {
    LeptosOptions::builder()
        .output_name("acestep")
        .site_pkg_dir("pkg")
        .build()
}

/// The app's routes, and every other path outside the API.
pub fn routes(state: &AppState) -> Router<AppState> {
    let options = state.leptos_options.clone();
    Router::new()
        // Its server functions; the addresses of its pages are its own matter.
        .leptos_routes_with_context(
            state,
            Vec::new(),
            context(state.studio.clone()),
            move || shell(options.clone()),
        )
        .fallback(file_or_page)
        .layer(middleware::from_fn(honest_status))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            language_by_flag,
        ))
        // A page with many songs is long, and may be read from another room. Files are packed beforehand.
        .layer(CompressionLayer::new().quality(QUICK))
}

/// Levels from 6 on take longer to pack than a local network takes to send what they save.
const QUICK: CompressionLevel = CompressionLevel::Precise(5);

/// What server functions and the drawing of the page find in their context.
fn context(studio: Studio) -> impl Fn() + Clone + Send + Sync + 'static {
    move || provide_context(studio.clone())
}

/// A file of the bundle, else a page of the app, which also says that there is no such page. Pages are sent whole, so
/// that they read without scripts.
async fn file_or_page(State(state): State<AppState>, request: Request) -> Response {
    if let Some(file) = site::file(request.uri().path()) {
        return answer_file(file, request.headers());
    }
    let is_none = Page::at(request.uri().path()) == Page::None;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let status = if is_none {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::METHOD_NOT_ALLOWED
        };
        return status.into_response();
    }
    let options = state.leptos_options.clone();
    let draw = leptos_axum::render_app_async_with_context(context(state.studio), move || {
        shell(options.clone())
    });
    let mut response = draw(request).await.into_response();
    if is_none && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// `--language` decides for visitors who have not chosen: the page's cookie wins, the browser's list
/// loses.
async fn language_by_flag(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(language) = state.language
        && !has_cookie(request.headers(), "lang")
    {
        request
            .headers_mut()
            .insert(ACCEPT_LANGUAGE, HeaderValue::from_static(language.0));
    }
    let mut response = next.run(request).await;
    // A page shows the state of now; a kept copy would show another.
    if !response.headers().contains_key(CACHE_CONTROL) {
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn has_cookie(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|pair| {
            pair.trim()
                .split_once('=')
                .is_some_and(|(key, _)| key == name)
        })
}

/// A file of the bundle in the smallest form that the browser takes. Names carry no hash, so a copy
/// is checked by its validator every time.
fn answer_file(file: SiteFile, headers: &HeaderMap) -> Response {
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == file.etag);
    let encodings = [("br", file.br), ("gzip", file.gz)];
    let packed = encodings
        .into_iter()
        .filter_map(|(name, bytes)| Some((name, bytes?)))
        .find(|(name, _)| accepts(headers, name));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(packed.map_or(file.bytes, |(_, bytes)| bytes)).into_response()
    };
    let answer = response.headers_mut();
    if !known {
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(file.mime));
        if let Some((name, _)) = packed {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
    }
    // One validator for all forms of a file has to be a weak one.
    if let Ok(etag) = HeaderValue::from_str(&format!("W/{}", file.etag)) {
        answer.insert(ETAG, etag);
    }
    answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether `Accept-Encoding` names `encoding` without refusing it (`;q=0`).
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            name.trim().eq_ignore_ascii_case(encoding).then_some(weight)
        })
        .any(|weight| {
            let weight = weight.trim().trim_start_matches("q=");
            weight.parse::<f32>().map_or(true, |weight| weight > 0.0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(axum::http::HeaderName, &'static str)]) -> HeaderMap {
        values
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    const FILE: SiteFile = SiteFile {
        bytes: b"plain text",
        br: Some(b"br"),
        gz: Some(b"gzip"),
        etag: "\"1\"",
        mime: "text/css; charset=utf-8",
    };

    #[test]
    fn the_smallest_form_the_browser_takes() {
        for (accepted, encoding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0, gzip;q=0.5", Some("gzip")),
            ("identity", None),
        ] {
            let response = answer_file(FILE, &headers(&[(ACCEPT_ENCODING, accepted)]));
            let given = response.headers().get(CONTENT_ENCODING);
            assert_eq!(
                given.and_then(|it| it.to_str().ok()),
                encoding,
                "{accepted}"
            );
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        for known in ["\"1\"", "W/\"1\"", "\"0\", W/\"1\""] {
            let response = answer_file(FILE, &headers(&[(IF_NONE_MATCH, known)]));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        let response = answer_file(FILE, &headers(&[(IF_NONE_MATCH, "\"2\"")]));
        assert_eq!(response.status(), StatusCode::OK);
    }
}
