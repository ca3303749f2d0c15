//! A request as it comes: what is made, of which parameters.

use acestep_domain::{
    Note, UserError,
    job::{JobKind, MAX_REPEATS},
};
use serde_json::{Map, Value};

use crate::error::Result;

/// What is asked beside the parameters, and they.
pub(super) struct Errand {
    pub(super) kind: JobKind,
    pub(super) source_song_id: Option<String>,
    pub(super) then_generate: bool,
    pub(super) repeat: u32,
    pub(super) fit: bool,
    pub(super) params: Value,
}

impl Errand {
    /// Takes what is no parameter out of `request`.
    pub(super) fn read(request: &Value) -> Result<Self> {
        let mut errand = Self {
            kind: JobKind::Generate,
            source_song_id: None,
            then_generate: false,
            repeat: 0,
            fit: false,
            params: request.clone(),
        };
        let Value::Object(object) = &mut errand.params else {
            return Ok(errand);
        };
        if let Some(kind) = given(object, "kind") {
            let known = kind.as_str().and_then(JobKind::from_name);
            errand.kind = known.ok_or_else(|| {
                UserError::invalid(
                    "kind",
                    format!("There is no kind of job {kind}."),
                    format!(
                        "Kinds are {}.",
                        JobKind::ALL.map(JobKind::as_str).join(", ")
                    ),
                )
            })?;
        }
        if let Some(id) = given(object, "song_id") {
            let text = id.as_str().map(str::to_owned);
            errand.source_song_id = Some(text.ok_or_else(|| {
                UserError::invalid(
                    "song_id",
                    format!("{id} is no id of a song."),
                    "Give it as text.",
                )
            })?);
        }
        errand.then_generate = switch(object, "then_generate")?;
        errand.fit = switch(object, "fit")?;
        if let Some(count) = given(object, "repeat") {
            let number = match &count {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64(),
            };
            errand.repeat = number
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| repeat_refused(&count))?;
            admit_repeat(errand.repeat, errand.kind, errand.then_generate)?;
        }
        Ok(errand)
    }

    /// What is named and has no part in a job of its kind.
    pub(super) fn idle_fields(&self) -> Vec<Note> {
        let kind = self.kind;
        let mut notes = Vec::new();
        if self.then_generate && !kind.may_go_on() {
            notes.push(Note::new(
                "then_generate_unused",
                "then_generate",
                format!(
                    "then_generate: only a sample and formatted texts go on to their songs, and this is of kind {}.",
                    kind.as_str()
                ),
            ));
        }
        if self.source_song_id.is_some() && !kind.listens() && !kind.is_kept_with_song() {
            notes.push(Note::new(
                "song_id_unused",
                "song_id",
                format!(
                    "song_id: nothing is listened to for kind {}; a recording to work on is src_audio.",
                    kind.as_str()
                ),
            ));
        }
        if self.fit && !self.makes_songs() {
            notes.push(Note::new(
                "fit_unused",
                "fit",
                format!(
                    "fit: a job of the kind {} makes no songs that could be fewer or shorter.",
                    kind.as_str()
                ),
            ));
        }
        notes
    }

    fn makes_songs(&self) -> bool {
        self.kind == JobKind::Generate || (self.then_generate && self.kind.may_go_on())
    }
}

/// Takes `key` out of `object`; null is as good as nothing.
fn given(object: &mut Map<String, Value>, key: &str) -> Option<Value> {
    object.remove(key).filter(|value| !value.is_null())
}

/// The same for a switch, which is off where nobody says.
fn switch(object: &mut Map<String, Value>, key: &str) -> Result<bool> {
    match given(object, key) {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(on),
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        Some(other) => Err(UserError::invalid(
            key,
            format!("{key}: {other} is neither on nor off."),
            "Give true or false.",
        )
        .into()),
    }
}

fn repeat_refused(given: &dyn std::fmt::Display) -> UserError {
    UserError::invalid(
        "repeat",
        format!("repeat: {given} is not a number of runs."),
        format!("Give a whole number from 0 to {MAX_REPEATS}."),
    )
}

/// Only songs are made again, or words that go on to songs.
pub(super) fn admit_repeat(repeat: u32, kind: JobKind, then_generate: bool) -> Result<()> {
    if repeat > MAX_REPEATS {
        return Err(repeat_refused(&repeat).into());
    }
    let goes_on = then_generate && kind.may_go_on();
    if repeat > 0 && kind != JobKind::Generate && !goes_on {
        return Err(UserError::invalid(
            "repeat",
            format!(
                "repeat: a job of the kind {} is not made again.",
                kind.as_str()
            ),
            "Leave it out, or ask for songs.",
        )
        .into());
    }
    Ok(())
}
