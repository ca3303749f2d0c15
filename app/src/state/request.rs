//! From the form as it stands to what the studio is asked for.
//!
//! The composer has several buttons over one form. What is hidden in Simple has no effect there, so a
//! request is made from the form and the button together.

use std::collections::HashMap;

use acestep_domain::{
    Note,
    generation::{clamp::INSTRUMENTAL, read::timesteps_unread},
    job::JobKind,
    task::TaskType,
};
use serde_json::{Map, Value};

use super::{
    fields::{CODES_STRENGTH, PAGE_KEYS, on, params_from_fields},
    task::{has_part, is_simple, task_of},
};

/// Name of the composer's buttons in the form.
pub const WISH: &str = "wish";

/// Switch of the form: runs follow the one that is asked for.
pub const KEEP_GOING: &str = "keep_going";
/// How many, in the form and in the request.
pub const REPEAT: &str = "repeat";
/// Runs that follow when nobody says how many.
pub const USUAL_REPEATS: u32 = 10;

/// What a button of the composer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Songs of what stands in the form.
    Generate,
    /// Caption and lyrics written anew, blanks filled.
    Format,
    /// The audio codes put into words; a song invented where there are none.
    Describe,
    /// Lyrics for the caption; what else is open is filled.
    WriteLyrics,
    /// A song on paper from the description.
    Write,
    /// The same, and songs of it at once.
    WriteAndGenerate,
}

impl Wish {
    /// All wishes.
    const ALL: [Self; 6] = [
        Self::Generate,
        Self::Format,
        Self::Describe,
        Self::WriteLyrics,
        Self::Write,
        Self::WriteAndGenerate,
    ];

    /// Value of its button.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Format => "format",
            Self::Describe => "describe",
            Self::WriteLyrics => "write_lyrics",
            Self::Write => "write",
            Self::WriteAndGenerate => "write_and_generate",
        }
    }

    /// What Enter, Ctrl Enter and the phone's bar ask for: the main action of the form's mode.
    pub fn of_mode(form: &Value) -> Self {
        if is_simple(form) {
            Self::WriteAndGenerate
        } else {
            Self::Generate
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| wish.as_str() == name)
    }

    const fn kind(self) -> JobKind {
        match self {
            Self::Generate => JobKind::Generate,
            Self::Format => JobKind::Format,
            Self::Describe => JobKind::Understand,
            Self::WriteLyrics | Self::Write | Self::WriteAndGenerate => JobKind::Sample,
        }
    }

    /// The switch of its mode that says that nobody sings.
    const fn instrumental_key(self) -> &'static str {
        match self {
            Self::Write | Self::WriteAndGenerate => "simple_instrumental",
            _ => "instrumental",
        }
    }
}

/// What stands in the form, cannot be read, and stops no run: steps and shift decide in the place of
/// timesteps of one's own (ui.md 9).
pub fn unread(form: &Value) -> Option<Note> {
    timesteps_unread(&form["timesteps"])
}

/// The parameters of `wish`, by key. What has no part in the task is left out, so it is as if it had
/// never been set. A description is a sample's caption; words, key and codes of Custom are no part of it.
/// With instrumental on, words and their language are locked on the page, and what they are locked to is sent.
pub fn parameters(form: &Value, wish: Wish) -> Value {
    let mut asked: Map<String, Value> = form.as_object().cloned().unwrap_or_default();
    for key in PAGE_KEYS {
        asked.remove(key);
    }
    // The language model writes for a song to come, whatever the task.
    let task = match wish.kind() {
        JobKind::Generate => task_of(form),
        _ => {
            asked.remove("task_type");
            asked.remove("reference_audio");
            TaskType::Text2music
        }
    };
    if task == TaskType::Text2music {
        // Its strength has a fader of its own.
        asked.remove("audio_cover_strength");
        if let Some(strength) = form.get(CODES_STRENGTH) {
            asked.insert("audio_cover_strength".to_owned(), strength.clone());
        }
    }
    asked.retain(|key, _| has_part(key, task, form));
    if unread(form).is_some() {
        asked.remove("timesteps");
    }
    let own_timesteps = asked.get("timesteps").and_then(Value::as_str);
    if own_timesteps.is_some_and(|own| !own.trim().is_empty()) {
        // They decide, and the head of their fold says so.
        asked.remove("inference_steps");
        asked.remove("shift");
    }
    if wish == Wish::WriteLyrics {
        for key in ["lyrics", "audio_codes"] {
            asked.insert(key.to_owned(), Value::from(""));
        }
    } else if wish.kind() == JobKind::Sample {
        let own = |key: &str| form[key].clone();
        for key in ["lyrics", "keyscale", "timesignature", "audio_codes"] {
            asked.insert(key.to_owned(), Value::from(""));
        }
        for (key, own) in [
            ("caption", own("description")),
            ("vocal_language", own("simple_language")),
            ("instrumental", own("simple_instrumental")),
        ] {
            if own.is_null() {
                asked.remove(key);
            } else {
                asked.insert(key.to_owned(), own);
            }
        }
    }
    if on(form, wish.instrumental_key()) {
        asked.insert("vocal_language".to_owned(), Value::from("unknown"));
        if wish.kind() != JobKind::Sample {
            asked.insert("lyrics".to_owned(), Value::from(INSTRUMENTAL));
        }
    }
    Value::Object(asked)
}

/// The form as posted: what is kept of it as the draft, and what the studio is asked for.
pub fn draft_and_request(mut posted: HashMap<String, String>) -> (Value, Value) {
    let wish = posted.remove(WISH);
    let form = params_from_fields(posted);
    let wish = wish
        .and_then(|name| Wish::from_name(&name))
        .unwrap_or_else(|| Wish::of_mode(&form));
    let mut request = parameters(&form, wish);
    request["kind"] = Value::from(wish.kind().as_str());
    if wish.kind() == JobKind::Sample {
        request["then_generate"] = Value::from(wish == Wish::WriteAndGenerate);
    }
    let makes_songs = matches!(wish, Wish::Generate | Wish::WriteAndGenerate);
    if makes_songs && on(&form, KEEP_GOING) {
        request[REPEAT] = form[REPEAT].clone();
    }
    (form, request)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn posted(fields: &[(&str, &str)]) -> (Value, Value) {
        draft_and_request(
            fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn simple_asks_for_a_sample_of_the_description_alone() {
        let (draft, request) = posted(&[
            ("mode", "simple"),
            ("description", "two people on the last bus"),
            ("simple_language", "en"),
            ("caption", "left over"),
            ("lyrics", "left over"),
            ("keyscale", "A minor"),
            ("batch_size", "2"),
            ("switches", "simple_instrumental,instrumental"),
            ("instrumental", "true"),
        ]);
        assert_eq!(
            request,
            json!({
                "kind": "sample", "then_generate": true, "caption": "two people on the last bus",
                "lyrics": "", "keyscale": "", "timesignature": "", "audio_codes": "",
                "vocal_language": "en", "instrumental": false, "batch_size": "2"
            })
        );
        assert_eq!(draft["lyrics"], "left over");
        assert_eq!(draft["mode"], "simple");
    }

    #[test]
    fn what_instrumental_locks_is_sent_as_it_is_locked_and_kept_in_the_draft() {
        let all = [
            ("caption", "slow piano"),
            ("description", "rain"),
            ("lyrics", "Soft notes"),
            ("vocal_language", "ja"),
            ("simple_language", "de"),
            ("simple_instrumental", "true"),
            ("instrumental", "true"),
        ];
        for (mode, wish, switch, lyrics) in [
            ("custom", "generate", "instrumental", "[Instrumental]"),
            ("custom", "format", "instrumental", "[Instrumental]"),
            ("simple", "write", "simple_instrumental", ""),
        ] {
            let mut fields = all.to_vec();
            fields.extend([("mode", mode), (WISH, wish), ("switches", switch)]);
            let (draft, request) = posted(&fields);
            assert_eq!(request["instrumental"], true, "{mode} {wish}");
            assert_eq!(request["vocal_language"], "unknown", "{mode} {wish}");
            assert_eq!(request["lyrics"], lyrics, "{mode} {wish}");
            assert_eq!(
                (&draft["lyrics"], &draft["vocal_language"]),
                (&json!("Soft notes"), &json!("ja"))
            );
        }
        // The switch of the other mode is not the one that is meant.
        let (_, sung) = posted(&[
            ("mode", "custom"),
            ("lyrics", "Soft notes"),
            ("vocal_language", "ja"),
            ("switches", "instrumental,simple_instrumental"),
            ("simple_instrumental", "true"),
        ]);
        assert_eq!(
            (&sung["lyrics"], &sung["vocal_language"]),
            (&json!("Soft notes"), &json!("ja"))
        );
    }

    #[test]
    fn lyrics_are_written_for_the_caption_with_what_is_given() {
        let (_, request) = posted(&[
            ("mode", "custom"),
            (WISH, "write_lyrics"),
            ("caption", "slow piano"),
            ("description", "left over"),
            ("lyrics", "to be written anew"),
            ("keyscale", "Am"),
            ("vocal_language", "ja"),
        ]);
        assert_eq!(
            request,
            json!({
                "kind": "sample", "then_generate": false, "caption": "slow piano", "lyrics": "",
                "audio_codes": "", "keyscale": "Am", "vocal_language": "ja"
            })
        );
    }

    #[test]
    fn what_is_hidden_in_a_task_is_not_sent_and_stays_in_the_draft() {
        let all = [
            ("mode", "simple"),
            ("description", "left over"),
            ("caption", "with brushes"),
            ("duration", "4:00"),
            ("src_audio", "0190"),
            ("repainting_start", "0:02"),
            ("repainting_end", ""),
            ("repaint_mode", "conservative"),
            ("repaint_strength", "0.3"),
            ("audio_cover_strength", "0.8"),
            ("cover_noise_strength", "0.2"),
            ("track_name", "drums"),
            ("complete_track_classes", "bass"),
            ("audio_codes", "1 2"),
            ("switches", "thinking"),
            ("thinking", "true"),
        ];
        let sent = |task: &str| {
            let mut fields = all.to_vec();
            fields.push(("task_type", task));
            let (draft, request) = posted(&fields);
            assert_eq!(draft["duration"], 240.0, "{task}");
            assert_eq!(draft["track_name"], "drums", "{task}");
            request
        };
        assert_eq!(
            sent("repaint"),
            json!({
                "kind": "generate", "task_type": "repaint", "caption": "with brushes",
                "src_audio": "0190", "repainting_start": 2.0, "repainting_end": "",
                "repaint_mode": "conservative"
            })
        );
        assert_eq!(
            sent("cover"),
            json!({
                "kind": "generate", "task_type": "cover", "caption": "with brushes",
                "src_audio": "0190", "audio_cover_strength": "0.8", "cover_noise_strength": "0.2",
                "audio_codes": "1 2"
            })
        );
        assert_eq!(sent("extract")["track_name"], "drums");
        assert_eq!(sent("complete")["complete_track_classes"], "bass");
        let new = sent("text2music");
        assert_eq!(
            (&new["kind"], new.get("src_audio")),
            (&json!("sample"), None)
        );
    }

    #[test]
    fn runs_follow_only_while_the_switch_is_on_and_songs_are_made() {
        for (mode, wish, on, repeat) in [
            ("custom", "generate", "true", json!("3")),
            ("simple", "write_and_generate", "true", json!("3")),
            ("custom", "generate", "false", Value::Null),
            ("custom", "format", "true", Value::Null),
            ("simple", "write", "true", Value::Null),
        ] {
            let (draft, request) = posted(&[
                ("mode", mode),
                (WISH, wish),
                ("switches", KEEP_GOING),
                (KEEP_GOING, on),
                (REPEAT, "3"),
            ]);
            assert_eq!(request[REPEAT], repeat, "{mode} {wish} {on}");
            assert_eq!(request.get(KEEP_GOING), None);
            assert_eq!(draft[REPEAT], "3");
        }
    }

    #[test]
    fn own_timesteps_that_cannot_be_read_are_not_sent_and_stay_in_the_draft() {
        for (text, sent) in [("1, 0.5", true), ("abc", false)] {
            let (draft, request) = posted(&[("mode", "custom"), ("timesteps", text)]);
            assert_eq!(request.get("timesteps").is_some(), sent, "{text}");
            assert_eq!(draft["timesteps"], text);
        }
    }

    #[test]
    fn the_button_says_what_is_wanted() {
        for (mode, wish, kind, then) in [
            ("simple", "write", "sample", json!(false)),
            ("simple", "", "sample", json!(true)),
            ("custom", "format", "format", Value::Null),
            ("custom", "describe", "understand", Value::Null),
            ("custom", "", "generate", Value::Null),
            ("custom", "nonsense", "generate", Value::Null),
        ] {
            let (draft, request) = posted(&[("mode", mode), ("caption", "x"), (WISH, wish)]);
            assert_eq!(
                (&request["kind"], request.get("then_generate")),
                (&json!(kind), Some(&then).filter(|then| !then.is_null())),
                "{mode} {wish}"
            );
            assert!(draft.get(WISH).is_none());
        }
    }
}
