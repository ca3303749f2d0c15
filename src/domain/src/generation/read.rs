//! Reads parameter JSON leniently: old files, API spellings, text where a number was meant.
//! A value that cannot be understood is reported with its key; the other fields keep.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{AudioFormat, GenerationParams, InferMethod};
use crate::{
    error::UserError,
    lora::loras_from_json,
    metadata::{Bpm, KeyScale, Language, TimeSignature, is_auto},
    note::Note,
    region::RepaintMode,
    task::{TRACKS, TaskType, track_from_name},
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
            Ok(true) => {}
            Ok(false) => note_unused(&mut read.notes, key, value, object),
            Err((message, hint)) => read
                .errors
                .push(UserError::invalid(canonical, message, hint)),
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
    Ok(read)
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

type Refusal = (String, String);

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
            params.repainting_end = optional_number(key, value)?.filter(|secs| *secs >= 0.0);
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

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn names<T, const N: usize>(all: [T; N], name: impl Fn(T) -> &'static str) -> String {
    all.map(name).join(", ")
}

fn refuse<T>(key: &str, value: &Value, expected: &str) -> Result<T, Refusal> {
    let shown: String = value.to_string().chars().take(80).collect();
    Err((
        format!("{key}: {shown} is not {expected}."),
        format!("Give {expected}."),
    ))
}

fn text(key: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => refuse(key, value, "text"),
    }
}

fn optional_text(key: &str, value: &Value) -> Result<Option<String>, Refusal> {
    Ok(Some(text(key, value)?).filter(|text| !is_auto(text)))
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, Refusal> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(list) => Ok(list
            .split([',', '|'])
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()),
        Value::Array(items) => items.iter().map(|item| text(key, item)).collect(),
        _ => refuse(key, value, "a list of names"),
    }
}

fn track(key: &str, name: &str) -> Result<String, Refusal> {
    track_from_name(name).map_or_else(
        || refuse(key, &name.into(), &format!("one of {}", TRACKS.join(", "))),
        |track| Ok(track.to_owned()),
    )
}

/// Names of recordings: text or a list; `null` and empty text are none.
///
/// # Errors
/// The reason when one of them is not text.
pub fn names_from_json(value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.trim().to_owned()).filter(|text| !is_auto(text))),
        other => Err(format!("{} is not a name", kind_of(other))),
    };
    let many = match value {
        Value::Array(items) => items.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        single => vec![one(single)?],
    };
    Ok(many.into_iter().flatten().collect())
}

fn switch(key: &str, value: &Value) -> Result<bool, Refusal> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => refuse(key, value, "true or false"),
        },
        _ => refuse(key, value, "true or false"),
    }
}

fn choice<T>(
    key: &str,
    value: &Value,
    find: impl Fn(&str) -> Option<T>,
    allowed: &str,
) -> Result<T, Refusal> {
    value
        .as_str()
        .and_then(|name| find(name.trim().to_ascii_lowercase().as_str()))
        .map_or_else(|| refuse(key, value, &format!("one of {allowed}")), Ok)
}

fn written<T>(
    key: &str,
    value: &Value,
    parse: impl Fn(&str) -> Result<T, crate::metadata::NotUnderstood>,
) -> Result<Option<T>, Refusal> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return refuse(key, value, "text"),
    };
    if is_auto(&text) {
        return Ok(None);
    }
    parse(&text).map(Some).map_err(|reason| {
        (
            format!("{key}: {reason}."),
            format!("Give {}, or leave it empty.", reason.expected),
        )
    })
}

/// A finite number; text is accepted when it holds one.
fn finite(key: &str, value: &Value) -> Result<Option<f64>, Refusal> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_auto(text) => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        _ => refuse(key, value, "a finite number"),
    }
}

fn number(key: &str, value: &Value, target: &mut f64) -> Result<(), Refusal> {
    if let Some(number) = finite(key, value)? {
        *target = number;
    }
    Ok(())
}

fn optional_number(key: &str, value: &Value) -> Result<Option<f64>, Refusal> {
    finite(key, value)
}

fn whole_from_zero(key: &str, value: &Value) -> Result<Option<usize>, Refusal> {
    match finite(key, value)? {
        None => Ok(None),
        Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => {
            Ok(Some(number as usize))
        }
        Some(_) => refuse(key, value, "a whole number from 0"),
    }
}

fn whole(key: &str, value: &Value) -> Result<Option<usize>, Refusal> {
    match whole_from_zero(key, value) {
        Ok(Some(0)) | Err(_) => refuse(key, value, "a whole number from 1"),
        ok => ok,
    }
}

fn bpm(value: &Value) -> Result<Option<Bpm>, Refusal> {
    match value {
        // 0 and -1 are the spellings of "unset" in other programs.
        Value::Number(number) if matches!(number.as_f64(), Some(n) if n == 0.0 || n == -1.0) => {
            Ok(None)
        }
        _ => written("bpm", value, Bpm::parse),
    }
}

fn duration(value: &Value) -> Result<Option<f64>, Refusal> {
    match finite("duration", value)? {
        None => Ok(None),
        Some(secs) if secs == 0.0 || secs == -1.0 => Ok(None),
        Some(secs) if secs > 0.0 => Ok(Some(secs)),
        Some(_) => refuse(
            "duration",
            value,
            "a length in seconds above 0 (or -1 for auto)",
        ),
    }
}

/// Seeds as a number, a list, or text with commas; -1, null and empty mean random.
///
/// # Errors
/// The reason when one of them is not a seed.
pub fn seeds_from_json(value: &Value) -> Result<Vec<u32>, String> {
    let one = |text: &str| -> Result<Option<u32>, String> {
        let number: f64 = text
            .parse()
            .map_err(|_| format!("{text:?} is not a number"))?;
        if number == -1.0 {
            Ok(None)
        } else if number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 {
            Ok(Some(number as u32))
        } else {
            Err(format!("{text} is not a whole number from 0 to 4294967295"))
        }
    };
    let texts: Vec<String> = match value {
        Value::Null => Vec::new(),
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) if is_auto(text) || text.eq_ignore_ascii_case("random") => Vec::new(),
        Value::String(text) => text
            .split([',', ';', ' '])
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect(),
        other => return Err(format!("{} is not a seed", kind_of(other))),
    };
    let mut seeds = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match one(text)? {
            Some(seed) if seeds.len() == index => seeds.push(seed),
            // A random place before a fixed one cannot be written as a list of fixed seeds.
            Some(_) => return Err("a fixed seed follows -1; put the fixed seeds first".to_owned()),
            None => {}
        }
    }
    Ok(seeds)
}

fn timesteps(value: &Value) -> Result<Option<Vec<f64>>, Refusal> {
    const EXPECTED: &str = "a list of numbers from 1 down to 0";
    let parts: Vec<Value> = match value {
        Value::Null => return Ok(None),
        Value::Array(items) => items.clone(),
        Value::String(text) => text
            .trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace())
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
        _ => return refuse("timesteps", value, EXPECTED),
    };
    let mut steps = Vec::with_capacity(parts.len());
    for part in &parts {
        match finite("timesteps", part)? {
            Some(t) if (0.0..=1.0).contains(&t) => steps.push(t),
            _ => return refuse("timesteps", part, "a number from 0 to 1"),
        }
    }
    // The end point 0 is implied (engine.md 13.8).
    while steps.last() == Some(&0.0) {
        steps.pop();
    }
    if let Some([before, after]) = steps.array_windows().find(|[before, after]| after > before) {
        return Err((
            format!("timesteps: {after} follows {before}."),
            "Give numbers that go down from 1 to 0.".to_owned(),
        ));
    }
    if steps.len() > 200 {
        return Err((
            format!("timesteps: {} values are given.", steps.len()),
            "Give at most 200.".to_owned(),
        ));
    }
    Ok(Some(steps).filter(|steps| !steps.is_empty()))
}

#[cfg(test)]
mod tests;
