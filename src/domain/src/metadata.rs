//! Musical values as people and models write them: tempo, key, signature, language.
//! Alias tables: the vocabulary of the request (51 languages, 70 key names, four signatures).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::number::decimal;

/// Why a written value was not understood; completes the sentence "… is not …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct NotUnderstood {
    /// What was written.
    pub value: String,
    /// What is allowed.
    pub expected: &'static str,
}

fn not_understood<T>(value: &str, expected: &'static str) -> Result<T, NotUnderstood> {
    Err(NotUnderstood {
        value: value.to_owned(),
        expected,
    })
}

/// True for the spellings that mean "the model decides".
pub fn is_auto(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["n/a", "na", "auto", "none", "null"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

/// Beats per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bpm(pub u32);

impl Bpm {
    /// Slowest tempo the models know.
    pub const MIN: u32 = 30;
    /// Fastest tempo the models know.
    pub const MAX: u32 = 300;

    /// Reads `120`, `120.4`, `120 BPM`, `bpm: 120`, `♩ = 120`.
    /// The value may lie outside the range; clamping is a later step with a note.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        const EXPECTED: &str = "a tempo like 120 or \"120 BPM\"";
        let lower = text.trim().to_ascii_lowercase();
        let mut rest = lower.as_str();
        for prefix in ["bpm:", "bpm", "tempo:", "tempo", "♩", "="] {
            rest = rest
                .trim_start()
                .strip_prefix(prefix)
                .unwrap_or(rest.trim_start());
        }
        for suffix in ["bpm", "beats per minute"] {
            rest = rest
                .trim_end()
                .strip_suffix(suffix)
                .unwrap_or(rest.trim_end());
        }
        match decimal(rest.trim()) {
            Some(value) if (1.0..1e6).contains(&value) => Ok(Self(value.round() as u32)),
            _ => not_understood(text, EXPECTED),
        }
    }
}

impl fmt::Display for Bpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key and its mode, stored as `F# minor` (ASCII signs, lower-case mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyScale {
    note: char,
    accidental: Accidental,
    minor: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Accidental {
    Natural,
    Sharp,
    Flat,
}

impl KeyScale {
    /// The 24 names a menu offers, one per sound.
    pub const MENU: [&'static str; 24] = [
        "C major", "C minor", "C# major", "C# minor", "D major", "D minor", "Eb major", "Eb minor",
        "E major", "E minor", "F major", "F minor", "F# major", "F# minor", "G major", "G minor",
        "Ab major", "Ab minor", "A major", "A minor", "Bb major", "Bb minor", "B major", "B minor",
    ];

    /// Reads `Am`, `C#m`, `F sharp minor`, `Bb maj`, `B♭ minor`, `c MAJOR`, `D`.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        const EXPECTED: &str = "a key like \"C major\", \"F# minor\" or \"Am\"";
        let folded = text
            .trim()
            .replace('♯', "#")
            .replace('♭', "b")
            .replace(['-', '_'], " ");
        let mut chars = folded.chars();
        // Folding turns a leading flat sign into the note B; only a letter may lead.
        if !text.trim().starts_with(|c: char| c.is_ascii_alphabetic()) {
            return not_understood(text, EXPECTED);
        }
        let Some(note @ 'A'..='G') = chars.next().map(|c| c.to_ascii_uppercase()) else {
            return not_understood(text, EXPECTED);
        };
        let rest = chars.as_str().trim_start();
        let lower = rest.to_ascii_lowercase();
        let mut accidental = Accidental::Natural;
        let mut tail = rest;
        for (word, meaning) in [
            ("sharp", Accidental::Sharp),
            ("flat", Accidental::Flat),
            ("#", Accidental::Sharp),
            ("b", Accidental::Flat),
        ] {
            if lower.starts_with(word) {
                accidental = meaning;
                tail = rest.get(word.len()..).unwrap_or_default();
                break;
            }
        }
        let tail = tail.trim();
        // "M" alone is major by convention and "m" minor, so case matters for one letter only.
        let minor = match tail {
            "m" => true,
            "M" | "" => false,
            _ => match tail.to_ascii_lowercase().as_str() {
                "minor" | "min" | "mi" | "aeolian" | "moll" => true,
                "major" | "maj" | "ma" | "ionian" | "dur" => false,
                _ => return not_understood(text, EXPECTED),
            },
        };
        Ok(Self {
            note,
            accidental,
            minor,
        })
    }

    /// Semitones of the tonic above C, 0 to 11.
    pub fn tonic(self) -> u8 {
        let natural = match self.note {
            'C' => 0,
            'D' => 2,
            'E' => 4,
            'F' => 5,
            'G' => 7,
            'A' => 9,
            _ => 11,
        };
        match self.accidental {
            Accidental::Natural => natural,
            Accidental::Sharp => (natural + 1) % 12,
            Accidental::Flat => (natural + 11) % 12,
        }
    }

    /// True for minor.
    pub fn is_minor(self) -> bool {
        self.minor
    }
}

impl fmt::Display for KeyScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accidental = match self.accidental {
            Accidental::Natural => "",
            Accidental::Sharp => "#",
            Accidental::Flat => "b",
        };
        let mode = if self.minor { "minor" } else { "major" };
        write!(f, "{}{accidental} {mode}", self.note)
    }
}

/// Beats of a bar: 2/4, 3/4, 4/4 or 6/8, stored by its first figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeSignature(u8);

impl TimeSignature {
    /// Every signature the models know.
    pub const ALL: [Self; 4] = [Self(2), Self(3), Self(4), Self(6)];

    /// Reads `4`, `4/4`, `6/8`, `3/4 time`.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let lower = text.trim().to_ascii_lowercase();
        let body = lower.strip_suffix("time").unwrap_or(&lower);
        let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        match compact.as_str() {
            "2" | "2/4" => Ok(Self(2)),
            "3" | "3/4" => Ok(Self(3)),
            "4" | "4/4" | "c" => Ok(Self(4)),
            "6" | "6/8" => Ok(Self(6)),
            _ => not_understood(text, "one of 2/4, 3/4, 4/4, 6/8 (or 2, 3, 4, 6)"),
        }
    }

    /// The first figure.
    pub fn beats(self) -> u8 {
        self.0
    }

    /// As musicians write it.
    pub fn label(self) -> &'static str {
        match self.0 {
            2 => "2/4",
            3 => "3/4",
            6 => "6/8",
            _ => "4/4",
        }
    }
}

impl fmt::Display for TimeSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Language of the vocals: one of [`LANGUAGES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language(u8);

/// Codes and English names; `unknown` is last.
pub const LANGUAGES: [(&str, &str); 51] = [
    ("ar", "Arabic"),
    ("az", "Azerbaijani"),
    ("bg", "Bulgarian"),
    ("bn", "Bengali"),
    ("ca", "Catalan"),
    ("cs", "Czech"),
    ("da", "Danish"),
    ("de", "German"),
    ("el", "Greek"),
    ("en", "English"),
    ("es", "Spanish"),
    ("fa", "Persian"),
    ("fi", "Finnish"),
    ("fr", "French"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("hr", "Croatian"),
    ("ht", "Haitian Creole"),
    ("hu", "Hungarian"),
    ("id", "Indonesian"),
    ("is", "Icelandic"),
    ("it", "Italian"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
    ("la", "Latin"),
    ("lt", "Lithuanian"),
    ("ms", "Malay"),
    ("ne", "Nepali"),
    ("nl", "Dutch"),
    ("no", "Norwegian"),
    ("pa", "Punjabi"),
    ("pl", "Polish"),
    ("pt", "Portuguese"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("sa", "Sanskrit"),
    ("sk", "Slovak"),
    ("sr", "Serbian"),
    ("sv", "Swedish"),
    ("sw", "Swahili"),
    ("ta", "Tamil"),
    ("te", "Telugu"),
    ("th", "Thai"),
    ("tl", "Tagalog"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("ur", "Urdu"),
    ("vi", "Vietnamese"),
    ("yue", "Cantonese"),
    ("zh", "Chinese (Mandarin)"),
    ("unknown", "Not determined"),
];

impl Language {
    /// Not determined, or instrumental.
    pub const UNKNOWN: Self = Self(LANGUAGES.len() as u8 - 1);

    /// Reads a code or an English name, any case; blank means unknown.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let text = text.trim();
        if is_auto(text) {
            return Ok(Self::UNKNOWN);
        }
        LANGUAGES
            .iter()
            .position(|(code, name)| {
                code.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text)
            })
            .map_or_else(
                || not_understood(text, "a language code like en, zh, ja or unknown"),
                |index| Ok(Self(index as u8)),
            )
    }

    /// The code the models read.
    pub fn code(self) -> &'static str {
        LANGUAGES[self.0 as usize].0
    }

    /// Its English name.
    pub fn name(self) -> &'static str {
        LANGUAGES[self.0 as usize].1
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

macro_rules! text_on_the_wire {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

text_on_the_wire!(KeyScale);
text_on_the_wire!(TimeSignature);
text_on_the_wire!(Language);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_every_spelling_people_use() {
        for (written, stored) in [
            ("Am", "A minor"),
            ("C#m", "C# minor"),
            ("F sharp minor", "F# minor"),
            ("Bb maj", "Bb major"),
            ("B♭ minor", "Bb minor"),
            ("f♯ MAJOR", "F# major"),
            ("b minor", "B minor"),
            ("bb minor", "Bb minor"),
            ("D", "D major"),
            ("e-flat major", "Eb major"),
            ("CM", "C major"),
        ] {
            assert_eq!(
                KeyScale::parse(written).unwrap().to_string(),
                stored,
                "{written}"
            );
        }
        for junk in [
            "",
            "H major",
            "C dorian",
            "major",
            "♭ minor",
            "A mixolydian",
        ] {
            assert!(KeyScale::parse(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn all_70_legal_keys_are_read() {
        let mut count = 0;
        for note in "ABCDEFG".chars() {
            for accidental in ["", "#", "b", "♯", "♭"] {
                for mode in ["major", "minor"] {
                    KeyScale::parse(&format!("{note}{accidental} {mode}")).unwrap();
                    count += 1;
                }
            }
        }
        assert_eq!(count, 70);
        let sounds: std::collections::HashSet<_> = KeyScale::MENU
            .iter()
            .map(|name| {
                KeyScale::parse(name)
                    .map(|key| (key.tonic(), key.is_minor()))
                    .unwrap()
            })
            .collect();
        assert_eq!(sounds.len(), 24);
    }

    #[test]
    fn tempo_with_and_without_its_unit() {
        for (written, bpm) in [
            ("120 BPM", 120),
            ("92", 92),
            ("bpm: 75", 75),
            ("128.6bpm", 129),
            ("♩ = 60", 60),
        ] {
            assert_eq!(Bpm::parse(written).unwrap().0, bpm, "{written}");
        }
        for junk in ["fast", "-3", "NaN", "inf", "", "1e9"] {
            assert!(Bpm::parse(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn signatures_and_languages() {
        for (written, beats) in [
            ("4/4", 4),
            ("6/8", 6),
            (" 3 / 4 ", 3),
            ("2", 2),
            ("4/4 time", 4),
        ] {
            assert_eq!(
                TimeSignature::parse(written).unwrap().beats(),
                beats,
                "{written}"
            );
        }
        assert!(TimeSignature::parse("5/4").is_err());
        assert_eq!(Language::parse("EN").unwrap().code(), "en");
        assert_eq!(Language::parse("japanese").unwrap().code(), "ja");
        assert_eq!(Language::parse("").unwrap(), Language::UNKNOWN);
        assert!(Language::parse("klingon").is_err());
        assert_eq!(Language::UNKNOWN.code(), "unknown");
    }
}
