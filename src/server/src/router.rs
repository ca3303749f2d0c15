//! The table of contents.

use acestep_domain::timed_lyrics::LyricsFormat;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use http_body_util::Limited;
use tower_http::{
    catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, trace::TraceLayer,
};

use crate::{
    api::{
        archive, downloads, error, jobs,
        json::{MAX_BODY_BYTES, NoQuery, too_large},
        loras, official, service, songs, uploads,
    },
    auth, events, media, page,
    state::AppState,
};

/// What the program calls itself in answers; `launch` knows another studio on a port by it.
pub const SERVER: &str = concat!("acestep/", env!("CARGO_PKG_VERSION"));

/// Where files are sent.
const FILES: [&str; 3] = [
    "/api/v1/uploads",
    "/api/v1/settings",
    official::RELEASE_TASK,
];

/// Every route of the program.
pub fn router(state: AppState) -> Router {
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let api = api_v1().layer(fixed(header::CACHE_CONTROL, "no-store"));
    Router::new()
        .nest("/api/v1", api)
        .merge(official::routes().layer(fixed(header::CACHE_CONTROL, "no-store")))
        .merge(page::routes(&state))
        .route("/api/{*rest}", axum::routing::any(error::not_found))
        .layer(middleware::from_fn_with_state(state.clone(), auth::guard))
        .layer(middleware::from_fn(bound_body))
        .layer(fixed(header::SERVER, SERVER))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(fixed(header::REFERRER_POLICY, "same-origin"))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(official::refusals))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}

/// No body is read beyond what any route takes; the page's own calls read theirs without a limit.
async fn bound_body(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let limit = if takes_a_file(path) {
        uploads::MAX_BODY_BYTES
    } else {
        official::most_bytes(path).unwrap_or(MAX_BODY_BYTES)
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return refused_for_size(path).into_response();
    }
    next.run(request.map(|body| Body::new(Limited::new(body, limit))))
        .await
}

/// Whether files are sent to `path`.
pub(crate) fn takes_a_file(path: &str) -> bool {
    FILES.contains(&path)
}

/// A body beyond the limit of `path`.
pub(crate) fn refused_for_size(path: &str) -> error::ApiError {
    if takes_a_file(path) {
        uploads::refused_for_size()
    } else {
        official::refused_for_size(path).unwrap_or_else(too_large)
    }
}

/// A file of timed lyrics for each format.
fn lyrics() -> Router<AppState> {
    LyricsFormat::ALL
        .into_iter()
        .fold(Router::new(), |routes, format| {
            routes.route(
                &format!("/songs/{{id}}/lyrics.{}", format.as_str()),
                get(async move |studio, id, wanted| media::lyrics(format, studio, id, wanted)),
            )
        })
}

fn api_v1() -> Router<AppState> {
    Router::new()
        .merge(with_query())
        .merge(without_query().route_layer(middleware::from_extractor::<NoQuery>()))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
}

/// What reads a query; each refuses keys that it does not know.
fn with_query() -> Router<AppState> {
    Router::new()
        .merge(lyrics())
        .route("/service/initialize", post(service::initialize))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}/events", get(events::of_job))
        .route("/songs", get(songs::list))
        .route("/songs.zip", get(archive::songs))
        .route("/songs/{id}/audio", get(media::audio))
        // The limit of a file is `bound_body`'s.
        .route(
            "/uploads",
            post(uploads::receive).layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/settings",
            post(uploads::settings).layer(DefaultBodyLimit::disable()),
        )
        .route("/uploads/{id}/audio", get(media::upload_audio))
}

/// What reads none, and refuses whatever stands in one: a wish at the wrong place is not lost in silence.
fn without_query() -> Router<AppState> {
    Router::new()
        .route("/status", get(service::status))
        .route("/models", get(service::models))
        .route("/service/initialize", delete(service::cancel))
        .route("/downloads", get(downloads::list).post(downloads::start))
        .route(
            "/downloads/{name}",
            patch(downloads::change).delete(downloads::remove),
        )
        .route("/loras", get(loras::list))
        .route("/loras/load", post(loras::load))
        .route("/loras/unload", post(loras::unload))
        .route("/loras/scale", post(loras::scale))
        .route("/events", get(events::of_studio))
        .route("/jobs", post(jobs::submit))
        .route(
            "/jobs/{id}",
            get(jobs::find).patch(jobs::change).delete(jobs::cancel),
        )
        .route("/jobs/{id}/rerun", post(jobs::rerun))
        .route("/plan", post(jobs::plan))
        .route(
            "/songs/{id}",
            patch(songs::update).get(songs::find).delete(songs::delete),
        )
        .route("/songs/{id}/raw", get(media::raw))
        .route("/uploads", get(uploads::list))
        .route("/uploads/{id}", get(uploads::find).delete(uploads::delete))
}
