//! Words: every language has every key with the same blanks, and every parameter has its words.

#![expect(
    clippy::unwrap_used,
    reason = "a locale file that cannot be read fails the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("locales")
}

/// `namespace.key.subkey` to text.
fn words(language: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder().join(language)).unwrap() {
        let path = entry.unwrap().path();
        let namespace = path.file_stem().unwrap().to_string_lossy().into_owned();
        let value: Value = serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        walk(&namespace, &value, &mut found);
    }
    found
}

fn walk(key: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                walk(&format!("{key}.{name}"), value, found);
            }
        }
        Value::String(text) => {
            found.insert(key.to_owned(), text.clone());
        }
        other => panic!("{key} is {other}, not text"),
    }
}

/// Names in `{{ … }}`.
fn blanks(text: &str) -> BTreeSet<String> {
    text.split("{{")
        .skip(1)
        .filter_map(|rest| rest.split("}}").next())
        .map(|name| name.trim().to_owned())
        .collect()
}

fn languages() -> Vec<String> {
    let mut all: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn every_language_has_every_key_with_the_same_blanks() {
    let english = words("en");
    assert_eq!(languages(), ["en", "he", "ja", "zh"]);
    for language in languages() {
        let own = words(&language);
        let missing: Vec<_> = english
            .keys()
            .filter(|key| !own.contains_key(*key))
            .collect();
        let extra: Vec<_> = own
            .keys()
            .filter(|key| !english.contains_key(*key))
            .collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{language}: missing {missing:?}, extra {extra:?}"
        );
        for (key, text) in &own {
            assert!(!text.trim().is_empty(), "{language}: {key} is empty");
            assert_eq!(blanks(text), blanks(&english[key]), "{language}: {key}");
        }
    }
}

#[test]
fn every_parameter_has_a_label_and_a_help_text() {
    let english = words("en");
    for spec in acestep_domain::param::SPECS {
        for part in ["label", "help"] {
            let key = format!("params.{}.{part}", spec.key);
            assert!(english.contains_key(&key), "{key}");
        }
    }
}

#[test]
fn english_is_in_sentences_without_shouting() {
    for (key, text) in words("en") {
        let lower = text.to_lowercase();
        assert!(
            !text.contains('!') && !lower.contains("please") && !lower.contains("sorry"),
            "{key}: {text}"
        );
    }
}

#[test]
fn hebrew_runs_from_right_to_left() {
    use acestep_app::i18n::Locale;
    assert_eq!(Locale::he.direction(), "rtl");
    for locale in [Locale::en, Locale::zh, Locale::ja] {
        assert_eq!(locale.direction(), "ltr");
    }
}
