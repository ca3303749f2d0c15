//! Single values of parameter JSON, lenient in how they are written and strict in what they are.

use serde_json::Value;

use crate::{
    metadata::{Bpm, is_auto},
    note::Note,
    number::decimal,
    task::{TRACKS, track_from_name},
};

pub(super) type Refusal = (String, String);

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(super) fn names<T, const N: usize>(all: [T; N], name: impl Fn(T) -> &'static str) -> String {
    all.map(name).join(", ")
}

pub(super) fn refuse<T>(key: &str, value: &Value, expected: &str) -> Result<T, Refusal> {
    let shown: String = value.to_string().chars().take(80).collect();
    Err((
        format!("{key}: {shown} is not {expected}."),
        format!("Give {expected}."),
    ))
}

pub(super) fn text(key: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => refuse(key, value, "text"),
    }
}

pub(super) fn optional_text(key: &str, value: &Value) -> Result<Option<String>, Refusal> {
    Ok(Some(text(key, value)?).filter(|text| !is_auto(text)))
}

pub(super) fn texts(key: &str, value: &Value) -> Result<Vec<String>, Refusal> {
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

pub(super) fn track(key: &str, name: &str) -> Result<String, Refusal> {
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

pub(super) fn switch(key: &str, value: &Value) -> Result<bool, Refusal> {
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

pub(super) fn choice<T>(
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

pub(super) fn written<T>(
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

/// A number that is finite; text is accepted when it holds one.
pub(super) fn finite(key: &str, value: &Value) -> Result<Option<f64>, Refusal> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_auto(text) => return Ok(None),
        Value::String(text) => decimal(text.trim()),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        _ => refuse(key, value, "a number"),
    }
}

pub(super) fn number(key: &str, value: &Value, target: &mut f64) -> Result<(), Refusal> {
    if let Some(number) = finite(key, value)? {
        *target = number;
    }
    Ok(())
}

pub(super) fn optional_number(key: &str, value: &Value) -> Result<Option<f64>, Refusal> {
    finite(key, value)
}

pub(super) fn whole_from_zero(key: &str, value: &Value) -> Result<Option<usize>, Refusal> {
    match finite(key, value)? {
        None => Ok(None),
        Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => {
            Ok(Some(number as usize))
        }
        Some(_) => refuse(key, value, "a whole number from 0"),
    }
}

pub(super) fn whole(key: &str, value: &Value) -> Result<Option<usize>, Refusal> {
    match whole_from_zero(key, value) {
        Ok(Some(0)) | Err(_) => refuse(key, value, "a whole number from 1"),
        ok => ok,
    }
}

pub(super) fn bpm(value: &Value) -> Result<Option<Bpm>, Refusal> {
    match value {
        // 0 and -1 are the spellings of "unset" in other programs.
        Value::Number(number) if matches!(number.as_f64(), Some(n) if n == 0.0 || n == -1.0) => {
            Ok(None)
        }
        _ => written("bpm", value, Bpm::parse),
    }
}

pub(super) fn duration(value: &Value) -> Result<Option<f64>, Refusal> {
    match finite("duration", value) {
        Ok(None) => Ok(None),
        Ok(Some(secs)) if secs == 0.0 || secs == -1.0 => Ok(None),
        Ok(Some(secs)) if secs > 0.0 => Ok(Some(secs)),
        _ => refuse(
            "duration",
            value,
            "a number of seconds, 0.1 to 600 (or -1 for auto)",
        ),
    }
}

/// The places of a list of seeds: separated by commas or semicolons, between which nothing is a place
/// too, or by blanks.
pub fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';']).flat_map(|part| {
        let part = part.trim();
        let blank = part.is_empty().then_some(part);
        blank.into_iter().chain(part.split_whitespace())
    })
}

/// Seeds as a number, a list, or text with commas; -1, null and empty mean random.
///
/// # Errors
/// The reason when one of them is not a seed.
pub fn seeds_from_json(value: &Value) -> Result<Vec<u32>, String> {
    let one = |text: &str| -> Result<Option<u32>, String> {
        let number = decimal(text).ok_or_else(|| format!("{text:?} is not a number"))?;
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
        Value::String(text) => places(text).map(str::to_owned).collect(),
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
        // A place that is left empty is random, as -1 is.
        let seed = if text.is_empty() { None } else { one(text)? };
        match seed {
            Some(seed) if seeds.len() == index => seeds.push(seed),
            // A random place before a fixed one cannot be written as a list of fixed seeds.
            Some(_) => {
                return Err(
                    "a fixed seed follows a random one; put the fixed seeds first".to_owned(),
                );
            }
            None => {}
        }
    }
    Ok(seeds)
}

/// Most timesteps of one's own.
const MOST_TIMESTEPS: usize = 200;

/// What is wrong with timesteps of one's own.
enum NoTimesteps {
    /// Not a list at all.
    NoList,
    /// The value at that place, counted from 1, is no number from 0 to 1.
    Part(usize, Value),
    /// The value at that place is above the one before it.
    Rises(usize, f64, f64),
    /// So many, over [`MOST_TIMESTEPS`].
    TooMany(usize),
}

fn read_timesteps(value: &Value) -> Result<Option<Vec<f64>>, NoTimesteps> {
    let parts: Vec<Value> = match value {
        Value::Null => return Ok(None),
        Value::Array(items) => items.clone(),
        Value::String(text) if is_auto(text) => return Ok(None),
        Value::String(text) => text
            .trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace())
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
        _ => return Err(NoTimesteps::NoList),
    };
    let mut steps = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        match finite("timesteps", part) {
            Ok(Some(t)) if (0.0..=1.0).contains(&t) => steps.push(t),
            _ => return Err(NoTimesteps::Part(index + 1, part.clone())),
        }
    }
    // The end point 0 is implied (engine.md 13.8).
    while steps.last() == Some(&0.0) {
        steps.pop();
    }
    let rises = steps
        .array_windows()
        .position(|[before, after]| after > before);
    if let Some(index) = rises {
        return Err(NoTimesteps::Rises(
            index + 2,
            steps[index],
            steps[index + 1],
        ));
    }
    if steps.len() > MOST_TIMESTEPS {
        return Err(NoTimesteps::TooMany(steps.len()));
    }
    Ok(Some(steps).filter(|steps| !steps.is_empty()))
}

pub(super) fn timesteps(value: &Value) -> Result<Option<Vec<f64>>, Refusal> {
    read_timesteps(value).or_else(|wrong| match wrong {
        NoTimesteps::NoList => refuse("timesteps", value, "a list of numbers from 1 down to 0"),
        NoTimesteps::Part(_, part) => refuse("timesteps", &part, "a number from 0 to 1"),
        NoTimesteps::Rises(_, before, after) => Err((
            format!("timesteps: {after} follows {before}."),
            "Give numbers that go down from 1 to 0.".to_owned(),
        )),
        NoTimesteps::TooMany(count) => Err((
            format!("timesteps: {count} values are given."),
            format!("Give at most {MOST_TIMESTEPS}."),
        )),
    })
}

/// What is wrong with timesteps of one's own, for who goes on with steps and shift in their place
/// (ui.md 9); `None` where they can be used.
pub fn timesteps_unread(value: &Value) -> Option<Note> {
    const MEANWHILE: &str = "Steps and shift decide until this is mended";
    let of = |wrong: &str| {
        Note::new(
            "timesteps_unread",
            "timesteps",
            format!("Own timesteps: {wrong}. {MEANWHILE}."),
        )
    };
    Some(match read_timesteps(value).err()? {
        NoTimesteps::NoList => of("they are not a list").with("why", "list"),
        NoTimesteps::Part(place, part) => {
            let part = super::given(&part);
            of(&format!(
                "value {place}, {part}, is not a number from 0 to 1"
            ))
            .with("why", "part")
            .with("place", place)
            .with("part", part)
        }
        NoTimesteps::Rises(place, before, after) => of(&format!(
            "value {place}, {after}, is above the one before it, {before}"
        ))
        .with("why", "rises")
        .with("place", place)
        .with("part", after)
        .with("before", before),
        NoTimesteps::TooMany(count) => of(&format!(
            "{count} are given, and {MOST_TIMESTEPS} are the most"
        ))
        .with("why", "many")
        .with("n", count)
        .with("max", MOST_TIMESTEPS),
    })
}
