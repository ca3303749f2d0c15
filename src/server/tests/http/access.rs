//! Who may ask: other sites, other machines, keys and logins.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_pages_reach_nothing() {
    let app = TestApp::new();
    for host in ["evil.example:7860", "127.0.0.1.evil.example"] {
        app.call(Method::GET, "/api/v1/status", &[("host", host)])
            .await
            .is_refusal(403, "host_refused", None);
    }
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:9999")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        app.call(Method::POST, "/api/v1/jobs", headers)
            .await
            .is_refusal(403, "origin_refused", None);
    }
    let own = [
        ("origin", "http://127.0.0.1:7860"),
        ("sec-fetch-site", "same-origin"),
    ];
    let own = app.call(Method::POST, "/api/v1/jobs", &own).await;
    own.is_refusal(400, "invalid_json", None);
}

fn with_key(address: Option<&'static str>) -> TestApp {
    TestApp::with(Setup {
        credentials: Credentials {
            api_key: Some("sk-1".to_owned()),
            ..Credentials::default()
        },
        address,
        ..Setup::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_in_every_way_and_asked_for_otherwise() {
    let app = with_key(None);
    let refused = app.get("/api/v1/status").await;
    refused.is_refusal(401, "unauthorized", None);
    for (path, headers) in [
        ("/api/v1/status", &[("authorization", "Bearer sk-1")][..]),
        ("/api/v1/status", &[("authorization", "sk-1")]),
        ("/api/v1/status?token=sk-1", &[]),
        ("/api/v1/status?ai_token=sk%2D1", &[]),
    ] {
        assert_eq!(
            app.call(Method::GET, path, headers).await.status,
            200,
            "{path} {headers:?}"
        );
    }
    for (path, headers) in [
        ("/api/v1/status", &[("authorization", "Bearer sk-2")][..]),
        ("/api/v1/status", &[("authorization", "Bearer")]),
        ("/api/v1/status?token=", &[]),
        ("/api/v1/status", &[("cookie", "acestep_session=guess")]),
    ] {
        let answer = app.call(Method::GET, path, headers).await;
        answer.is_refusal(401, "unauthorized", None);
    }
    // In the body, as the original has it; there it is taken out before the parameters are read.
    app.post(
        "/api/v1/jobs",
        json!({ "caption": "x", "ai_token": "sk-1" }),
    )
    .await
    .is_refusal(503, "not_ready", None);
    app.post(
        "/api/v1/jobs",
        json!({ "caption": "x", "ai_token": "sk-2" }),
    )
    .await
    .is_refusal(401, "unauthorized", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine_the_page_needs_no_key_and_its_cookie_opens_the_api() {
    let app = with_key(None);
    let page = app.get("/").await;
    assert_eq!(page.status, 200);
    let cookie = page.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    let status = app
        .call(Method::GET, "/api/v1/status", &[("cookie", pair)])
        .await;
    assert_eq!(status.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_other_machines_page_and_api_ask_for_the_key_or_login() {
    let app = with_key(Some("0.0.0.0:7860"));
    for path in ["/", "/api/v1/status"] {
        let refused = app.call(Method::GET, path, &[("host", "studio.lan")]).await;
        refused.is_refusal(401, "unauthorized", None);
        assert!(
            refused.header("www-authenticate").starts_with("Basic"),
            "{path}"
        );
    }
    // base64 of "me:sk-1": a browser's login box takes the key as the password.
    let page = app
        .call(Method::GET, "/", &[("authorization", "Basic bWU6c2stMQ==")])
        .await;
    assert_eq!(page.status, 200);

    let app = TestApp::with(Setup {
        credentials: Credentials {
            username: Some("me".to_owned()),
            password: Some("it's".to_owned()),
            ..Credentials::default()
        },
        ..Setup::default()
    });
    // base64 of "me:it's" and of "me:wrong".
    for (header, status) in [("Basic bWU6aXQncw==", 200), ("Basic bWU6d3Jvbmc=", 401)] {
        for path in ["/", "/api/v1/status"] {
            let answer = app
                .call(Method::GET, path, &[("authorization", header)])
                .await;
            assert_eq!(answer.status, status, "{path} {header}");
        }
    }
}
