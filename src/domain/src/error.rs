//! Failures as a user sees them.

use std::{collections::BTreeMap, fmt::Display};

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
    /// What the sentence was made of, by name, as in [`crate::note::Note`]: `given` is a value that could
    /// not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Box<BTreeMap<String, String>>>, // Failures are returned by value: none should be large.
}

impl UserError {
    /// A failure that concerns no single field.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: hint.into(),
            field: None,
            figures: None,
        }
    }

    /// A bad value of `field`.
    pub fn invalid(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "invalid_value".to_owned(),
            message: message.into(),
            hint: hint.into(),
            field: Some(field.to_owned()),
            figures: None,
        }
    }

    /// The failure with a figure of its sentence.
    #[must_use]
    pub fn with(mut self, name: &str, figure: impl Display) -> Self {
        let figures = self.figures.get_or_insert_default();
        figures.insert(name.to_owned(), figure.to_string());
        self
    }

    /// A figure of its sentence.
    pub fn figure(&self, name: &str) -> Option<&str> {
        self.figures.as_ref()?.get(name).map(String::as_str)
    }
}
