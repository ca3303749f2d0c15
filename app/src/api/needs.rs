//! What a run of the form as it stands would need.

use acestep_domain::memory::RunPlan;
use leptos::prelude::*;

use super::ApiError;

/// Plans the run of `form`, a JSON object by parameter key, values as typed. Queues nothing. `None`
/// while there is nothing to plan: no model is loaded, or the form is not right yet, which its fields
/// say themselves.
#[server(prefix = "/api/page")]
pub async fn needs(form: String) -> Result<Option<RunPlan>, ApiError> {
    let form = crate::wire::read(&form).unwrap_or_default();
    Ok(plan(&form).ok())
}

/// The same of the form as it was left, while the server draws the page.
#[cfg(feature = "ssr")]
pub fn first() -> Option<RunPlan> {
    let studio = super::context::studio().ok()?;
    let mut form = crate::state::fields::fields_from_params(&studio.defaults());
    if let (Some(fields), Some(serde_json::Value::Object(draft))) =
        (form.as_object_mut(), super::snapshot::draft())
    {
        fields.extend(draft);
    }
    plan(&form).ok()
}

#[cfg(feature = "ssr")]
fn plan(form: &serde_json::Value) -> Result<RunPlan, ApiError> {
    use crate::state::request::{Wish, parameters};

    // What is written first in Simple becomes a song, and that is what takes long.
    let request = parameters(form, Wish::of_mode(form));
    // What would be noted stands at the form's own controls.
    let (plan, _notes) = super::context::studio()?
        .plan(&request)
        .map_err(super::context::user)?;
    Ok(plan)
}
