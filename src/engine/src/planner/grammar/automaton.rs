//! One sequence's way through its grammar.

use std::{ops::Range, sync::Arc};

use super::{
    letters::{Letters, open_letter},
    tree::{Node, Tree, Way},
};
use crate::{
    error::{Error, Result},
    planner::constraint::{Constraint, Next, TokenSet},
};

/// Tokens a caption may have before its line is ended for it.
pub const MAX_CAPTION_TOKENS: usize = 512;

/// A piece of the grammar.
#[derive(Debug, Clone)]
pub enum Part {
    /// Exactly these tokens.
    Literal(Vec<u32>),
    /// One of the tree's values.
    Value {
        /// The field's name.
        field: &'static str,
        /// Its values.
        tree: Arc<Tree>,
        /// The tokens of the one that was given, closed; empty when the model chooses.
        given: Vec<u32>,
    },
    /// A text of one or more lines; a literal follows it.
    Caption,
    /// Text until the model ends its turn.
    Lyrics,
    /// Codes.
    Codes {
        /// Ids of the codebook.
        ids: Range<u32>,
        /// How many; without it the model ends its turn.
        target: Option<usize>,
    },
}

/// Place inside a caption.
#[derive(Debug, Clone, Default)]
struct Caption {
    tokens: usize,
    /// The line has a letter.
    spoken: bool,
    /// The last token was spaces alone.
    spaced: bool,
    /// Just after a line break.
    at_line_start: bool,
    /// Bytes of a letter that is not complete.
    open: Vec<u8>,
}

/// Place inside the current part.
#[derive(Debug, Clone)]
enum Place {
    Literal(usize),
    Value(Node),
    /// Tokens of a given value so far.
    Given(usize),
    Caption(Caption),
    /// Line breaks at the end of the lyrics so far.
    Lyrics(usize),
    Codes(usize),
}

/// One sequence's state.
#[derive(Clone)]
pub struct Automaton {
    parts: Vec<Part>,
    letters: Arc<Letters>,
    part: usize,
    place: Place,
    allowed: TokenSet,
    codes: Option<TokenSet>,
    /// The part that has been asked about.
    asked: Option<usize>,
}

impl Automaton {
    pub(super) fn new(parts: Vec<Part>, letters: Arc<Letters>) -> Self {
        let vocabulary = letters.inside.vocabulary();
        let codes = parts.iter().find_map(|part| match part {
            Part::Codes { ids, target } => {
                let mut set = TokenSet::new(vocabulary);
                set.extend(ids.clone());
                if target.is_none() {
                    set.insert(letters.turn_end);
                }
                Some(set)
            }
            _ => None,
        });
        let mut automaton = Self {
            parts,
            allowed: TokenSet::new(vocabulary),
            letters,
            part: 0,
            place: Place::Literal(0),
            codes,
            asked: None,
        };
        automaton.enter(0);
        automaton
    }

    fn enter(&mut self, part: usize) {
        self.part = part;
        self.place = match self.parts.get(part) {
            Some(Part::Literal(_)) | None => Place::Literal(0),
            Some(Part::Value { given, .. }) if !given.is_empty() => Place::Given(0),
            Some(Part::Value { .. }) => Place::Value(0),
            Some(Part::Caption) => Place::Caption(Caption::default()),
            Some(Part::Lyrics) => Place::Lyrics(0),
            Some(Part::Codes { .. }) => Place::Codes(0),
        };
    }

    /// The first token of the literal after the current part.
    fn next_literal(&self) -> Option<u32> {
        match self.parts.get(self.part + 1) {
            Some(Part::Literal(ids)) => ids.first().copied(),
            _ => None,
        }
    }

    /// Fills `allowed` with what may follow in a caption.
    fn caption_set(&mut self, caption: &Caption) {
        let letters = Arc::clone(&self.letters);
        let full = caption.tokens >= MAX_CAPTION_TOKENS;
        self.allowed.clear();
        if !caption.open.is_empty() {
            let mut bytes = caption.open.clone();
            for id in &letters.continuing {
                bytes.truncate(caption.open.len());
                bytes.extend_from_slice(letters.bytes(*id));
                let left = open_letter(&bytes);
                // Nothing new is begun once the caption is full.
                let short = letters
                    .bytes(*id)
                    .iter()
                    .all(|byte| (0x80..0xC0).contains(byte));
                if left.is_some() && (!full || short) {
                    self.allowed.insert(*id);
                }
            }
            return;
        }
        match (full, caption.at_line_start, caption.spoken) {
            (true, true, _) => {}
            (true, false, true) => self.allowed.insert(letters.newline),
            (_, _, false) if caption.spaced => self.allowed.copy_from(&letters.speaking),
            (true, false, false) => self.allowed.copy_from(&letters.speaking),
            (false, true, _) => self.allowed.copy_from(&letters.indented),
            (false, false, false) => self.allowed.copy_from(&letters.first),
            (false, false, true) if caption.spaced => {
                self.allowed.copy_from(&letters.inside_no_space);
            }
            (false, false, true) => self.allowed.copy_from(&letters.inside),
        }
        if caption.at_line_start
            && let Some(id) = self.next_literal()
        {
            self.allowed.insert(id);
        }
    }

    fn refuse<T>(&self, token: u32) -> Result<T> {
        Err(Error::LanguageModel {
            field: self.field(),
            reason: format!("token {token} is not allowed here"),
        })
    }

    /// The caption after `token`, or `None` when the token begins the next field's name.
    fn caption_after(&mut self, mut caption: Caption, token: u32) -> Result<Option<Caption>> {
        self.caption_set(&caption);
        if !self.allowed.contains(token) {
            return self.refuse(token);
        }
        if caption.at_line_start && self.next_literal() == Some(token) {
            return Ok(None);
        }
        let bytes = self.letters.bytes(token);
        caption.tokens += 1;
        caption.open.extend_from_slice(bytes);
        let line_ends = bytes.last() == Some(&b'\n');
        caption.spaced = bytes.iter().all(|byte| *byte == b' ');
        caption.at_line_start = line_ends;
        caption.spoken =
            !line_ends && (caption.spoken || bytes.iter().any(|byte| !byte.is_ascii_whitespace()));
        // Only the tail that is not a whole letter yet is kept.
        let whole = match std::str::from_utf8(&caption.open) {
            Ok(_) => caption.open.len(),
            Err(error) => error.valid_up_to(),
        };
        caption.open.drain(..whole);
        Ok(Some(caption))
    }
}

impl Constraint for Automaton {
    fn next(&mut self) -> Next<'_> {
        if let Place::Caption(caption) = &self.place {
            let caption = caption.clone();
            self.caption_set(&caption);
        }
        let Some(part) = self.parts.get(self.part) else {
            return Next::Done;
        };
        match (part, &self.place) {
            (Part::Literal(ids), Place::Literal(at)) => Next::Forced(ids[*at..].to_vec()),
            (Part::Value { given, .. }, Place::Given(at)) => Next::Forced(given[*at..].to_vec()),
            (Part::Value { field, tree, .. }, Place::Value(node)) => match tree.only(*node) {
                Some(id) => Next::Forced(vec![id]),
                None => Next::Choice {
                    // Detection stays stable at high temperatures, as in the original.
                    greedy: *field == "language",
                    allowed: tree.allowed(*node),
                },
            },
            (Part::Caption, Place::Caption(caption)) => {
                if caption.tokens >= MAX_CAPTION_TOKENS && self.allowed.len() == 1 {
                    return Next::Forced(self.allowed.iter().collect());
                }
                Next::Choice {
                    allowed: &self.allowed,
                    greedy: false,
                }
            }
            (Part::Lyrics, Place::Lyrics(breaks)) => Next::Choice {
                allowed: if *breaks >= 2 {
                    &self.letters.lyrics_speaking
                } else {
                    &self.letters.lyrics
                },
                greedy: false,
            },
            (Part::Codes { target, .. }, Place::Codes(count)) => match &self.codes {
                Some(allowed) if target.is_none_or(|target| *count < target) => Next::Choice {
                    allowed,
                    greedy: false,
                },
                _ => Next::Done,
            },
            _ => Next::Done,
        }
    }

    fn advance(&mut self, token: u32) -> Result<()> {
        let Some(part) = self.parts.get(self.part) else {
            return self.refuse(token);
        };
        match (part, &self.place) {
            (Part::Literal(ids), Place::Literal(at)) => {
                let at = *at;
                if ids.get(at) != Some(&token) {
                    return self.refuse(token);
                }
                if at + 1 == ids.len() {
                    self.enter(self.part + 1);
                } else {
                    self.place = Place::Literal(at + 1);
                }
            }
            (Part::Value { given, .. }, Place::Given(at)) => {
                let at = *at;
                if given.get(at) != Some(&token) {
                    return self.refuse(token);
                }
                if at + 1 == given.len() {
                    self.enter(self.part + 1);
                } else {
                    self.place = Place::Given(at + 1);
                }
            }
            (Part::Value { tree, .. }, Place::Value(node)) => match tree.step(*node, token) {
                Some(Way::On(node)) => self.place = Place::Value(node),
                Some(Way::Closed) => self.enter(self.part + 1),
                None => return self.refuse(token),
            },
            (Part::Caption, Place::Caption(caption)) => {
                let caption = caption.clone();
                if let Some(caption) = self.caption_after(caption, token)? {
                    self.place = Place::Caption(caption);
                } else {
                    self.enter(self.part + 1);
                    return self.advance(token);
                }
            }
            (Part::Lyrics, Place::Lyrics(breaks)) => {
                let allowed = if *breaks >= 2 {
                    &self.letters.lyrics_speaking
                } else {
                    &self.letters.lyrics
                };
                if !allowed.contains(token) {
                    return self.refuse(token);
                }
                if token == self.letters.turn_end {
                    self.enter(self.part + 1);
                    return Ok(());
                }
                let bytes = self.letters.bytes(token);
                let trailing = bytes
                    .iter()
                    .rev()
                    .take_while(|byte| byte.is_ascii_whitespace());
                let ends = trailing.clone().filter(|byte| **byte == b'\n').count();
                let blank = trailing.count() == bytes.len();
                self.place = Place::Lyrics(if blank { breaks + ends } else { ends });
            }
            (Part::Codes { ids, target }, Place::Codes(count)) => {
                let full = target.is_some_and(|target| *count >= target);
                if token == self.letters.turn_end && target.is_none() {
                    self.enter(self.part + 1);
                } else if ids.contains(&token) && !full {
                    self.place = Place::Codes(count + 1);
                } else {
                    return self.refuse(token);
                }
            }
            _ => return self.refuse(token),
        }
        Ok(())
    }

    fn aside(&mut self) -> Option<Box<dyn Constraint>> {
        let Some(Part::Value { field, tree, .. }) = self.parts.get(self.part) else {
            return None;
        };
        if !matches!(self.place, Place::Given(0)) || self.asked == Some(self.part) {
            return None;
        }
        let free = Part::Value {
            field,
            tree: Arc::clone(tree),
            given: Vec::new(),
        };
        let aside = Self::new(vec![free], Arc::clone(&self.letters));
        self.asked = Some(self.part);
        Some(Box::new(aside))
    }

    fn field(&self) -> &'static str {
        match self.parts.get(self.part) {
            Some(Part::Value { field, .. }) => field,
            Some(Part::Caption) => "caption",
            Some(Part::Lyrics) => "lyrics",
            Some(Part::Codes { .. }) => "codes",
            Some(Part::Literal(_)) => "plan",
            None => "end",
        }
    }
}
