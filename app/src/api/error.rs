//! The error of every server function: a [`UserError`] that survives the way to the browser.

use acestep_domain::UserError;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// Code of a failure to reach the studio at all.
pub const UNREACHABLE: &str = "unreachable";

/// A failure with its sentence and its hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(transparent)]
#[serde(transparent)]
pub struct ApiError(pub UserError);

impl FromServerFnError for ApiError {
    type Encoder = crate::wire::ByName;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self(match error {
            ServerFnErrorErr::Request(_) => UserError::new(
                UNREACHABLE,
                "The studio did not answer.",
                "Check that the program is still running; the page goes on by itself when it is.",
            ),
            ServerFnErrorErr::Args(reason) | ServerFnErrorErr::MissingArg(reason) => {
                UserError::new(
                    "invalid_form",
                    format!("The form could not be read: {reason}."),
                    "Reload the page and send it again.",
                )
            }
            other => UserError::new(
                "internal",
                format!("The page and the studio did not understand each other: {other}."),
                "Reload the page.",
            ),
        })
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        Self(error)
    }
}
