//! Adapters of the main model: what there is, and which of it acts on the next song.

use acestep_domain::{UserError, lora::LoraList};
use acestep_studio::Studio;
use axum::{Json, extract::State};
use serde_json::Value;

use super::{error::Result, json::JsonBody};

/// `GET /api/v1/loras`: looks again at the folder of adapters.
pub async fn list(State(studio): State<Studio>) -> Json<LoraList> {
    Json(studio.loras())
}

/// `POST /api/v1/loras/load` with `name` and, unless it is 1, `scale`.
pub async fn load(State(studio): State<Studio>, body: JsonBody) -> Result<Json<LoraList>> {
    let asked = Asked::read(&body.required()?)?;
    Ok(Json(studio.load_lora(&asked.name, asked.scale)?))
}

/// `POST /api/v1/loras/unload` with `name`.
pub async fn unload(State(studio): State<Studio>, body: JsonBody) -> Result<Json<LoraList>> {
    let asked = Asked::read(&body.required()?)?;
    if asked.scale.is_some() {
        return Err(UserError::invalid(
            "scale",
            "A scale is given for an adapter that is to go.",
            "Leave it out, or use /api/v1/loras/scale.",
        )
        .into());
    }
    Ok(Json(studio.unload_lora(&asked.name)?))
}

/// `POST /api/v1/loras/scale` with `name` and `scale`.
pub async fn scale(State(studio): State<Studio>, body: JsonBody) -> Result<Json<LoraList>> {
    let asked = Asked::read(&body.required()?)?;
    let scale = asked.scale.ok_or_else(|| {
        UserError::invalid(
            "scale",
            "No scale is given.",
            "Send a number from 0 (off) to 1 as scale.",
        )
    })?;
    Ok(Json(studio.set_lora_scale(&asked.name, scale)?))
}

/// A body of these routes.
struct Asked {
    name: String,
    scale: Option<f64>,
}

impl Asked {
    /// Reads it key by key, so that an error names its key.
    fn read(body: &Value) -> std::result::Result<Self, UserError> {
        let Value::Object(object) = body else {
            return Err(UserError::new(
                "invalid_json",
                "The body is not a JSON object.",
                "Send an object such as {\"name\": \"tape-choir\", \"scale\": 0.8}.",
            ));
        };
        if let Some(key) = object
            .keys()
            .find(|key| !matches!(key.as_str(), "name" | "scale"))
        {
            return Err(UserError::invalid(
                key,
                format!("There is no key {key:?} here."),
                "The keys are name and scale.",
            ));
        }
        let name = object
            .get("name")
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                UserError::invalid(
                    "name",
                    "No adapter is named.",
                    "Send its name as text; GET /api/v1/loras lists them.",
                )
            })?;
        let scale = match object.get("scale") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_f64().ok_or_else(|| {
                UserError::invalid(
                    "scale",
                    format!("{value} is not a scale."),
                    "Send a number from 0 (off) to 1.",
                )
            })?),
        };
        Ok(Self {
            name: name.to_owned(),
            scale,
        })
    }
}
