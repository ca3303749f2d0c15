//! What a song file keeps beside its parameters: everything of ours stands under [`STUDIO`], in the tags and in
//! the JSON beside the song.

use serde_json::{Value, json};

/// The key of ours.
pub const STUDIO: &str = "studio";

/// The gain that was put on the song when it was made; `None` where the file does not say one.
pub fn gain(saved: &Value) -> Option<f32> {
    saved[STUDIO]["report"]["gain"]
        .as_f64()
        .map(|gain| gain as f32)
        .filter(|gain| gain.is_finite() && *gain > 0.0)
}

/// Writes the gain down, in place of another one. Parameters that are no object stay as they are.
pub fn set_gain(saved: &mut Value, gain: f32) {
    let mut at = saved;
    for key in [STUDIO, "report"] {
        let Some(object) = at.as_object_mut() else {
            return;
        };
        at = object.entry(key).or_insert_with(|| json!({}));
    }
    if let Some(report) = at.as_object_mut() {
        report.insert("gain".to_owned(), json!(gain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_found_where_it_was_written_and_the_rest_stays() {
        let mut saved =
            json!({ "caption": "x", "studio": { "report": { "peak": 0.5, "gain": 2.0 } } });
        assert_eq!(gain(&saved), Some(2.0));
        set_gain(&mut saved, 1.0);
        assert_eq!(gain(&saved), Some(1.0));
        assert_eq!(saved["studio"]["report"]["peak"], 0.5);
        let mut bare = json!({});
        assert_eq!(gain(&bare), None);
        set_gain(&mut bare, 0.5);
        assert_eq!(gain(&bare), Some(0.5));
        for other in [json!("text"), json!({ "studio": 3 })] {
            let mut odd = other.clone();
            set_gain(&mut odd, 1.0);
            assert_eq!((gain(&odd), odd), (None, other));
        }
        for wrong in [json!(0.0), json!(-1.0), json!("1"), json!(null)] {
            let saved = json!({ "studio": { "report": { "gain": wrong } } });
            assert_eq!(gain(&saved), None, "{saved}");
        }
    }
}
