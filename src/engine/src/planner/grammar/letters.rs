//! Classes of text tokens by their bytes: what may stand where in a caption and in lyrics.

use std::sync::Arc;

use crate::{
    error::Result,
    planner::{constraint::TokenSet, tokenizer::LmTokenizer},
};

/// Sets of tokens of one tokenizer.
pub struct Letters {
    tokenizer: Arc<LmTokenizer>,
    /// Token of a line break alone.
    pub newline: u32,
    /// Ends the model's turn.
    pub turn_end: u32,
    /// Inside a line: everything a caption may hold, with a line break at most at the end.
    pub inside: TokenSet,
    /// The same without tokens of spaces alone.
    pub inside_no_space: TokenSet,
    /// At the start of the caption: a space and what follows it.
    pub first: TokenSet,
    /// Continues after a line break: begins with a space and says something.
    pub indented: TokenSet,
    /// Says something: no line break before the first letter.
    pub speaking: TokenSet,
    /// May stand where a letter is cut in the middle of its bytes: begins with continuation bytes.
    pub continuing: Vec<u32>,
    /// All text, with the end of the turn: lyrics.
    pub lyrics: TokenSet,
    /// The same without tokens of white space alone, after an empty line.
    pub lyrics_speaking: TokenSet,
}

/// Whether a piece of bytes is text: no control character but a line break at the very end, no
/// backtick.
fn is_caption_text(bytes: &[u8]) -> bool {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    !bytes.is_empty()
        && body
            .iter()
            .all(|byte| *byte >= b' ' && *byte != b'`' && *byte != 0x7F)
}

/// Bytes still missing of a letter that `bytes` begins, `None` where they are no text.
/// `bytes` begin at the start of a letter.
pub fn open_letter(bytes: &[u8]) -> Option<usize> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Some(0),
        Err(error) if error.error_len().is_none() => {
            let tail = &bytes[error.valid_up_to()..];
            let length = match tail.first() {
                Some(0xC2..=0xDF) => 2,
                Some(0xE0..=0xEF) => 3,
                _ => 4,
            };
            Some(length - tail.len())
        }
        Err(_) => None,
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

impl Letters {
    /// Sorts the tokens.
    ///
    /// # Errors
    /// The tokenizer has no token for a line break.
    pub fn new(tokenizer: &Arc<LmTokenizer>) -> Result<Self> {
        let vocabulary = tokenizer.vocabulary();
        let empty = || TokenSet::new(vocabulary);
        let control = tokenizer.control();
        let mut letters = Self {
            tokenizer: Arc::clone(tokenizer),
            newline: tokenizer.single("\n")?,
            turn_end: control.turn_end,
            inside: empty(),
            inside_no_space: empty(),
            first: empty(),
            indented: empty(),
            speaking: empty(),
            continuing: Vec::new(),
            lyrics: empty(),
            lyrics_speaking: empty(),
        };
        letters.lyrics.insert(control.turn_end);
        letters.lyrics_speaking.insert(control.turn_end);
        for id in 0..vocabulary as u32 {
            let bytes = tokenizer.bytes(id);
            if bytes.is_empty() {
                continue;
            }
            if !bytes.contains(&0) {
                letters.lyrics.insert(id);
                if !is_blank(bytes) {
                    letters.lyrics_speaking.insert(id);
                }
            }
            if !is_caption_text(bytes) {
                continue;
            }
            if (0x80..0xC0).contains(&bytes[0]) {
                letters.continuing.push(id);
                continue;
            }
            if open_letter(bytes).is_none() {
                continue;
            }
            letters.inside.insert(id);
            let spaces = bytes.iter().all(|byte| *byte == b' ');
            if !spaces {
                letters.inside_no_space.insert(id);
            }
            if !is_blank(bytes) {
                letters.speaking.insert(id);
            }
            let says = spaces || !is_blank(bytes);
            if bytes[0] == b' ' && says {
                letters.indented.insert(id);
                if bytes.get(1) != Some(&b' ') {
                    letters.first.insert(id);
                }
            }
        }
        Ok(letters)
    }

    /// Bytes of a token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.tokenizer.bytes(id)
    }
}
