//! Reads the words in `locales/` into one numbered list a language. The build script of this crate makes the
//! keys from it, and `xtask` the files that the browser loads, so a number means the same text in both.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use serde_json::Value;

/// The languages by the name of their folder. The first has the keys, and is what is left when no other fits.
pub(crate) const LANGUAGES: [&str; 4] = ["en", "zh", "ja", "he"];

/// A text: where it stands, what it needs and what it says in each language.
pub(crate) struct Text {
    /// Namespace and keys.
    #[allow(dead_code, reason = "xtask needs no keys")]
    pub(crate) path: Vec<String>,
    /// Names of its blanks in the order of the alphabet; in the texts they are the characters from 1 on.
    pub(crate) blanks: Vec<String>,
    /// The text in each of [`LANGUAGES`].
    pub(crate) said: Vec<String>,
}

/// All texts, in one order for all languages.
pub(crate) fn read(folder: &Path) -> Result<Vec<Text>, Box<dyn Error>> {
    let mut languages = Vec::new();
    for language in LANGUAGES {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder.join(language))? {
            let path = entry?.path();
            let namespace = path.file_stem().unwrap_or_default().to_string_lossy();
            let value = serde_json::from_slice(&fs::read(&path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            walk(vec![namespace.into_owned()], value, &mut found)?;
        }
        languages.push(found);
    }
    let keys: Vec<_> = languages
        .first()
        .into_iter()
        .flat_map(BTreeMap::keys)
        .collect();
    for (language, found) in LANGUAGES.iter().zip(&languages) {
        if let Some(extra) = found.keys().find(|key| !languages[0].contains_key(*key)) {
            return Err(format!("{language}: {} is in no other language", extra.join(".")).into());
        }
    }
    keys.into_iter()
        .map(|path| text(path, &languages))
        .collect()
}

/// What the browser loads for a language: its texts, a line each.
#[allow(
    dead_code,
    reason = "each of the two users of this file needs a part of it"
)]
pub(crate) fn lines(texts: &[Text], language: usize) -> String {
    let said: Vec<&str> = texts.iter().map(|text| &*text.said[language]).collect();
    said.join("\n")
}

fn walk(
    path: Vec<String>,
    value: Value,
    found: &mut BTreeMap<Vec<String>, String>,
) -> Result<(), Box<dyn Error>> {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let mut path = path.clone();
                path.push(name);
                walk(path, value, found)?;
            }
        }
        // A line is a text, and small characters are blanks.
        Value::String(text) if !text.contains(char::is_control) => {
            found.insert(path, text);
        }
        other => return Err(format!("{} is {other}, not a line of text", path.join(".")).into()),
    }
    Ok(())
}

fn text(
    path: &[String],
    languages: &[BTreeMap<Vec<String>, String>],
) -> Result<Text, Box<dyn Error>> {
    let mut text = Text {
        path: path.to_vec(),
        blanks: Vec::new(),
        said: Vec::new(),
    };
    for (language, found) in LANGUAGES.iter().zip(languages) {
        let place = || format!("{language}: {}", path.join("."));
        let source = found
            .get(path)
            .ok_or_else(|| format!("{} is missing", place()))?;
        let mut names: Vec<String> = pieces(source)
            .into_iter()
            .filter_map(|(_, name)| name)
            .collect();
        names.sort();
        names.dedup();
        if text.said.is_empty() {
            text.blanks = names;
        } else if text.blanks != names {
            return Err(format!("{} has other blanks", place()).into());
        }
        let mut said = String::new();
        for (before, name) in pieces(source) {
            said.push_str(before);
            if let Some(name) = name {
                let number = text.blanks.iter().position(|own| *own == name).unwrap_or(0) + 1;
                // Line feeds and tabs are not reached: no text has eight blanks.
                let mark = u8::try_from(number).ok().filter(|number| *number < 9);
                said.push(char::from(
                    mark.ok_or_else(|| format!("{} has too many blanks", place()))?,
                ));
            }
        }
        text.said.push(said);
    }
    Ok(text)
}

/// The text before each blank with the blank's name, and the text behind the last.
fn pieces(source: &str) -> Vec<(&str, Option<String>)> {
    let mut rest = source;
    let mut pieces = Vec::new();
    while let Some((before, (name, behind))) = rest
        .split_once("{{")
        .and_then(|(before, behind)| Some((before, behind.split_once("}}")?)))
    {
        pieces.push((before, Some(name.trim().to_owned())));
        rest = behind;
    }
    pieces.push((rest, None));
    pieces
}
