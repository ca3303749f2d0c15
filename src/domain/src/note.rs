//! Notes: what was clamped, lowered or ignored. Never an error, never only a log line.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Deserialize, Serialize};

/// Something that differs from what was asked, shown at the control it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Stable identifier, for example `duration_clamped`.
    pub code: String,
    /// The parameter key or service field it concerns, when there is one.
    pub field: Option<String>,
    /// One English sentence: what was asked, what is used, why.
    pub message: String,
    /// What the sentence was made of, by name: figures, and words for why (`why`). With the code they are
    /// enough to say it in another language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, String>,
}

impl Note {
    /// A note about `field`.
    pub fn new(code: &str, field: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            field: Some(field.to_owned()),
            message: message.into(),
            figures: BTreeMap::new(),
        }
    }

    /// The note with a figure of its sentence.
    #[must_use]
    pub fn with(mut self, name: &str, figure: impl Display) -> Self {
        self.figures.insert(name.to_owned(), figure.to_string());
        self
    }

    /// A figure of its sentence.
    pub fn figure(&self, name: &str) -> Option<&str> {
        self.figures.get(name).map(String::as_str)
    }

    /// A note about the run as a whole.
    pub fn general(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            field: None,
            message: message.into(),
            figures: BTreeMap::new(),
        }
    }
}
