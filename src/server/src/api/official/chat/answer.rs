//! What a chat is answered with.

use acestep_domain::{generation::AudioFormat, library::Song, note::Note};
use acestep_studio::Studio;
use axum::response::sse::Event;
use serde_json::{Value, json};

use crate::api::official::envelope::now_ms;

/// Words and sound.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content: String,
    audio: Vec<Value>,
    model: String,
    id: String,
}

impl Answer {
    /// Of songs, each with its file in base64.
    pub(super) fn new(songs: Vec<(Song, String)>, notes: &[Note]) -> Self {
        let first = songs.first().map(|(song, _)| song);
        let model = first.map_or_else(String::new, |song| song.provenance.model.clone());
        let id = first.map_or_else(String::new, |song| song.job_id.clone());
        let content = first.map_or_else(String::new, |song| content(song, notes));
        let audio = songs.into_iter().map(|(song, data)| {
            let format = AudioFormat::from_name(&song.audio_format).unwrap_or_default();
            let url = format!("data:{};base64,{data}", format.media_type());
            json!({ "type": "audio_url", "audio_url": { "url": url } })
        });
        Self {
            content,
            audio: audio.collect(),
            model,
            id,
        }
    }

    /// The answer in one piece.
    pub(super) fn whole(self) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id),
            "object": "chat.completion",
            "created": now_ms() / 1000,
            "model": named(&self.model),
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant", "content": self.content, "audio": self.audio,
                },
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
        })
    }
}

fn named(model: &str) -> String {
    format!("acestep/{model}")
}

/// Metadata and lyrics as Markdown.
fn content(song: &Song, notes: &[Note]) -> String {
    let made = song.recipe();
    let mut text = "## Metadata\n".to_owned();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            text.push_str(&format!("**{name}:** {value}\n"));
        }
    };
    line("Caption", Some(made.caption.clone()));
    line("BPM", made.bpm.map(|bpm| bpm.to_string()));
    line("Duration", Some(format!("{:.1}s", song.duration_secs)));
    line("Key", made.keyscale.map(|key| key.to_string()));
    line(
        "Time Signature",
        made.timesignature.map(|signature| signature.to_string()),
    );
    line("Language", Some(made.sung_language().to_string()));
    if !made.lyrics.trim().is_empty() {
        text.push_str(&format!("\n## Lyrics\n{}\n", made.lyrics.trim()));
    }
    if !notes.is_empty() {
        text.push_str("\n## Notes\n");
        for note in notes {
            text.push_str(&format!("- {}\n", note.message));
        }
    }
    text
}

/// The frame of every event of one stream.
#[derive(Debug)]
pub(super) struct Chunk {
    id: String,
    created: u64,
    model: String,
}

impl Chunk {
    /// Of the stream about the job `job_id`.
    pub(super) fn of(studio: &Studio, job_id: &str) -> Self {
        let model = studio.status().model;
        Self {
            id: format!("chatcmpl-{job_id}"),
            created: now_ms() / 1000,
            model: named(&model.map_or_else(String::new, |model| model.name)),
        }
    }

    fn event(&self, delta: &Value, finish: Option<&str>) -> Event {
        let chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        Event::default().data(chunk.to_string())
    }

    /// Who speaks.
    pub(super) fn role(&self) -> Event {
        self.event(&json!({ "role": "assistant", "content": "" }), None)
    }

    /// Words.
    pub(super) fn content(&self, text: &str) -> Event {
        self.event(&json!({ "content": text }), None)
    }

    /// Sound.
    pub(super) fn audio(&self, answer: &Answer) -> Event {
        self.event(&json!({ "audio": answer.audio }), None)
    }

    /// The end.
    pub(super) fn end(&self, reason: &str) -> Event {
        self.event(&json!({}), Some(reason))
    }
}
