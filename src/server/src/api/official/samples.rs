//! `POST /create_random_sample`: one of the bundled examples.

use acestep_domain::{UserError, examples};
use axum::Json;
use serde_json::{Value, json};

use super::{envelope::wrap, form::Form};
use crate::api::error::Result;

/// A short description, or a whole song.
pub(super) async fn random(form: Form) -> Result<Json<Value>> {
    let seed = getrandom::u64().map_err(|_| {
        UserError::new(
            "internal",
            "The operating system gave no random number.",
            "Try again.",
        )
    })?;
    let kind = form.fields.get("sample_type").and_then(Value::as_str);
    Ok(wrap(match kind.unwrap_or_default().trim() {
        "" | "simple_mode" => {
            let example = examples::pick_simple(seed);
            json!({
                "description": example.description,
                "instrumental": example.instrumental,
                "vocal_language": example.vocal_language,
            })
        }
        _ => {
            let example = examples::pick_custom(seed);
            json!({
                "think": true,
                "caption": example.caption,
                "lyrics": example.lyrics,
                "bpm": example.bpm,
                "duration": example.duration_secs,
                "keyscale": example.keyscale,
                "language": example.vocal_language,
                "timesignature": example.timesignature,
            })
        }
    }))
}
