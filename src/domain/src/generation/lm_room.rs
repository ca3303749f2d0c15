//! Words that a language model has no room for, told before anything is run.

use super::{GenerationParams, clamp::is_instrumental};
use crate::{error::UserError, job::JobKind, service::LoadedLm};

/// A loaded language model, as far as its room is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Tokens it reads and writes together.
    pub tokens: usize,
}

impl From<&LoadedLm> for Room {
    fn from(lm: &LoadedLm) -> Self {
        Self {
            name: lm.name.clone(),
            tokens: lm.context_tokens,
        }
    }
}

/// Why the language model would refuse the words of a job of `kind`: they are more tokens than it has
/// room for, however well they are split. `has_codes` says whether it writes audio codes.
///
/// # Errors
/// With the key of the longer part.
pub fn check_room(
    kind: JobKind,
    params: &GenerationParams,
    room: &Room,
    has_codes: bool,
) -> Result<(), UserError> {
    let asked = match kind {
        JobKind::Generate => params.lm_plans() || (params.lm_writes_codes() && has_codes),
        JobKind::Sample | JobKind::Format => true,
        _ => false,
    };
    let caption = fewest_tokens(&params.caption);
    // A sample is made of its description alone, and lyrics that nobody sings are not read.
    let lyrics = if kind == JobKind::Sample || is_instrumental(params) {
        0
    } else {
        fewest_tokens(&params.lyrics)
    };
    let words = caption + lyrics;
    if !asked || words <= room.tokens {
        return Ok(());
    }
    let field = if caption > lyrics {
        "caption"
    } else {
        "lyrics"
    };
    let message = format!(
        "Caption and lyrics are at least {words} tokens, and the language model {} reads and writes {} together.",
        room.name, room.tokens
    );
    Err(UserError::invalid(field, message, "Shorten them.")
        .with("why", "lm_room")
        .with("n", words)
        .with("max", room.tokens)
        .with("name", &room.name))
}

/// No tokenizer of these models joins two runs of letters, or two digits, in one token.
fn fewest_tokens(text: &str) -> usize {
    let mut count = 0;
    let mut in_word = false;
    for letter in text.chars() {
        let is_letter = letter.is_alphabetic();
        count += usize::from(letter.is_numeric() || (is_letter && !in_word));
        in_word = is_letter;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_part_is_blamed_and_only_what_is_read_counts() {
        let room = Room {
            name: "small".to_owned(),
            tokens: 100,
        };
        let field = |kind, caption: usize, lyrics: usize, thinking| {
            let params = GenerationParams {
                caption: "word ".repeat(caption),
                lyrics: "la ".repeat(lyrics),
                thinking,
                use_cot_metas: thinking,
                ..GenerationParams::default()
            };
            let error = check_room(kind, &params, &room, true).err()?;
            assert_eq!(error.figure("max"), Some("100"));
            error.field
        };
        let song = |caption, lyrics| field(JobKind::Generate, caption, lyrics, true);
        assert_eq!(song(60, 40), None);
        assert_eq!(song(61, 40).as_deref(), Some("caption"));
        assert_eq!(song(40, 61).as_deref(), Some("lyrics"));
        assert_eq!(field(JobKind::Generate, 200, 0, false), None);
        assert_eq!(field(JobKind::Sample, 60, 60, false), None);
        let sample = field(JobKind::Sample, 101, 0, false);
        assert_eq!(sample.as_deref(), Some("caption"));
        let format = field(JobKind::Format, 50, 60, false);
        assert_eq!(format.as_deref(), Some("lyrics"));
        let kept = GenerationParams {
            lyrics: "la ".repeat(200),
            instrumental: true,
            ..GenerationParams::default()
        };
        assert_eq!(check_room(JobKind::Generate, &kept, &room, true), Ok(()));
        assert_eq!(field(JobKind::Understand, 200, 0, true), None);
    }
}
