//! How a server function reaches the studio.

use acestep_domain::UserError;
use acestep_studio::Studio;
use leptos::prelude::use_context;

use super::ApiError;

/// The studio of this server.
pub(super) fn studio() -> Result<Studio, ApiError> {
    use_context::<Studio>().ok_or_else(|| {
        ApiError(UserError::new(
            "internal",
            "The page was served without its studio.",
            "Start the program again.",
        ))
    })
}

/// A studio failure in the user's words.
pub(super) fn user(error: acestep_studio::Error) -> ApiError {
    ApiError(error.into())
}

/// Keeps `fields` as the draft; what is not among them stays as it was.
pub(super) fn lay_over_draft(studio: &Studio, fields: serde_json::Value) -> Result<(), ApiError> {
    let draft = crate::state::fields::laid_over(studio.draft().map_err(user)?, fields);
    studio.save_draft(&draft).map_err(user)
}
