//! Makes the keys of the words in `locales/`: a module a namespace, a constant a text, a type a text with blanks.

use std::{error::Error, fmt::Write as _, fs, path::PathBuf};

#[path = "words.rs"]
mod words;

use words::{LANGUAGES, Text};

#[allow(
    clippy::disallowed_methods,
    reason = "cargo hands its folder over by the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "words.rs", "locales"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let texts = words::read("locales".as_ref())?;
    for (number, language) in LANGUAGES.iter().enumerate() {
        fs::write(
            out.join(format!("words-{language}.txt")),
            words::lines(&texts, number),
        )?;
    }
    let mut source = String::new();
    let mut open: &[String] = &[];
    for (number, text) in texts.iter().enumerate() {
        let (_, modules) = text.path.split_last().ok_or("a text has a key")?;
        let common = open.iter().zip(modules).take_while(|(a, b)| a == b).count();
        source.push_str(&"}\n".repeat(open.len() - common));
        for module in &modules[common..] {
            writeln!(source, "pub mod {module} {{ use crate::wording::*;")?;
        }
        open = modules;
        item(&mut source, number, text)?;
    }
    source.push_str(&"}\n".repeat(open.len()));
    fs::write(out.join("words.rs"), source)?;
    Ok(())
}

/// A text without blanks is its number; one with blanks is a type, so that the compiler asks for each by name.
fn item(source: &mut String, number: usize, text: &Text) -> std::fmt::Result {
    let Text { path, blanks, .. } = text;
    let name = path.last().map_or("", String::as_str);
    if blanks.is_empty() {
        return writeln!(source, "pub const {name}: Word = Word({number});");
    }
    writeln!(source, "pub struct {name}<'a> {{")?;
    for blank in blanks {
        writeln!(source, "pub {blank}: &'a dyn std::fmt::Display,")?;
    }
    let values: Vec<String> = blanks.iter().map(|blank| format!("self.{blank}")).collect();
    writeln!(
        source,
        "}} impl {name}<'_> {{ pub fn fill(self, locale: Locale) -> String {{ Word({number}).fill(locale, &[{}]) }} }}",
        values.join(", ")
    )
}
