//! What an answer may look like, token by token.
//!
//! ```text
//! <think>\nbpm: N\ncaption: TEXT\nduration: N\nkeyscale: K\nlanguage: L\ntimesignature: T\n</think>
//! ```
//!
//! then nothing, lyrics, or codes. Fields come in this order, none can be skipped or repeated, a
//! value of the user's is written as it is, and every other value is one of its set. Literals are
//! canonical token runs, so the model sees the boundaries it was trained on.

pub mod automaton;
pub mod letters;
pub mod tree;

use std::sync::Arc;

use acestep_domain::{
    audio_codes,
    metadata::{Bpm, KeyScale, LANGUAGES, Language, TimeSignature},
};

use self::{
    automaton::{Automaton, Part},
    letters::Letters,
    tree::Tree,
};
use super::tokenizer::LmTokenizer;
use crate::error::Result;

/// Shortest song a plan may ask for, in seconds.
pub const MIN_DURATION_SECS: u32 = 10;

/// What the thinking writes: values given are written as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields {
    /// Tempo.
    pub bpm: Option<Bpm>,
    /// A caption is written.
    pub caption: bool,
    /// Length in whole seconds.
    pub duration_secs: Option<u32>,
    /// Key.
    pub keyscale: Option<KeyScale>,
    /// The language is written.
    pub language_field: bool,
    /// Language of the vocals.
    pub language: Option<Language>,
    /// Beats of a bar.
    pub timesignature: Option<TimeSignature>,
    /// Longest song the tier allows, in seconds.
    pub max_duration_secs: u32,
}

/// What follows the thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Stop,
    /// Lyrics, until the model ends its turn.
    Lyrics,
}

/// Tables of one tokenizer, made once and shared by all sequences.
pub struct Grammar {
    tokenizer: Arc<LmTokenizer>,
    letters: Arc<Letters>,
    bpm: Arc<Tree>,
    keyscale: Arc<Tree>,
    language: Arc<Tree>,
    timesignature: Arc<Tree>,
}

impl Grammar {
    /// Makes the tables.
    ///
    /// # Errors
    /// The tokenizer has no token for a line break, or spells values in a way that depends on what
    /// stands before them.
    pub fn new(tokenizer: Arc<LmTokenizer>) -> Result<Self> {
        let keys = ['A', 'B', 'C', 'D', 'E', 'F', 'G']
            .into_iter()
            .flat_map(|note| {
                ["", "#", "b", "♯", "♭"]
                    .into_iter()
                    .flat_map(move |accidental| {
                        ["major", "minor"].map(|mode| format!("{note}{accidental} {mode}"))
                    })
            });
        let languages = LANGUAGES.iter().map(|(code, _)| (*code).to_owned());
        Ok(Self {
            letters: Arc::new(Letters::new(&tokenizer)?),
            bpm: Arc::new(Tree::new(
                &tokenizer,
                "bpm",
                (Bpm::MIN..=Bpm::MAX).map(|bpm| bpm.to_string()),
            )?),
            keyscale: Arc::new(Tree::new(&tokenizer, "keyscale", keys)?),
            language: Arc::new(Tree::new(&tokenizer, "language", languages)?),
            timesignature: Arc::new(Tree::new(
                &tokenizer,
                "timesignature",
                TimeSignature::ALL
                    .iter()
                    .map(|time| time.beats().to_string()),
            )?),
            tokenizer,
        })
    }

    /// The tokenizer it was made for.
    pub fn tokenizer(&self) -> &Arc<LmTokenizer> {
        &self.tokenizer
    }

    /// The grammar of a plan.
    ///
    /// # Errors
    /// The tokenizer spells lengths in a way that depends on what stands before them.
    pub fn thinking(&self, fields: &Fields, after: After) -> Result<Automaton> {
        let control = self.tokenizer.control();
        let mut parts = Builder::new(&self.tokenizer);
        parts.control(control.think)?;
        parts.text("\n");
        parts.value("bpm", fields.bpm.map(|bpm| bpm.to_string()), &self.bpm)?;
        if fields.caption {
            parts.text("caption:");
            parts.push(Part::Caption)?;
        }
        let longest = fields.max_duration_secs.max(MIN_DURATION_SECS);
        let lengths = (MIN_DURATION_SECS..=longest).map(|secs| secs.to_string());
        let tree = Arc::new(Tree::new(&self.tokenizer, "duration", lengths)?);
        let secs = fields
            .duration_secs
            .map(|secs| secs.clamp(MIN_DURATION_SECS, longest).to_string());
        parts.value("duration", secs, &tree)?;
        parts.value(
            "keyscale",
            fields.keyscale.map(|key| key.to_string()),
            &self.keyscale,
        )?;
        if fields.language_field {
            let language = fields
                .language
                .filter(|language| *language != Language::UNKNOWN);
            parts.value(
                "language",
                language.map(|language| language.code().to_owned()),
                &self.language,
            )?;
        }
        parts.value(
            "timesignature",
            fields.timesignature.map(|time| time.beats().to_string()),
            &self.timesignature,
        )?;
        parts.control(control.think_end)?;
        if after == After::Lyrics {
            parts.push(Part::Lyrics)?;
        }
        Ok(Automaton::new(parts.finish()?, Arc::clone(&self.letters)))
    }

    /// The grammar of codes: exactly `target` of them, or as many as the model likes.
    ///
    /// # Errors
    /// The tokenizer has not the whole codebook.
    pub fn codes(&self, target: Option<usize>) -> Result<Automaton> {
        let ids = self.tokenizer.code_ids()?;
        Ok(Automaton::new(
            vec![Part::Codes { ids, target }],
            Arc::clone(&self.letters),
        ))
    }
}

/// Codes of a song of `secs` seconds.
pub fn codes_of(secs: f64) -> usize {
    // A tenth of a second is the resolution of lengths; 10.2 · 5 must not be 50.999….
    ((secs * 10.0).round() / 10.0 * audio_codes::PER_SECOND + 1e-6)
        .floor()
        .max(0.0) as usize
}

/// Joins literals that follow each other, so that a run is encoded as one text.
struct Builder<'a> {
    tokenizer: &'a LmTokenizer,
    parts: Vec<Part>,
    literal: Vec<u32>,
    text: String,
}

impl<'a> Builder<'a> {
    fn new(tokenizer: &'a LmTokenizer) -> Self {
        Self {
            tokenizer,
            parts: Vec::new(),
            literal: Vec::new(),
            text: String::new(),
        }
    }

    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn encode(&mut self) -> Result<()> {
        if !self.text.is_empty() {
            self.literal.extend(self.tokenizer.encode(&self.text)?);
            self.text.clear();
        }
        Ok(())
    }

    fn control(&mut self, id: u32) -> Result<()> {
        self.encode()?;
        self.literal.push(id);
        Ok(())
    }

    /// `name:` and the value given, or one of the tree's.
    fn value(&mut self, name: &'static str, given: Option<String>, tree: &Arc<Tree>) -> Result<()> {
        let given = match given {
            Some(value) => tree::closed_value(self.tokenizer, name, &value)?,
            None => Vec::new(),
        };
        self.text(&format!("{name}:"));
        self.push(Part::Value {
            field: name,
            tree: Arc::clone(tree),
            given,
        })
    }

    fn push(&mut self, part: Part) -> Result<()> {
        self.encode()?;
        if !self.literal.is_empty() {
            self.parts
                .push(Part::Literal(std::mem::take(&mut self.literal)));
        }
        self.parts.push(part);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Part>> {
        self.encode()?;
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(self.literal));
        }
        Ok(self.parts)
    }
}

#[cfg(test)]
mod tests;
