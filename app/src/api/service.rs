//! The service: status, loading, stopping, looking for models again.

use acestep_domain::service::{ServiceConfig, ServiceStatus};
use leptos::prelude::*;

use super::ApiError;

/// Everything needed to draw the service.
#[server(name = GetStatus, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn status() -> Result<ServiceStatus, ApiError> {
    Ok(super::context::studio()?.status())
}

/// Starts loading; the status tells how far it is.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn initialize(config: ServiceConfig) -> Result<(), ApiError> {
    super::context::studio()?
        .initialize(config)
        .map_err(super::context::user)
}

/// The same from a browser without scripts, which posts the panel's form whole.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn initialize_form(
    #[server(flatten)] form: std::collections::BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let config = crate::pages::service::form::config_from_fields(&form);
    super::context::studio()?
        .initialize(config)
        .map_err(super::context::user)
}

/// Loads the language model inside the program beside what runs.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn start_small_lm() -> Result<(), ApiError> {
    let studio = super::context::studio()?;
    let config = crate::state::lm::with_small_lm(&studio.status()).ok_or_else(|| {
        acestep_domain::UserError::new(
            "not_found",
            "This build has no language model inside.",
            "Choose one in Service Configuration.",
        )
    })?;
    studio.initialize(config).map_err(super::context::user)
}

/// Stops loading.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn cancel_initialize() -> Result<(), ApiError> {
    super::context::studio()?.cancel_initialize();
    Ok(())
}

/// Looks for models in the checkpoints folder again.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn rescan() -> Result<(), ApiError> {
    super::context::studio()?.rescan();
    Ok(())
}
