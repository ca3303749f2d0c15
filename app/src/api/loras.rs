//! Adapters of the main model: what the folder holds, and which of them act where a song does not say.

use acestep_domain::lora::LoraList;
use leptos::prelude::*;

use super::ApiError;

/// Looks again at the folder of adapters.
#[server(name = GetLoras, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn loras() -> Result<LoraList, ApiError> {
    take()
}

/// The same while the server draws the page.
#[cfg(feature = "ssr")]
pub fn take() -> Result<LoraList, ApiError> {
    Ok(super::context::studio()?.loras())
}

/// Takes an adapter into use from the next song on, or gives it another scale.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn load_lora(
    name: String,
    #[server(default)] scale: Option<f64>,
) -> Result<LoraList, ApiError> {
    super::context::studio()?
        .load_lora(&name, scale)
        .map_err(super::context::user)
}

/// Gives an adapter up, from the next song on.
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn unload_lora(name: String) -> Result<LoraList, ApiError> {
    super::context::studio()?
        .unload_lora(&name)
        .map_err(super::context::user)
}
