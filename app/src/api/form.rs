//! The form as it stands: kept on the server, so a reload loses nothing.

use acestep_domain::generation::GenerationParams;
use leptos::prelude::*;

use super::ApiError;

/// Keeps the form; `form` is a JSON object by parameter key, values as typed.
#[server(prefix = "/api/page")]
pub async fn save_draft(form: String) -> Result<(), ApiError> {
    let form = serde_json::from_str(&form).map_err(|error| {
        acestep_domain::UserError::new(
            "invalid_json",
            format!("The form could not be read: {error}."),
            "Reload the page.",
        )
    })?;
    super::context::studio()?
        .save_draft(&form)
        .map_err(super::context::user)
}

/// What a fresh form holds for the loaded family and tier.
#[server(name = GetDefaults, prefix = "/api/page")]
pub async fn defaults() -> Result<GenerationParams, ApiError> {
    Ok(super::context::studio()?.defaults())
}

/// A whole song to start from, picked at random; the eight fields it describes.
#[server(name = RandomExample, prefix = "/api/page")]
pub async fn random_example() -> Result<acestep_domain::examples::CustomExample, ApiError> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(acestep_domain::examples::pick_custom(u64::from(now.subsec_nanos())).clone())
}

/// Puts a song's settings into the form.
#[server(prefix = "/api/page")]
pub async fn restore(song_id: String) -> Result<GenerationParams, ApiError> {
    let studio = super::context::studio()?;
    let params = studio.song(&song_id).map_err(super::context::user)?.params;
    let form = crate::state::form::fields_from_params(&params);
    studio.save_draft(&form).map_err(super::context::user)?;
    Ok(params)
}
