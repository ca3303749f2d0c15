//! The real router over a studio with the bundled model, in a folder of its own.

use std::time::Duration;

use acestep_domain::{capabilities::Capabilities, service::ServiceConfig};
use acestep_server::{
    auth::{Access, Credentials},
    router::router,
    state::{AppState, GenerationTimeout},
};
use acestep_studio::{Studio, StudioOptions, download::DownloadOptions};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

/// Longer than any answer may take; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a test's studio differs from the usual.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) credentials: Credentials,
    /// Address it pretends to be served on.
    pub(crate) address: Option<&'static str>,
    pub(crate) queue_limit: Option<usize>,
    pub(crate) requested: ServiceConfig,
    pub(crate) service_mode: bool,
    /// Without the limits of a machine without a card.
    pub(crate) unlimited: bool,
    pub(crate) generation_timeout: Option<Duration>,
}

pub(crate) struct TestApp {
    router: Router,
    _studio: Studio,
    /// Turned true when the program ends.
    pub(crate) close: watch::Sender<bool>,
    folder: tempfile::TempDir,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Checks status, code and field of a refusal, and that it says what happened and what to do.
    #[track_caller]
    pub(crate) fn is_refusal(&self, status: u16, code: &str, field: Option<&str>) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        assert!(self.header("content-type").starts_with("application/json"));
        let error = self.json();
        assert_eq!(error["code"], code, "{text}");
        assert_eq!(error["field"].as_str(), field, "{text}");
        for key in ["message", "hint"] {
            assert!(
                error[key].as_str().is_some_and(|it| !it.is_empty()),
                "{text}"
            );
        }
    }
}

impl TestApp {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let studio = Studio::open(StudioOptions {
            output_dir: folder.path().join("songs"),
            checkpoints_dir: folder.path().join("checkpoints"),
            lora_dir: folder.path().join("loras"),
            capabilities: Capabilities::default(),
            notes: Vec::new(),
            requested: setup.requested,
            unlimited: setup.unlimited,
            queue_limit: setup.queue_limit.unwrap_or(5),
            version: "0.0.0-test".to_owned(),
            pre_initialized: false,
            service_mode: setup.service_mode,
            downloads: DownloadOptions::default(),
        })
        .unwrap();
        let address = setup.address.unwrap_or("127.0.0.1:7860").parse().unwrap();
        let access = Access::new(&setup.credentials, "127.0.0.1", &[address], &[]).unwrap();
        let (close, closing) = watch::channel(false);
        let mut state = AppState::new(studio.clone(), access, closing);
        if let Some(patience) = setup.generation_timeout {
            state.generation_timeout = GenerationTimeout(patience);
        }
        let router = router(state);
        Self {
            router,
            _studio: studio,
            close,
            folder,
        }
    }

    /// With the bundled model loaded.
    pub(crate) async fn ready() -> Self {
        let app = Self::new();
        app.load().await;
        app
    }

    /// Where its checkpoints lie.
    pub(crate) fn checkpoints_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("checkpoints")
    }

    /// Where its songs lie.
    pub(crate) fn songs_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("songs")
    }

    /// Where its adapters lie.
    pub(crate) fn lora_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("loras")
    }

    pub(crate) async fn load(&self) {
        let answer = self.post("/api/v1/service/initialize?wait=true", "").await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
    }

    /// Sends a request as it is, save for the host; gives the head of the answer and its stream.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> Response<Body> {
        request
            .headers_mut()
            .entry("host")
            .or_insert("127.0.0.1:7860".parse().unwrap());
        tokio::time::timeout(PATIENCE, self.router.clone().oneshot(request))
            .await
            .expect("an answer in time")
            .unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.open(request).await.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .expect("the end of an answer in time")
            .unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes().to_vec(),
        }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[]).await
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: impl ToString) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Submits a run and waits until it is over, by its own events.
    pub(crate) async fn run(&self, params: Value) -> Value {
        let job = self.post("/api/v1/jobs", params).await;
        assert_eq!(job.status, 202, "{:?}", job.json());
        let id = job.json()["id"].as_str().unwrap().to_owned();
        self.get(&format!("/api/v1/jobs/{id}/events")).await;
        self.get(&format!("/api/v1/jobs/{id}")).await.json()
    }

    /// A finished song of two seconds.
    pub(crate) async fn song(&self) -> String {
        let params = serde_json::json!({
            "caption": "lofi piano", "duration": 2, "seed": 7, "audio_format": "wav", "batch_size": 1
        });
        let job = self.run(params).await;
        assert_eq!(job["state"], "done", "{job}");
        job["song_ids"][0].as_str().unwrap().to_owned()
    }
}
