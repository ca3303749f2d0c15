//! What every answer but a refusal, the list of models and the chat is wrapped in.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use serde_json::{Value, json};

/// `data` as the official program answers it.
pub(super) fn wrap(data: Value) -> Json<Value> {
    let mut body = json!({
        "code": 200,
        "error": null,
        "timestamp": now_ms(),
        "extra": null,
    });
    body["data"] = data;
    Json(body)
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Seconds since 1970 of a time as records hold it; 0 where it cannot be read.
pub(super) fn secs_from_text(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::secs_from_text;

    #[test]
    fn times_of_records_are_seconds() {
        assert_eq!(secs_from_text("1970-01-02T00:00:01Z"), 86_401);
        assert_eq!(secs_from_text("yesterday"), 0);
    }
}
