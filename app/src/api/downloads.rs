//! Downloads of released checkpoints.

use leptos::prelude::*;

use super::ApiError;

/// Begins, pauses or removes a download; `ask` is what a [`Verb`] makes of its name, so that one button
/// of a form can carry it.
///
/// [`Verb`]: acestep_domain::release::Verb
#[server(prefix = "/api/page", output = crate::wire::Answer)]
pub async fn change_download(ask: String) -> Result<(), ApiError> {
    use acestep_domain::{UserError, release::Verb};

    let studio = super::context::studio()?;
    let (verb, name) = Verb::read(&ask).ok_or_else(|| {
        UserError::invalid(
            "ask",
            format!("{ask:?} is nothing that can be done with a download."),
            "Reload the page, then try again.",
        )
    })?;
    match verb {
        Verb::Start => studio.start_download(name, None).map(drop),
        Verb::Pause => studio.pause_download(name).map(drop),
        Verb::Remove => studio.remove_download(name),
    }
    .map_err(super::context::user)
}
