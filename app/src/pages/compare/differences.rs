//! What was set differently for two songs: the lines of the table of settings first, then every parameter
//! that none of them tells of, by its key.

use acestep_domain::library::Song;
use serde_json::Value;

use crate::{
    i18n::{Locale, td_string},
    pages::{
        generate::param_words,
        library::settings::lines::{Line, lines},
    },
};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub name: String,
    /// Of the first.
    pub a: String,
    /// Of the second.
    pub b: String,
}

/// All that differs.
pub fn differences(a: &Song, b: &Song, locale: Locale) -> Vec<Difference> {
    let mut rows = Vec::new();
    let mut row = |name: &str, a: String, b: String| {
        if a != b {
            let name = name.to_owned();
            rows.push(Difference { name, a, b });
        }
    };
    let text = |text: &str| text.trim().to_owned();
    row(
        td_string!(locale, library.caption),
        text(&a.params.caption),
        text(&b.params.caption),
    );
    row(
        td_string!(locale, library.lyrics),
        text(&a.params.lyrics),
        text(&b.params.lyrics),
    );
    let (lines_a, lines_b) = (lines(a, locale), lines(b, locale));
    let mut told = vec!["caption", "lyrics", "loras"];
    // Lines without keys say what a run took, not what was set.
    let with_keys = |line: &&Line| !line.keys.is_empty();
    for line in lines_a.iter().filter(with_keys) {
        told.extend(line.keys);
        let other = lines_b.iter().find(|other| other.name == line.name);
        let other = other.map_or_else(|| "–".to_owned(), |other| other.used.clone());
        row(line.name, line.used.clone(), other);
    }
    for line in lines_b.iter().filter(with_keys) {
        if !lines_a.iter().any(|own| own.name == line.name) {
            told.extend(line.keys);
            row(line.name, "–".to_owned(), line.used.clone());
        }
    }
    let (all_a, all_b) = (json(a), json(b));
    for (key, value) in all_a.as_object().into_iter().flatten() {
        // How many takes were made says nothing about one of them.
        if !told.contains(&key.as_str()) && key != "batch_size" {
            let name = param_words::known_name(locale, key).unwrap_or(key);
            let told = |song: &Song, value: &Value| match key.as_str() {
                "src_audio" | "reference_audio" => recordings(song, key),
                _ => param_words::value(locale, key, value, &shown(value)),
            };
            row(name, told(a, value), told(b, &all_b[key]));
        }
    }
    rows
}

fn json(song: &Song) -> Value {
    serde_json::to_value(&song.params).unwrap_or_default()
}

/// The recordings that the parameter `key` named, as they were called then.
fn recordings(song: &Song, key: &str) -> String {
    let of_key = song.made_from.iter().filter(|own| own.field == key);
    let names: Vec<&str> = of_key.map(|own| own.name.as_str()).collect();
    if names.is_empty() {
        "–".to_owned()
    } else {
        names.join(", ")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::tests::song;

    #[test]
    fn only_what_differs_is_told_and_each_once() {
        let a = song("a");
        assert_eq!(differences(&a, &song("b"), Locale::en), []);
        let mut b = song("b");
        b.seed = 2;
        b.params.seeds = vec![2];
        b.params.caption = "waltz".into();
        b.params.batch_size = 4;
        b.params.normalize = false;
        b.report.diffusion_secs = 9.0;
        b.provenance.loras = vec![acestep_domain::lora::LoraUse::new("tape", 0.5)];
        let rows = differences(&a, &b, Locale::en);
        let told: Vec<(&str, &str, &str)> = rows
            .iter()
            .map(|row| (row.name.as_str(), row.a.as_str(), row.b.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("Caption", "", "waltz"),
                ("Seed", "1", "2"),
                ("LoRA", "–", "tape 0.50"),
                ("Raise to full level", "On", "Off"),
            ]
        );
    }
}
