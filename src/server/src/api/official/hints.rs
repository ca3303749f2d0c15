//! What a description of a song says about its vocals, in so many words.

use acestep_domain::metadata::{LANGUAGES, Language};

/// Names of styles as well, so they say nothing of who sings how.
const STYLES_TOO: [&str; 2] = ["la", "unknown"];

/// Words that say that nobody sings.
const INSTRUMENTAL: [&str; 6] = [
    "instrumental",
    "pure music",
    "no vocal",
    "no vocals",
    "without vocals",
    "solo",
];

/// The language that is named in `description`, if one is.
pub(super) fn language(description: &str) -> Option<Language> {
    let words = words(description);
    let named = |name: &str| words.contains(&format!(" {} ", name.to_lowercase()));
    if named("mandarin") || named("chinese") {
        return Language::parse("zh").ok();
    }
    LANGUAGES
        .iter()
        .filter(|(code, _)| !STYLES_TOO.contains(code))
        .find(|(_, name)| named(name))
        .and_then(|(code, _)| Language::parse(code).ok())
}

/// Whether `description` says that nobody sings.
pub(super) fn is_instrumental(description: &str) -> bool {
    let words = words(description);
    INSTRUMENTAL
        .iter()
        .any(|phrase| words.contains(&format!(" {phrase} ")))
}

/// Words in lower case with one blank round each.
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_instrumentals_are_named_in_words() {
        for (text, code, instrumental) in [
            ("a soft Bengali love song", Some("bn"), false),
            ("Mandarin pop, slow", Some("zh"), false),
            ("latin jazz with a piano solo", None, true),
            ("a polished rock song", None, false),
            ("lofi, no vocals!", None, true),
            ("soloist with choir, in French", Some("fr"), false),
        ] {
            assert_eq!(language(text).map(Language::code), code, "{text}");
            assert_eq!(is_instrumental(text), instrumental, "{text}");
        }
    }
}
