//! Reads parameter JSON leniently: old files, API spellings, text where a number was meant.
//! A value that cannot be understood is reported with its key; the other fields keep.

use std::collections::HashMap;

use serde_json::{Map, Value};

mod told;
mod values;

pub use values::{names_from_json, places, seeds_from_json, timesteps_unread};

use self::values::{
    Refusal, bpm, choice, duration, kind_of, names, number, optional_number, optional_text, refuse,
    switch, text, texts, timesteps, track, whole, whole_from_zero, written,
};
use super::{AudioFormat, GenerationParams, InferMethod};
use crate::{
    error::UserError,
    lora::loras_from_json,
    metadata::{KeyScale, Language, TimeSignature, is_auto},
    note::Note,
    region::RepaintMode,
    task::TaskType,
};

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The base with every understood field replaced.
    pub params: GenerationParams,
    /// Fields that were present and are not used.
    pub notes: Vec<Note>,
    /// Fields that were present and not understood; they kept the base's value.
    pub errors: Vec<UserError>,
}

impl Read {
    /// The parameters, refused when any field was not understood.
    pub fn strict(self) -> Result<(GenerationParams, Vec<Note>), UserError> {
        match self.errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok((self.params, self.notes)),
        }
    }
}

/// Other spellings of keys: the API's and the example files'.
const ALIASES: &[(&str, &str)] = &[
    ("prompt", "caption"),
    ("language", "vocal_language"),
    ("think", "thinking"),
    ("audio_duration", "duration"),
    ("duration_secs", "duration"),
    ("key_scale", "keyscale"),
    ("key", "keyscale"),
    ("time_signature", "timesignature"),
    ("seeds", "seed"),
    ("steps", "inference_steps"),
    ("format", "audio_format"),
    ("audio_code_string", "audio_codes"),
    ("src_audio_id", "src_audio"),
    ("src_song_id", "src_audio"),
    ("src_audio_path", "src_audio"),
    ("reference_audio_id", "reference_audio"),
    ("reference_song_id", "reference_audio"),
    ("reference_audio_path", "reference_audio"),
    ("track_names", "complete_track_classes"),
    ("track_classes", "complete_track_classes"),
    ("lora", "loras"),
    ("constrained_decoding", "use_constrained_decoding"),
    ("constrained", "use_constrained_decoding"),
];

/// Keys of old files that hold results, server paths or switches without effect, with the values that say nothing.
const WITHOUT_EFFECT: &[&str] = &[
    "instruction",
    "use_cot_lyrics",
    "cot_bpm",
    "cot_keyscale",
    "cot_timesignature",
    "cot_duration",
    "cot_vocal_language",
    "cot_caption",
    "cot_lyrics",
    "allow_lm_batch",
    "lm_batch_chunk_size",
    "use_tiled_decode",
    "is_format_caption",
];

/// Reads `value` over `base`.
///
/// # Errors
/// When `value` is not an object.
pub fn params_from_json(value: &Value, base: GenerationParams) -> Result<Read, UserError> {
    let Value::Object(object) = value else {
        return Err(UserError::new(
            "invalid_json",
            format!("The parameters are {}, not a JSON object.", kind_of(value)),
            "Send an object such as {\"caption\": \"lofi piano\", \"duration\": 30}.",
        ));
    };
    let usual = (base.inference_steps, base.shift);
    let mut read = Read {
        params: base,
        notes: Vec::new(),
        errors: Vec::new(),
    };
    let mut spellings: HashMap<&str, &str> = HashMap::new();
    for (key, value) in object {
        let canonical = ALIASES
            .iter()
            .find(|(alias, name)| alias == key && !object.contains_key(*name))
            .map_or(key.as_str(), |(_, name)| name);
        let first = *spellings.entry(canonical).or_insert(key);
        if first != key {
            read.notes.push(given_twice(key, first));
            continue;
        }
        match set(&mut read.params, canonical, value) {
            Ok(true) => read
                .notes
                .extend(told::left_out(&mut read.params, canonical, value)),
            Ok(false) => note_unused(&mut read.notes, key, value, object),
            Err((message, hint)) => {
                let error = UserError::invalid(canonical, message, hint);
                read.errors.push(error.with("given", given(value)));
            }
        }
    }
    let random = match object.get("use_random_seed") {
        None | Some(Value::Null) => false,
        Some(value) => match switch("use_random_seed", value) {
            Ok(random) => random,
            Err((message, hint)) => {
                let error = UserError::invalid("use_random_seed", message, hint);
                read.errors.push(error);
                false
            }
        },
    };
    if random && !read.params.seeds.is_empty() {
        read.params.seeds.clear();
        read.notes.push(Note::new(
            "seed_ignored",
            "seed",
            "Seed: use_random_seed is on, so the given seed is not used.",
        ));
    }
    read.notes.extend(told::replaced(&read.params, usual));
    if let Some(Value::String(text)) = object.get("instruction") {
        read.notes.extend(told::instruction(&read.params, text));
    }
    Ok(read)
}

/// A value as it was written, shortened.
fn given(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.trim().chars().take(40).collect()
}

fn given_twice(key: &str, taken: &str) -> Note {
    let message = format!("{key}: not used, since {taken} is given as well.");
    Note::new("field_ignored", key, message)
}

fn note_unused(notes: &mut Vec<Note>, key: &str, value: &Value, object: &Map<String, Value>) {
    if key == "use_random_seed" || key == "studio" {
        return;
    }
    if let Some((_, name)) = ALIASES.iter().find(|(alias, _)| *alias == key) {
        notes.push(given_twice(key, name));
    } else if WITHOUT_EFFECT.contains(&key) {
        let says_nothing = match value {
            Value::Null | Value::Bool(_) => true,
            Value::Number(_) => matches!(key, "lm_batch_chunk_size" | "cot_duration"),
            Value::String(text) => is_auto(text) || text == "unknown" || key == "instruction",
            Value::Array(items) => items.is_empty(),
            Value::Object(_) => false,
        };
        if !says_nothing {
            notes.push(Note::new(
                "field_ignored",
                key,
                format!("{key}: kept by earlier programs, not an input here; it is not used."),
            ));
        }
    } else {
        let known = object.contains_key(key);
        debug_assert!(known);
        notes.push(Note::new(
            "unknown_field",
            key,
            format!("{key}: this is not a parameter; it is not used."),
        ));
    }
}

/// Sets `key`; `Ok(false)` when there is no such parameter.
fn set(params: &mut GenerationParams, key: &str, value: &Value) -> Result<bool, Refusal> {
    match key {
        "task_type" => {
            params.task_type = choice(
                key,
                value,
                TaskType::from_name,
                &names(TaskType::ALL, TaskType::as_str),
            )?;
        }
        "caption" => params.caption = text(key, value)?,
        "lyrics" => params.lyrics = text(key, value)?,
        "instrumental" => params.instrumental = switch(key, value)?,
        "vocal_language" => {
            params.vocal_language = written(key, value, Language::parse)?.unwrap_or_default();
        }
        "bpm" => params.bpm = bpm(value)?,
        "keyscale" => params.keyscale = written(key, value, KeyScale::parse)?,
        "timesignature" => params.timesignature = written(key, value, TimeSignature::parse)?,
        "duration" => params.duration_secs = duration(value)?,
        "batch_size" => {
            if let Some(count) = whole(key, value)? {
                params.batch_size = count;
            }
        }
        "inference_steps" => {
            if let Some(count) = whole(key, value)? {
                params.inference_steps = count;
            }
        }
        "seed" => {
            params.seeds = seeds_from_json(value).map_err(|reason| {
                (
                    format!("seed: {reason}."),
                    "Give a number from 0 to 4294967295, a list of them, or -1 for random."
                        .to_owned(),
                )
            })?;
        }
        "guidance_scale" => number(key, value, &mut params.guidance_scale)?,
        "use_adg" => params.use_adg = switch(key, value)?,
        "cfg_interval_start" => number(key, value, &mut params.cfg_interval_start)?,
        "cfg_interval_end" => number(key, value, &mut params.cfg_interval_end)?,
        "shift" => number(key, value, &mut params.shift)?,
        "infer_method" => {
            params.infer_method = choice(
                key,
                value,
                |name| match name {
                    "ode" => Some(InferMethod::Ode),
                    "sde" => Some(InferMethod::Sde),
                    _ => None,
                },
                "ode, sde",
            )?;
        }
        "timesteps" => params.timesteps = timesteps(value)?,
        "normalize" => params.normalize = switch(key, value)?,
        "auto_lrc" => params.auto_lrc = switch(key, value)?,
        "auto_score" => params.auto_score = switch(key, value)?,
        "score_scale" => number(key, value, &mut params.score_scale)?,
        "target_lufs" => {
            // -1 is the spelling of "unset" in other programs, and louder than anything can be.
            params.target_lufs = optional_number(key, value)?.filter(|lufs| *lufs != -1.0);
        }
        "audio_format" => {
            params.audio_format = choice(
                key,
                value,
                AudioFormat::from_name,
                &names(AudioFormat::ALL, AudioFormat::as_str),
            )?;
        }
        "loras" => {
            params.loras = loras_from_json(value).map_err(|reason| {
                (
                    format!("loras: {reason}."),
                    "Give a list such as [{\"name\": \"tape-choir\", \"scale\": 0.8}].".to_owned(),
                )
            })?;
        }
        _ => return Ok(set_task(params, key, value)? || set_lm(params, key, value)?),
    }
    Ok(true)
}

/// [`set`] for what a task works on.
fn set_task(params: &mut GenerationParams, key: &str, value: &Value) -> Result<bool, Refusal> {
    match key {
        "repainting_start" => number(key, value, &mut params.repainting_start)?,
        "repainting_end" => {
            params.repainting_end = match optional_number(key, value)? {
                // The original's spelling of the end of the source.
                Some(-1.0) => None,
                Some(secs) if secs < 0.0 => {
                    return refuse(
                        key,
                        value,
                        "a second from 0, or -1 for the end of the source",
                    );
                }
                end => end,
            };
        }
        "src_audio" => params.src_audio = optional_text(key, value)?,
        "reference_audio" => {
            params.reference_audio = names_from_json(value).map_err(|reason| {
                (
                    format!("{key}: {reason}."),
                    "Give one name or a list of them.".to_owned(),
                )
            })?;
        }
        "repaint_mode" => {
            params.repaint_mode = choice(
                key,
                value,
                RepaintMode::from_name,
                &names(RepaintMode::ALL, RepaintMode::as_str),
            )?;
        }
        "repaint_strength" => number(key, value, &mut params.repaint_strength)?,
        "audio_cover_strength" => number(key, value, &mut params.audio_cover_strength)?,
        "cover_noise_strength" => number(key, value, &mut params.cover_noise_strength)?,
        "track_name" => {
            params.track_name = optional_text(key, value)?
                .map(|name| track(key, &name))
                .transpose()?;
        }
        "complete_track_classes" => {
            params.complete_track_classes = texts(key, value)?
                .iter()
                .map(|name| track(key, name))
                .collect::<Result<_, _>>()?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// [`set`] for the language model.
fn set_lm(params: &mut GenerationParams, key: &str, value: &Value) -> Result<bool, Refusal> {
    match key {
        "audio_codes" => params.audio_codes = text(key, value)?,
        "thinking" => params.thinking = switch(key, value)?,
        "lm_seed" => {
            params.lm_seed = match seeds_from_json(value).as_deref() {
                Ok([]) => None,
                Ok([seed]) => Some(*seed),
                _ => return refuse(key, value, "a whole number from 0 to 4294967295, or -1"),
            };
        }
        "lm_temperature" => number(key, value, &mut params.lm_temperature)?,
        "lm_cfg_scale" => number(key, value, &mut params.lm_cfg_scale)?,
        "lm_top_k" => {
            if let Some(count) = whole_from_zero(key, value)? {
                params.lm_top_k = count;
            }
        }
        "lm_top_p" => number(key, value, &mut params.lm_top_p)?,
        "lm_repetition_penalty" => number(key, value, &mut params.lm_repetition_penalty)?,
        "lm_negative_prompt" => params.lm_negative_prompt = text(key, value)?,
        "use_cot_metas" => params.use_cot_metas = switch(key, value)?,
        "use_cot_caption" => params.use_cot_caption = switch(key, value)?,
        "use_cot_language" => params.use_cot_language = switch(key, value)?,
        "use_constrained_decoding" => params.use_constrained_decoding = switch(key, value)?,
        "constrained_decoding_debug" => params.constrained_decoding_debug = switch(key, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
