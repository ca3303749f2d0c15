//! Recordings that a request names. The official program reads any file of the server that it is told of;
//! here a name is that of an upload or of a song of the library, and nothing else is looked at.

use acestep_domain::{UserError, generation::read::names_from_json};
use acestep_studio::Studio;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::api::error::ApiError;

/// Ids of the recordings that `value` names for the parameter `field`: an id, the `file` of a result, or a
/// list of them.
pub(super) fn ids(
    studio: &Studio,
    field: &'static str,
    value: &Value,
) -> Result<Vec<String>, ApiError> {
    let names = names_from_json(value).map_err(|reason| {
        UserError::invalid(field, format!("{field}: {reason}."), "Give one id as text.")
    })?;
    names.iter().map(|name| id(studio, field, name)).collect()
}

fn id(studio: &Studio, field: &'static str, name: &str) -> Result<String, ApiError> {
    let id = id_from_name(name);
    let known = is_id(&id) && (studio.upload(&id).is_ok() || studio.song(&id).is_ok());
    if known {
        return Ok(id);
    }
    Err(UserError::invalid(
        field,
        format!("{field}: this names neither an upload nor a song of the library; paths of the server are not read."),
        format!("Send the file itself as the form field {field}, or name the id of an upload or of a song."),
    )
    .into())
}

/// The id in an id, in `ID.mp3` and in the address of a result.
pub(super) fn id_from_name(name: &str) -> String {
    let asked = name
        .split_once("/v1/audio?path=")
        .map_or(name, |(_, path)| path.split('&').next().unwrap_or_default());
    let plain = percent_decode_str(asked.trim()).decode_utf8_lossy();
    plain.split('.').next().unwrap_or_default().to_owned()
}

/// Ids are letters, figures and hyphens; a path has more than that.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_what_clients_hold() {
        for name in [
            "018f-a1",
            "018f-a1.mp3",
            "/v1/audio?path=018f-a1.mp3",
            "http://127.0.0.1:8001/v1/audio?path=018f%2Da1.mp3&token=k",
        ] {
            assert_eq!(id_from_name(name), "018f-a1");
        }
        assert!(is_id("018f-a1"));
        for path in ["/etc/passwd", "..", "", "a/b", "C:\\x"] {
            assert!(!is_id(&id_from_name(path)), "{path}");
        }
    }
}
