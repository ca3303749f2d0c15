//! What stands behind the question mark: no key is passed over in silence, and the key of the studio is none
//! of theirs.

use acestep_server::auth::Credentials;
use axum::http::Method;
use serde_json::json;

use super::app::{Setup, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_reads_is_refused_with_those_that_exist() {
    let app = TestApp::new();
    for (path, key, known) in [
        ("/songs?page=2", "page", "limit, offset, query"),
        ("/songs.zip?favorite=1", "favorite", "favourite"),
        ("/jobs?offset=1", "offset", "limit"),
        ("/jobs/x/events?since=9", "since", "after"),
        ("/songs/x/audio?fromat=flac", "fromat", "download, format"),
        ("/songs/x/lyrics.lrc?format=vtt", "format", "download"),
        ("/uploads/x/audio?format=mp3", "format", "download"),
    ] {
        let refused = app.get(&format!("/api/v1{path}")).await;
        refused.is_refusal(400, "invalid_value", Some(key));
        let error = refused.json();
        assert!(error["message"].as_str().unwrap().contains(key), "{error}");
        assert!(error["hint"].as_str().unwrap().contains(known), "{error}");
    }
    let wrong = app.get("/api/v1/songs?limit=many").await;
    wrong.is_refusal(400, "invalid_value", Some("limit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_reads_no_query_refuses_every_key() {
    let app = TestApp::new();
    for (method, path, key) in [
        (Method::GET, "/status?verbose=1", "verbose"),
        (Method::GET, "/events?after=9", "after"),
        (Method::GET, "/uploads?limit=1", "limit"),
        (Method::GET, "/songs/x/raw?format=mp3", "format"),
        (Method::POST, "/jobs?wait=true", "wait"),
        (Method::POST, "/plan?caption=x", "caption"),
        (Method::DELETE, "/service/initialize?wait", "wait"),
        (Method::PATCH, "/jobs/x?re%70eat=0", "repeat"),
    ] {
        let refused = app.call(method, &format!("/api/v1{path}"), &[]).await;
        refused.is_refusal(400, "invalid_value", Some(key));
        let error = refused.json();
        assert!(error["message"].as_str().unwrap().contains(key), "{error}");
    }
    // An address that ends in a question mark asks for nothing.
    assert_eq!(app.get("/api/v1/status?").await.status, 200);
    // Methods of one address keep their own rules, and others are refused as ever.
    assert_eq!(app.get("/api/v1/jobs?limit=1").await.status, 200);
    let other = app.call(Method::PUT, "/api/v1/jobs", &[]).await;
    other.is_refusal(405, "method_not_allowed", None);
    for allowed in ["GET", "POST"] {
        assert!(other.header("allow").contains(allowed), "{other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_studio_is_no_key_of_a_query() {
    let app = TestApp::with(Setup {
        credentials: Credentials {
            api_key: Some("sk-1".to_owned()),
            ..Credentials::default()
        },
        ..Setup::default()
    });
    for path in [
        "/songs?token=sk-1",
        "/songs?limit=1&ai_token=sk-1&offset=0",
        "/jobs?token=sk-1&limit=1",
        "/uploads?token=sk-1",
        "/status?token=sk-1",
    ] {
        let answer = app.get(&format!("/api/v1{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let path = "/api/v1/service/initialize?token=sk-1&wait=true";
    assert_eq!(app.post(path, "").await.status, 200);
    app.get("/api/v1/songs?token=sk-1&page=2")
        .await
        .is_refusal(400, "invalid_value", Some("page"));
    app.get("/api/v1/songs?token=sk-2")
        .await
        .is_refusal(401, "unauthorized", None);
    // Where no key guards the studio, one is sent in vain and does no harm.
    let open = TestApp::new();
    assert_eq!(open.get("/api/v1/songs?token=any").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_too_large_with_and_without_a_key() {
    let app = TestApp::with(Setup {
        credentials: Credentials {
            api_key: Some("sk-1".to_owned()),
            ..Credentials::default()
        },
        ..Setup::default()
    });
    let large = json!({ "ai_token": "sk-1", "caption": "x".repeat(3 << 20) });
    app.post("/api/v1/jobs", large)
        .await
        .is_refusal(413, "too_large", None);
    // Of a file nothing is read before the key was shown.
    app.post("/api/v1/uploads", "x".repeat(3 << 20))
        .await
        .is_refusal(401, "unauthorized", None);
}
