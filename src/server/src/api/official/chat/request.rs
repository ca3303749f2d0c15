//! The request of a chat, and what of it becomes a request for songs.

use acestep_domain::{UserError, task::TaskType};
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header::CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    MAX_BODY_BYTES,
    text::{Words, words},
    too_large,
};
use crate::{
    api::{error::ApiError, json::is_json, official::form::Form},
    base64,
};

/// The body as it came.
#[derive(Debug)]
pub(in crate::api::official) struct Body(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.map(|kind| kind.to_str().unwrap_or("?").to_ascii_lowercase());
        if kind.is_some_and(|kind| !is_json(&kind)) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                UserError::new(
                    "unsupported_media_type",
                    "The body is not sent as JSON.",
                    "Send JSON with the header Content-Type: application/json.",
                ),
            ));
        }
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| too_large())?;
        Ok(Self(bytes.to_vec()))
    }
}

/// The fields that are read; others are those of other chats and mean nothing here.
#[derive(Debug, Deserialize)]
struct Chat {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    audio_config: Option<Map<String, Value>>,
    #[serde(default)]
    lyrics: Option<String>,
    #[serde(default)]
    sample_mode: Option<bool>,
    #[serde(default)]
    task_type: Option<String>,
    /// What is passed on by its own name or another.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        text: String,
    },
    InputAudio {
        input_audio: InputAudio,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct InputAudio {
    data: String,
    #[serde(default)]
    format: Option<String>,
}

/// A recording of a message.
#[derive(Debug)]
pub(super) struct Sound {
    /// The field of a form that it stands for.
    pub(super) field: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Its format as the message says.
    pub(super) format: String,
}

/// What a chat asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) stream: bool,
    /// Nobody said that the text is a description for the language model; it looks like one.
    pub(super) by_heuristic: bool,
    pub(super) form: Form,
    pub(super) sounds: Vec<Sound>,
}

impl Asked {
    /// Takes the description for the caption of a song without words.
    pub(super) fn describe_only(&mut self) {
        let query = self.form.fields.remove("sample_query");
        self.form
            .fields
            .insert("prompt".to_owned(), query.unwrap_or_default());
        self.form
            .fields
            .insert("instrumental".to_owned(), json!(true));
    }
}

/// Names in a chat and those of a request for songs, where there is a value.
const PASSED_ON: [(&str, &str); 15] = [
    ("temperature", "lm_temperature"),
    ("top_p", "lm_top_p"),
    ("top_k", "lm_top_k"),
    ("seed", "seed"),
    ("thinking", "thinking"),
    ("guidance_scale", "guidance_scale"),
    ("use_format", "use_format"),
    ("use_cot_caption", "use_cot_caption"),
    ("use_cot_language", "use_cot_language"),
    ("repainting_start", "repainting_start"),
    ("repainting_end", "repainting_end"),
    ("audio_cover_strength", "audio_cover_strength"),
    ("track_name", "track_name"),
    ("track_classes", "complete_track_classes"),
    ("complete_track_classes", "complete_track_classes"),
];

/// The same of `audio_config`.
const CONFIGURED: [(&str, &str); 6] = [
    ("duration", "duration"),
    ("format", "audio_format"),
    ("bpm", "bpm"),
    ("key_scale", "key_scale"),
    ("time_signature", "time_signature"),
    ("vocal_language", "vocal_language"),
];

impl Body {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing or not understood.
    pub(super) fn read(self) -> Result<Asked, UserError> {
        let hint = "Send {\"model\": \"acestep/…\", \"messages\": [{\"role\": \"user\", \"content\": \"a slow waltz\"}]}.";
        let mut chat: Chat = serde_json::from_slice(&self.0).map_err(|error| {
            let message = format!("The body is not the request of a chat: {error}.");
            UserError::new("invalid_json", message, hint)
        })?;
        let said = chat
            .messages
            .iter_mut()
            .rfind(|message| message.role == "user");
        let content = said.and_then(|message| message.content.take());
        let (text, heard) = parts(content)?;
        let lyrics = chat.lyrics.take().unwrap_or_default();
        let sample_mode = chat.sample_mode.unwrap_or(false);
        if text.trim().is_empty() && lyrics.trim().is_empty() && heard.is_empty() && !sample_mode {
            let message = "There is no message of the user, or nothing in it.";
            return Err(UserError::invalid("messages", message, hint));
        }
        let task = chat.task_type.clone().unwrap_or_default();
        let on_source = TaskType::from_name(&task).is_some_and(|task| task != TaskType::Text2music);
        let Words {
            mut prompt,
            lyrics,
            mut query,
        } = words(&text, &lyrics, sample_mode);
        // A song that is there need not be written: the text says what becomes of it.
        if on_source && !sample_mode {
            prompt.push_str(&std::mem::take(&mut query));
        }
        let config = chat.audio_config.take().unwrap_or_default();
        let instrumental = config.get("instrumental").is_some_and(is_on);
        let mut fields = chat.passed_on(&config);
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        let described = !query.is_empty();
        put(
            if described { "sample_query" } else { "prompt" },
            json!(if described { query } else { prompt }),
        );
        // A song that is described gets lyrics of its own; whoever gave some is told where the request is read.
        if !lyrics.trim().is_empty() {
            put("lyrics", json!(lyrics));
        } else if !described {
            put("lyrics", json!(if instrumental { "[inst]" } else { "" }));
        }
        if instrumental {
            put("instrumental", json!(true));
        }
        put("sample_mode", json!(sample_mode));
        let by_heuristic = described && !sample_mode;
        Ok(Asked {
            stream: chat.stream.unwrap_or(false),
            by_heuristic,
            form: Form {
                fields,
                files: Vec::new(),
            },
            sounds: sounds(heard, on_source)?,
        })
    }
}

impl Chat {
    fn passed_on(&mut self, config: &Map<String, Value>) -> Map<String, Value> {
        let mut fields = Map::new();
        for (from, name) in PASSED_ON {
            if let Some(value) = self.others.remove(from).filter(|value| !value.is_null()) {
                fields.insert(name.to_owned(), value);
            }
        }
        for (from, name) in CONFIGURED {
            if let Some(value) = config.get(from).filter(|value| !value.is_null()) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        let takes = self
            .others
            .remove("batch_size")
            .filter(|takes| !takes.is_null());
        fields.insert("batch_size".to_owned(), takes.unwrap_or(json!(1)));
        fields.insert("model".to_owned(), json!(self.model));
        if let Some(task) = &self.task_type {
            fields.insert("task_type".to_owned(), json!(task));
        }
        fields
    }
}

fn is_on(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

/// Text and recordings of a message.
fn parts(content: Option<Content>) -> Result<(String, Vec<InputAudio>), UserError> {
    let parts = match content {
        None => Vec::new(),
        Some(Content::Text(text)) => return Ok((text, Vec::new())),
        Some(Content::Parts(parts)) => parts,
    };
    let (mut texts, mut heard) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text { text } => texts.push(text),
            Part::InputAudio { input_audio } => heard.push(input_audio),
            Part::Other => {
                return Err(UserError::invalid(
                    "messages",
                    "A part of the message is neither text nor input_audio.",
                    "Send text and recordings only.",
                ));
            }
        }
    }
    Ok((texts.join("\n"), heard))
}

/// A task on a source takes it first and a reference second; a new song has references alone.
fn sounds(heard: Vec<InputAudio>, on_source: bool) -> Result<Vec<Sound>, UserError> {
    let fields: &[&'static str] = if on_source {
        &["src_audio", "reference_audio"]
    } else {
        &["reference_audio"]
    };
    if heard.len() > fields.len() {
        let message = format!("The message has {} recordings.", heard.len());
        let hint =
            "Send a source and a reference for a task on a recording, one reference otherwise.";
        return Err(UserError::invalid("messages", message, hint));
    }
    heard
        .into_iter()
        .zip(fields)
        .map(|(sound, field)| {
            // Some clients send a data URL.
            let data = sound.data.trim();
            let data = data
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once("base64,"))
                .map_or(data, |(_, data)| data);
            let bytes = base64::decode(data).ok_or_else(|| {
                UserError::invalid(
                    "messages",
                    "A recording of the message is not base64.",
                    "Send the file's bytes in standard base64.",
                )
            })?;
            let format = sound.format.unwrap_or_else(|| "mp3".to_owned());
            Ok(Sound {
                field,
                bytes,
                format,
            })
        })
        .collect()
}
