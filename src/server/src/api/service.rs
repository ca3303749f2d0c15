//! The service: what it is, loading and taking that back, what can be chosen.

use acestep_domain::{
    UserError,
    capabilities::{CardEntry, LmEntry, ModelEntry},
    service::{DeviceChoice, DeviceName, ServiceConfig, ServiceStatus, means_card},
};
use acestep_studio::Studio;
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::Result,
    json::{JsonBody, Query, switch},
};
use crate::state::AppState;

/// `GET /api/v1/status`.
pub async fn status(State(studio): State<Studio>) -> Json<ServiceStatus> {
    Json(studio.status())
}

/// What can be chosen.
#[derive(Debug, Serialize)]
pub struct Models {
    models: Vec<ModelEntry>,
    lms: Vec<LmEntry>,
}

/// `GET /api/v1/models`: looks again at the checkpoints folder.
pub async fn models(State(studio): State<Studio>) -> Json<Models> {
    studio.rescan();
    let status = studio.status();
    Json(Models {
        models: status.models,
        lms: status.lms,
    })
}

/// The query of [`initialize`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    #[serde(default, with = "switch")]
    wait: Option<bool>,
}

/// `POST /api/v1/service/initialize`: loads as the body says; what it leaves out is as at the start
/// of the program. Answers at once, or when it is loaded with `?wait=true`.
pub async fn initialize(
    State(state): State<AppState>,
    Query(query): Query<Wait>,
    body: JsonBody,
) -> Result<(StatusCode, Json<ServiceStatus>)> {
    let cards = state.studio.status().capabilities.cards;
    let config = config_from_json(body.0, &state.requested, &cards)?;
    if query.wait.unwrap_or(false) {
        let status = state.studio.initialize_and_wait(config).await?;
        return Ok((StatusCode::OK, Json(status)));
    }
    state.studio.initialize(config)?;
    Ok((StatusCode::ACCEPTED, Json(state.studio.status())))
}

/// `DELETE /api/v1/service/initialize`: takes a load back.
pub async fn cancel(State(studio): State<Studio>) -> Json<ServiceStatus> {
    studio.cancel_initialize();
    Json(studio.status())
}

/// Reads settings over `base`, key by key, so that an error names its key.
fn config_from_json(
    body: Option<Value>,
    base: &ServiceConfig,
    cards: &[CardEntry],
) -> std::result::Result<ServiceConfig, UserError> {
    let given = match body {
        None | Some(Value::Null) => return Ok(base.clone()),
        Some(Value::Object(given)) => given,
        Some(_) => {
            return Err(UserError::new(
                "invalid_json",
                "The settings are not a JSON object.",
                "Send an object such as {\"config_path\": \"acestep-v15-turbo\"}, or no body.",
            ));
        }
    };
    let internal = |error: serde_json::Error| {
        UserError::new("internal", format!("Settings: {error}."), String::new())
    };
    let Value::Object(mut merged) = serde_json::to_value(base).map_err(internal)? else {
        return Ok(base.clone());
    };
    // Consent was given for another language model.
    if given.contains_key("lm_model_path") || given.contains_key("init_llm") {
        merged.insert("lm_over_tier_confirmed".to_owned(), Value::Bool(false));
    }
    for (key, value) in given {
        if !merged.contains_key(&key) {
            let known: Vec<&str> = merged.keys().map(String::as_str).collect();
            return Err(UserError::invalid(
                &key,
                format!("There is no setting {key:?}."),
                format!("Settings are {}.", known.join(", ")),
            ));
        }
        // "The machine decides", as the flags spell it.
        let value = match value {
            Value::Null if key == "device" => "auto".into(),
            Value::String(text) if key == "device" && text.is_empty() => "auto".into(),
            Value::String(text) if key == "device" => {
                serde_json::to_value(device(&text, cards)?).map_err(internal)?
            }
            Value::Null if key == "lm_over_tier_confirmed" => false.into(),
            Value::String(text) if text == "auto" => Value::Null,
            Value::String(text) if text.is_empty() => Value::Null,
            value => value,
        };
        let alone = Value::Object([(key.clone(), value.clone())].into_iter().collect());
        serde_json::from_value::<ServiceConfig>(alone).map_err(|error| {
            UserError::invalid(
                &key,
                format!("{key}: {error}."),
                "Booleans are true or false; null leaves the choice to the machine.",
            )
        })?;
        merged.insert(key, value);
    }
    serde_json::from_value(Value::Object(merged)).map_err(internal)
}

/// A device as the command line takes it. The card of this program was chosen at its start, so another
/// cannot be.
fn device(text: &str, cards: &[CardEntry]) -> std::result::Result<DeviceChoice, UserError> {
    let refuse = |message: String, hint: String| UserError::invalid("device", message, hint);
    let DeviceName { choice, card } = text.parse().map_err(|allowed: String| {
        refuse(
            format!("Device: {text:?} is none."),
            format!("Give one that is {allowed}."),
        )
    })?;
    // Where there is no card at all, the settings say which device is used instead.
    let Some(wanted) = card.filter(|_| !cards.is_empty()) else {
        return Ok(choice);
    };
    let means = means_card(&wanted, cards.iter().map(|card| card.index));
    let is_it = |card: &&CardEntry| means(card.index, &card.name);
    let named: Vec<&CardEntry> = cards.iter().filter(is_it).collect();
    if named.iter().any(|card| card.used) {
        return Ok(choice);
    }
    if let Some(other) = named.first() {
        return Err(refuse(
            format!(
                "Device: this program does not use card {} ({}); its card is chosen when it starts.",
                other.index, other.name
            ),
            format!(
                "Start it with --device cuda:{}, or ask for cuda alone.",
                other.index
            ),
        ));
    }
    let name = |card: &CardEntry| format!("cuda:{} {}", card.index, card.name);
    let names: Vec<String> = cards.iter().map(name).collect();
    Err(refuse(
        format!("Device: there is no card {wanted:?}."),
        format!("There is {}.", names.join(", ")),
    ))
}

#[cfg(test)]
mod tests {
    use acestep_domain::service::Quantization;
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> std::result::Result<ServiceConfig, UserError> {
        let base = ServiceConfig {
            config_path: Some("from-flag".into()),
            use_flash_attention: Some(true),
            ..ServiceConfig::default()
        };
        config_from_json(Some(body), &base, &[])
    }

    #[test]
    fn a_device_is_named_as_on_the_command_line() {
        let card = |index, name: &str, used| CardEntry {
            index,
            name: name.to_owned(),
            total_gib: 12.0,
            used,
            problem: None,
        };
        let two = [card(0, "RTX 3060", false), card(1, "RTX 4090", true)];
        let read = |text: &str, cards: &[CardEntry]| {
            let body = json!({ "device": text });
            let config = config_from_json(Some(body), &ServiceConfig::default(), cards);
            config.map(|config| config.device)
        };
        for text in ["cuda:1", "CUDA", "cuda:4090", "cuda: rtx"] {
            assert_eq!(read(text, &two), Ok(DeviceChoice::Cuda), "{text}");
        }
        assert_eq!(read("CPU", &two), Ok(DeviceChoice::Cpu));
        assert_eq!(read("Auto", &two), Ok(DeviceChoice::Auto));
        assert_eq!(read("cuda:1", &[]), Ok(DeviceChoice::Cuda));
        let other = read("cuda:0", &two).unwrap_err();
        assert_eq!(other.field.as_deref(), Some("device"));
        assert!(other.hint.contains("--device cuda:0"), "{other}");
        let none = read("cuda:7", &two).unwrap_err();
        assert!(none.hint.contains("cuda:1 RTX 4090"), "{none}");
    }

    #[test]
    fn what_is_left_out_is_as_at_the_start() {
        let config = read(json!({ "use_flash_attention": false, "quantization": "int8" })).unwrap();
        assert_eq!(config.config_path.as_deref(), Some("from-flag"));
        assert_eq!(config.use_flash_attention, Some(false));
        assert_eq!(config.quantization, Some(Quantization::Int8));
        let config =
            read(json!({ "use_flash_attention": "auto", "device": "cpu", "config_path": "" }));
        let config = config.unwrap();
        assert_eq!(config.use_flash_attention, None);
        assert_eq!(config.device, DeviceChoice::Cpu);
        assert_eq!(config.config_path, None);
        assert_eq!(
            read(json!({ "device": null })).unwrap().device,
            DeviceChoice::Auto
        );
    }

    #[test]
    fn an_error_names_its_key() {
        for (body, field) in [
            (
                json!({ "use_flash_attention": "maybe" }),
                "use_flash_attention",
            ),
            (json!({ "device": "tpu" }), "device"),
            (json!({ "quantization": "int2" }), "quantization"),
            (json!({ "config_path": 5 }), "config_path"),
            (json!({ "flash": true }), "flash"),
        ] {
            assert_eq!(read(body).unwrap_err().field.as_deref(), Some(field));
        }
        assert_eq!(read(json!([1])).unwrap_err().code, "invalid_json");
    }
}
