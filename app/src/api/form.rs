//! The form as it stands: kept on the server, so a reload loses nothing.

use acestep_domain::generation::GenerationParams;
use leptos::prelude::*;

use super::ApiError;

/// Keeps the form; `form` is a JSON object by parameter key, values as typed.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn save_draft(form: String) -> Result<(), ApiError> {
    let form = crate::wire::read(&form).map_err(|error| {
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
#[server(name = GetDefaults, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn defaults() -> Result<GenerationParams, ApiError> {
    Ok(super::context::studio()?.defaults())
}

/// A whole song to start from, picked at random; the eight fields it describes.
#[server(name = RandomExample, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn random_example() -> Result<acestep_domain::examples::CustomExample, ApiError> {
    Ok(acestep_domain::examples::pick_custom(rolled()).clone())
}

/// A description to start from, picked at random among those of `language`, that of the page.
#[server(name = RandomDescription, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn random_description(
    language: String,
) -> Result<acestep_domain::examples::SimpleExample, ApiError> {
    Ok(acestep_domain::examples::pick_simple_in(rolled(), &language).clone())
}

/// A number nobody chose.
#[cfg(feature = "ssr")]
fn rolled() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(now.subsec_nanos())
}

/// Puts a song's settings into the form.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn restore(song_id: String) -> Result<GenerationParams, ApiError> {
    let studio = super::context::studio()?;
    let params = studio.song(&song_id).map_err(super::context::user)?.params;
    let fields = crate::state::fields::fields_to_restore(&params);
    super::context::lay_over_draft(&studio, fields)?;
    Ok(params)
}

/// Puts a song's audio codes into the form; gives them.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn use_codes(song_id: String) -> Result<String, ApiError> {
    let studio = super::context::studio()?;
    let codes = studio
        .song(&song_id)
        .map_err(super::context::user)?
        .audio_codes;
    if let Some((_, fields)) = crate::state::fill::fields_from_codes(&codes) {
        super::context::lay_over_draft(&studio, fields)?;
    }
    Ok(codes)
}
