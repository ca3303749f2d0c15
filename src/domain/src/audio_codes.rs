//! Audio codes: a song at five numbers a second, as text and back.

use crate::error::UserError;

/// Codes of a second of sound.
pub const PER_SECOND: f64 = 5.0;

/// Codes of the codebook, `0..=63999`; the vocabulary's further names stand for none.
pub const COUNT: u32 = 64_000;

/// Reads codes from text: `<|audio_code_17|>` one after another, or numbers separated by commas
/// or spaces, in brackets or not. Blank text holds none.
///
/// # Errors
/// Text that holds something else, or a number that is no code; the field is `audio_codes`.
pub fn parse(text: &str) -> Result<Vec<u32>, UserError> {
    let named = text.contains("<|");
    let mut codes = Vec::new();
    let mut rest = text.trim();
    if !named {
        rest = rest.trim_start_matches('[').trim_end_matches(']');
    }
    while !rest.is_empty() {
        let (word, after) = if named {
            let Some((word, after)) = rest
                .strip_prefix("<|audio_code_")
                .and_then(|r| r.split_once("|>"))
            else {
                return Err(wrong(codes.len(), rest));
            };
            (word, after.trim_start())
        } else {
            let end = rest
                .find(|c: char| c == ',' || c.is_whitespace())
                .unwrap_or(rest.len());
            let after = rest[end..].trim_start();
            let after = after.strip_prefix(',').unwrap_or(after).trim_start();
            (&rest[..end], after)
        };
        match word.parse::<u32>() {
            Ok(code) if code < COUNT => codes.push(code),
            _ => return Err(wrong(codes.len(), word)),
        }
        rest = after;
    }
    Ok(codes)
}

/// The text that the original reads and writes.
pub fn to_text(codes: &[u32]) -> String {
    let mut text = String::new();
    for code in codes {
        text.push_str("<|audio_code_");
        text.push_str(&code.to_string());
        text.push_str("|>");
    }
    text
}

/// Seconds of sound.
pub fn secs(codes: usize) -> f64 {
    codes as f64 / PER_SECOND
}

fn wrong(before: usize, found: &str) -> UserError {
    let shown: String = found.chars().take(40).collect();
    UserError::invalid(
        "audio_codes",
        format!("Audio codes: after {before} codes comes {shown:?}, which is none."),
        "Give <|audio_code_N|> or numbers from 0 to 63999, separated by commas.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_gives_the_same_codes() {
        for text in [
            "<|audio_code_1|><|audio_code_63999|><|audio_code_0|>",
            " <|audio_code_1|>\n<|audio_code_63999|> <|audio_code_0|> ",
            "1,63999,0",
            "[1, 63999, 0]",
            "1 63999\n0",
        ] {
            assert_eq!(parse(text).unwrap(), [1, 63_999, 0], "{text}");
        }
        assert_eq!(parse(" 1, 2,\n3 ").unwrap(), [1, 2, 3]);
        for none in ["", " \n"] {
            assert_eq!(parse(none).unwrap(), [0u32; 0]);
        }
        assert_eq!(parse(&to_text(&[5, 7])).unwrap(), [5, 7]);
    }

    #[test]
    fn what_holds_no_code_at_all_is_refused() {
        for wrong in [
            "<|audio_code_64000|>",
            "<|audio_code_99999999999999999999|>",
            "one, two",
            "-1",
            "<|audio_code_",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_code_is_named_with_its_place() {
        for text in [
            "1,64000",
            "1,-2",
            "1,x",
            "1,,2",
            "<|audio_code_1|>la",
            "<|audio_code_1|><|audio_code_64000|>",
            "<|audio_code_1|><|audio_code_9",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("audio_codes"));
            assert!(error.message.contains("after 1 codes"), "{error}");
        }
    }
}
