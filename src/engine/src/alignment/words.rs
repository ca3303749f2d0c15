//! The tokens of the lyrics and what they spell: which of the prompt's are the lyrics themselves,
//! which are section tags, which make up a line.

use std::ops::Range;

use crate::{error::Result, text::tokenizer::TextTokenizer};

/// The lyrics as the lyric encoder reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What each token adds to the text; nothing where it only begins a letter.
    texts: Vec<String>,
    /// Its place among the tokens of the prompt.
    place: Range<usize>,
}

/// A line of the lyrics that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it says, without spaces round it.
    pub text: String,
    /// Its tokens among those of the lyrics.
    pub tokens: Range<usize>,
}

impl Words {
    /// The lyrics among `ids`, the tokens of a prompt that begins with `heading`: what follows it up
    /// to the end token. None where nothing is left of them.
    ///
    /// # Errors
    /// The tokenizer refuses the heading.
    pub fn find(tokenizer: &TextTokenizer, heading: &str, ids: &[u32]) -> Result<Option<Self>> {
        let start = tokenizer.letters(heading)?.len();
        let end = ids.iter().position(|id| *id == tokenizer.end());
        let place = start..end.unwrap_or(ids.len());
        if place.is_empty() {
            return Ok(None);
        }
        let texts = tokenizer.spelt(&ids[place.clone()])?;
        Ok(Some(Self { texts, place }))
    }

    #[cfg(test)]
    pub(super) fn spelt(texts: &[&str]) -> Self {
        Self {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            place: 0..texts.len(),
        }
    }

    /// Where they stand among the tokens of the prompt, and so among those of the condition.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Of each token whether it is sung: not those from one with `[` to one with `]`.
    pub fn sung(&self) -> Vec<bool> {
        let mut inside = false;
        self.texts
            .iter()
            .map(|text| {
                inside |= text.contains('[');
                let tag = inside;
                inside &= !text.contains(']');
                !tag
            })
            .collect()
    }

    /// The lines, without blank ones. A token with a line break in it ends a line.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut start = 0;
        for (index, text) in self.texts.iter().enumerate() {
            let end = index + 1;
            if text.contains('\n') || end == self.texts.len() {
                let text = self.texts[start..end].concat().trim().to_owned();
                if !text.is_empty() {
                    let tokens = start..end;
                    lines.push(Line { text, tokens });
                }
                start = end;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_not_sung_and_blank_lines_are_no_lines() {
        let words = Words::spelt(&["[", "Verse", " 1", "]\n", "La", " la", "\n\n", "\n", " Oh "]);
        assert_eq!(
            words.sung(),
            [false, false, false, false, true, true, true, true, true]
        );
        let lines = words.lines();
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.text.as_str(), line.tokens.clone()))
            .collect();
        assert_eq!(found, [("[Verse 1]", 0..4), ("La la", 4..7), ("Oh", 8..9)]);
    }
}
