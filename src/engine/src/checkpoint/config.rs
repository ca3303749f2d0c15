//! `config.json` files to typed configs, with the missing or wrong key named.

use serde::de::DeserializeOwned;

use super::source::Source;
use crate::error::{Error, Result};

/// Reads and parses a JSON file.
pub(super) fn read<T: DeserializeOwned>(source: &Source, file: &str) -> Result<T> {
    let bytes = source.read(file)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::checkpoint(
            source.path(file),
            format!("this is not valid JSON ({error})"),
        )
    })?;
    // Typed in a second step: syntax and content are different faults. serde's words name the key
    // ("missing field `hidden_size`").
    serde_json::from_value(value).map_err(|error| {
        let reason = error.to_string().replace("missing field", "missing key");
        Error::checkpoint(source.path(file), reason)
    })
}
