//! Failures as a user sees them.

use serde::{Deserialize, Serialize};

/// A failure in the user's words: what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} {hint}")]
pub struct UserError {
    /// Stable identifier, for example `not_ready`.
    pub code: String,
    /// What happened, one sentence.
    pub message: String,
    /// What to do, one sentence; empty when there is nothing to do.
    pub hint: String,
    /// The parameter key concerned, when there is one.
    pub field: Option<String>,
}

impl UserError {
    /// A failure that concerns no single field.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: hint.into(),
            field: None,
        }
    }

    /// A bad value of `field`.
    pub fn invalid(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "invalid_value".to_owned(),
            message: message.into(),
            hint: hint.into(),
            field: Some(field.to_owned()),
        }
    }
}
