//! Notes: what was clamped, lowered or ignored. Never an error, never only a log line.

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
}

impl Note {
    /// A note about `field`.
    pub fn new(code: &str, field: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            field: Some(field.to_owned()),
            message: message.into(),
        }
    }

    /// A note about the run as a whole.
    pub fn general(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            field: None,
            message: message.into(),
        }
    }
}
