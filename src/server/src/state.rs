//! What every handler can reach.

use std::{sync::Arc, time::Duration};

use acestep_domain::service::ServiceConfig;
use acestep_studio::Studio;
use axum::extract::FromRef;
use leptos::prelude::LeptosOptions;
use tokio::sync::watch;

use crate::auth::Access;

/// The state of the router; cheap to clone.
#[derive(Debug, Clone, FromRef)]
pub struct AppState {
    /// The studio.
    pub studio: Studio,
    /// What the page's document needs to know of the bundle.
    pub leptos_options: LeptosOptions,
    /// Who may ask.
    pub access: Arc<Access>,
    /// What was asked of the service at start.
    pub requested: Arc<ServiceConfig>,
    /// Language of the page when its visitor has chosen none (`--language`).
    pub language: Option<Language>,
    /// How long an answer of the chat waits for its song.
    pub generation_timeout: GenerationTimeout,
    /// Turns true when the program ends; open streams then close.
    pub closing: watch::Receiver<bool>,
}

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(pub &'static str);

/// How long an answer of the chat waits for its song; the job goes on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationTimeout(pub Duration);

impl Default for GenerationTimeout {
    fn default() -> Self {
        Self(Duration::from_mins(10))
    }
}

impl AppState {
    /// The state of a studio behind `access`.
    pub fn new(studio: Studio, access: Access, closing: watch::Receiver<bool>) -> Self {
        let requested = Arc::new(studio.status().requested);
        Self {
            studio,
            leptos_options: crate::page::options(),
            access: Arc::new(access),
            requested,
            language: None,
            generation_timeout: GenerationTimeout::default(),
            closing,
        }
    }
}

impl Language {
    /// The language of that code, when the page has it.
    pub fn of(code: &str) -> Option<Self> {
        ["en", "zh", "he", "ja"]
            .into_iter()
            .find(|known| *known == code)
            .map(Self)
    }
}
