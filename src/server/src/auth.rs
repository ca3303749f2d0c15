//! Who may ask: loopback by default, and on any other address only with a key or a login.
//!
//! Three doors, in this order. The `Host` of a request must be a name of this machine (a page of a
//! foreign site that rebinds its name to 127.0.0.1 fails here). A request that changes something must
//! come from this page, not from another site's (`Origin`, `Sec-Fetch-Site`). And it must carry what
//! was configured: the API key (`Authorization: Bearer`, `ai_token` or `token` in the query,
//! `ai_token` in a JSON body, or the page's cookie) or the login (Basic). The official routes read
//! `ai_token` from every kind of body they take, see [`Unproven`].

use std::net::SocketAddr;

use acestep_domain::UserError;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    api::{error::ApiError, json::MAX_BODY_BYTES, official},
    base64, router,
    state::AppState,
};

/// Name of the page's cookie.
const COOKIE_NAME: &str = "acestep_session";

/// Where the key may stand in a query, and in a body.
const QUERY_TOKENS: [&str; 2] = ["token", BODY_TOKEN];
const BODY_TOKEN: &str = "ai_token";

/// What guards the studio.
#[derive(Debug, Clone, Default)]
pub struct Access {
    api_key: Option<Secret>,
    login: Option<(Secret, Secret)>,
    /// Served on this machine alone.
    loopback: bool,
    /// More names that `Host` may hold.
    hosts: Vec<String>,
    /// What the page's cookie holds.
    session: String,
}

/// Only the hash is kept: equal hashes are compared, so the time tells nothing, and no log can show
/// the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Secret([u8; 32]);

impl Secret {
    fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    fn is(&self, text: &str) -> bool {
        *self == Self::new(text)
    }
}

/// What was given to guard the studio.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// `--api-key`.
    pub api_key: Option<String>,
    /// `--auth-username`.
    pub username: Option<String>,
    /// `--auth-password`.
    pub password: Option<String>,
}

impl Access {
    /// The guard of a studio that listens on `addresses` under the name `server_name`.
    ///
    /// # Errors
    /// Half a login, or an address that others can reach without any key or login.
    pub fn new(
        credentials: &Credentials,
        server_name: &str,
        addresses: &[SocketAddr],
        allowed_hosts: &[String],
    ) -> Result<Self, UserError> {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let api_key = given(&credentials.api_key);
        let login = match (given(&credentials.username), given(&credentials.password)) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(UserError::invalid(
                    "auth-password",
                    "--auth-username is given without --auth-password.",
                    "Give both, or neither.",
                ));
            }
            (None, Some(_)) => {
                return Err(UserError::invalid(
                    "auth-username",
                    "--auth-password is given without --auth-username.",
                    "Give both, or neither.",
                ));
            }
        };
        let loopback = !addresses.is_empty() && addresses.iter().all(|at| at.ip().is_loopback());
        if !loopback && api_key.is_none() && login.is_none() {
            return Err(UserError::invalid(
                "server-name",
                format!(
                    "--server-name {server_name} lets other machines in, and neither a key nor a login guards the studio."
                ),
                "Add --api-key KEY, or --auth-username NAME --auth-password PASSWORD, or stay on 127.0.0.1.",
            ));
        }
        let mut hosts: Vec<String> = allowed_hosts
            .iter()
            .map(|host| host.trim().to_ascii_lowercase())
            .filter(|host| !host.is_empty())
            .collect();
        hosts.push(server_name.to_ascii_lowercase());
        let session = Sha256::digest(format!("acestep session\n{api_key:?}\n{login:?}").as_bytes());
        Ok(Self {
            session: <[u8; 32]>::from(session)
                .map(|byte| format!("{byte:02x}"))
                .concat(),
            api_key: api_key.as_deref().map(Secret::new),
            login: login.map(|(name, word)| (Secret::new(&name), Secret::new(&word))),
            loopback,
            hosts,
        })
    }

    /// The page is open to whoever reaches it: on this machine a key guards the API alone, as in the
    /// original. It then gets a cookie, so that its own calls need no key.
    fn page_is_open(&self) -> bool {
        self.login.is_none() && (self.api_key.is_none() || self.loopback)
    }

    fn allows_host(&self, host: Option<&str>) -> bool {
        // Beyond loopback the key or login decides: names of a machine in a network are many.
        if !self.loopback {
            return true;
        }
        let Some(name) = host.map(host_name) else {
            return false;
        };
        matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1")
            || name.ends_with(".localhost")
            || self.hosts.contains(&name)
    }

    /// Whether the request carries what was configured.
    fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        if self.api_key.is_none() && self.login.is_none() {
            return true;
        }
        let cookie = cookie(headers).is_some_and(|value| Secret::new(&self.session).is(value));
        cookie
            || header(headers, &AUTHORIZATION).is_some_and(|value| self.accepts_header(value))
            || QUERY_TOKENS
                .iter()
                .filter_map(|name| query_value(uri, name))
                .any(|token| self.accepts_key(&token))
    }

    pub(crate) fn accepts_key(&self, token: &str) -> bool {
        self.api_key.as_ref().is_some_and(|key| key.is(token))
    }

    /// `Bearer KEY`, `KEY` alone (the original takes both), or Basic with the login. Where only a key
    /// is configured, the browser's login box takes it as the password.
    fn accepts_header(&self, value: &str) -> bool {
        let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
        if scheme.eq_ignore_ascii_case("basic") {
            let Some((name, word)) = basic(rest) else {
                return false;
            };
            return match &self.login {
                Some((username, password)) => username.is(&name) & password.is(&word),
                None => self.accepts_key(&word),
            };
        }
        let token = if scheme.eq_ignore_ascii_case("bearer") {
            rest.trim()
        } else {
            value.trim()
        };
        self.accepts_key(token)
    }
}

/// A request whose key can only be in its body, which its handler reads: it is let through to that and must
/// be refused there without one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unproven;

/// The middleware round every route.
pub async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let access = &state.access;
    let host = header(request.headers(), &HOST)
        .map(str::to_owned)
        // HTTP/2 carries it in the URI.
        .or_else(|| request.uri().authority().map(ToString::to_string));
    if !access.allows_host(host.as_deref()) {
        return refuse(
            "host_refused",
            "This studio does not answer to that host name.",
            "Open it as http://127.0.0.1 with its port, or start it with --allowed-host NAME.",
        );
    }
    if changes_something(request.method()) && !comes_from_here(request.headers(), host.as_deref()) {
        return refuse(
            "origin_refused",
            "This request comes from another site.",
            "Use the studio's own page, or a program that sends no Origin.",
        );
    }
    let path = request.uri().path();
    // Whoever watches over the program need not know its key.
    if path == official::HEALTH {
        return next.run(request).await;
    }
    let page = !path.starts_with("/api/") && !official::is_route(path);
    // What the login page of a browser itself needs, and holds no secret.
    if page && crate::site::file(path).is_some() {
        return next.run(request).await;
    }
    let admitted = access.admits(request.headers(), request.uri());
    // It is no key of any route's own, and routes refuse what they do not know.
    if let Some(uri) = without_token(request.uri()) {
        *request.uri_mut() = uri;
    }
    let path = request.uri().path();
    if admitted || (page && access.page_is_open()) {
        let gets_cookie = page && access.api_key.is_some() && cookie(request.headers()).is_none();
        let session = access.session.clone();
        let mut response = next.run(request).await;
        if gets_cookie {
            let value = format!(
                "{COOKIE_NAME}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
            );
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(SET_COOKIE, value);
            }
        }
        return response;
    }
    if access.api_key.is_some() && official::reads_token(request.method(), path) {
        request.extensions_mut().insert(Unproven);
        return next.run(request).await;
    }
    match take_body_token(access, request).await {
        Ok(with_token) => request = with_token,
        Err(response) => return *response,
    }
    next.run(request).await
}

/// Looks for `ai_token` in a JSON body (the original's way for POST) and takes it out.
async fn take_body_token(access: &Access, request: Request) -> Result<Request, Box<Response>> {
    /// The key alone: of a stranger's body nothing else is kept in memory.
    #[derive(Deserialize)]
    struct Shown {
        ai_token: String,
    }
    let denied = || Box::new(unauthorized(access));
    let json = header(request.headers(), &CONTENT_TYPE)
        .is_none_or(|value| value.to_ascii_lowercase().contains("json"));
    let path = request.uri().path();
    let is_file = router::takes_a_file(path);
    if access.api_key.is_none() || request.method() != Method::POST || !json || is_file {
        return Err(denied());
    }
    let limit = official::most_bytes(path).unwrap_or(MAX_BODY_BYTES);
    let too_large = Box::new(router::refused_for_size(path).into_response());
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| too_large)?;
    let shown = serde_json::from_slice(&bytes);
    if !shown.is_ok_and(|Shown { ai_token }| access.accepts_key(&ai_token)) {
        return Err(denied());
    }
    let Ok(serde_json::Value::Object(mut object)) = serde_json::from_slice(&bytes) else {
        return Err(denied());
    };
    object.remove(BODY_TOKEN);
    let rest = serde_json::to_vec(&object).map_err(|_| denied())?;
    let mut request = Request::from_parts(parts, Body::from(Bytes::from(rest)));
    request
        .headers_mut()
        .remove(axum::http::header::CONTENT_LENGTH);
    Ok(request)
}

fn refuse(code: &str, message: &str, hint: &str) -> Response {
    ApiError::new(StatusCode::FORBIDDEN, UserError::new(code, message, hint)).into_response()
}

/// The refusal of whoever did not send what was configured.
pub(crate) fn unauthorized(access: &Access) -> Response {
    let (message, hint) = if access.login.is_some() {
        (
            "A login is needed.",
            "Send the user name and password as Basic authorization, or the API key as Bearer.",
        )
    } else {
        (
            "An API key is needed.",
            "Send the header Authorization: Bearer KEY.",
        )
    };
    let mut response = ApiError::new(
        StatusCode::UNAUTHORIZED,
        UserError::new("unauthorized", message, hint),
    )
    .into_response();
    // A browser then asks for the login (or, without one, takes the key as the password).
    let challenge = if access.page_is_open() {
        "Bearer"
    } else {
        "Basic realm=\"ACE-Step studio\", charset=\"UTF-8\""
    };
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser always sends `Origin` with a request that changes something; other programs do not.
fn comes_from_here(headers: &HeaderMap, host: Option<&str>) -> bool {
    if header(
        headers,
        &axum::http::HeaderName::from_static("sec-fetch-site"),
    )
    .is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The name in a `Host`, without port and brackets.
fn host_name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let value = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))?;
    let plain = value.replace('+', " ");
    percent_encoding::percent_decode_str(&plain)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// `uri` without the key in its query; `None` where there is none.
fn without_token(uri: &Uri) -> Option<Uri> {
    let is_token = |pair: &&str| QUERY_TOKENS.contains(&pair.split('=').next().unwrap_or_default());
    let (tokens, rest): (Vec<&str>, Vec<&str>) = uri.query()?.split('&').partition(is_token);
    if tokens.is_empty() {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    let path = match rest.join("&") {
        rest if rest.is_empty() => uri.path().to_owned(),
        rest => format!("{}?{rest}", uri.path()),
    };
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Name and password of a Basic header.
fn basic(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(base64::decode(encoded.trim())?).ok()?;
    let (name, word) = text.split_once(':')?;
    Some((name.to_owned(), word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Vec<SocketAddr> {
        vec![address.parse().unwrap()]
    }

    #[test]
    fn another_address_needs_a_key_or_a_login() {
        let none = Credentials::default();
        let error = Access::new(&none, "0.0.0.0", &at("0.0.0.0:7860"), &[]).unwrap_err();
        assert!(error.hint.contains("--api-key"), "{error}");
        for open in ["127.0.0.1:7860", "[::1]:7860", "127.8.8.8:1"] {
            assert!(Access::new(&none, "x", &at(open), &[]).is_ok(), "{open}");
        }
        let key = Credentials {
            api_key: Some("k".into()),
            ..Credentials::default()
        };
        assert!(Access::new(&key, "0.0.0.0", &at("0.0.0.0:7860"), &[]).is_ok());
    }

    #[test]
    fn half_a_login_is_refused_by_the_missing_half() {
        let half = Credentials {
            username: Some("me".into()),
            ..Credentials::default()
        };
        let error = Access::new(&half, "localhost", &at("127.0.0.1:1"), &[]).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("auth-password"));
    }

    #[test]
    fn host_names_of_this_machine_only() {
        let access = Access::new(
            &Credentials::default(),
            "127.0.0.1",
            &at("127.0.0.1:1"),
            &["Studio.lan".into()],
        )
        .unwrap();
        for host in [
            "127.0.0.1:7860",
            "localhost",
            "LOCALHOST:1",
            "[::1]:7860",
            "studio.lan:80",
            "a.localhost:3",
        ] {
            assert!(access.allows_host(Some(host)), "{host}");
        }
        for host in [
            "evil.example:7860",
            "127.0.0.1.evil.example",
            "",
            "10.0.0.1",
        ] {
            assert!(!access.allows_host(Some(host)), "{host}");
        }
        assert!(!access.allows_host(None));
    }

    #[test]
    fn the_key_is_no_part_of_what_a_route_is_asked() {
        for (asked, left) in [
            ("/api/v1/songs?token=k", Some("/api/v1/songs")),
            (
                "/a?limit=1&ai_token=k&query=a%20b&token",
                Some("/a?limit=1&query=a%20b"),
            ),
            ("/a?tokens=1&x=token", None),
            ("/a?", None),
            ("/a", None),
        ] {
            let uri = without_token(&asked.parse().unwrap());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), left, "{asked}");
        }
    }

    #[test]
    fn base64_as_browsers_send_it() {
        assert_eq!(
            basic("QWxhZGRpbjpvcGVuOnNlc2FtZQ=="),
            Some(("Aladdin".into(), "open:sesame".into()))
        );
        assert_eq!(basic("T*E="), None);
    }
}
