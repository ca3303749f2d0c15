//! An answer without a grammar: every token may follow, and nothing is put into the model's mouth.
//!
//! What comes of it is read leniently ([`super::parse`]); only the end is looked for.

use std::sync::Arc;

use super::{
    constraint::{Constraint, Next, TokenSet},
    grammar::After,
    tokenizer::{Control, LmTokenizer},
};
use crate::error::{Error, Result};

/// One sequence that writes as it likes.
#[derive(Clone)]
pub struct Free {
    all: Arc<TokenSet>,
    control: Control,
    after: After,
    /// The thinking has been closed.
    thought: bool,
    done: bool,
}

impl Free {
    /// A plan, and after it what `after` says, in the words of `tokenizer`.
    pub fn new(tokenizer: &LmTokenizer, after: After) -> Self {
        let mut all = TokenSet::new(tokenizer.vocabulary());
        all.extend(0..tokenizer.vocabulary() as u32);
        Self {
            all: Arc::new(all),
            control: tokenizer.control(),
            after,
            thought: false,
            done: false,
        }
    }
}

impl Constraint for Free {
    fn next(&mut self) -> Next<'_> {
        if self.done {
            return Next::Done;
        }
        Next::Choice {
            allowed: &self.all,
            greedy: false,
        }
    }

    fn advance(&mut self, token: u32) -> Result<()> {
        if self.done || !self.all.contains(token) {
            return Err(Error::LanguageModel {
                field: self.field(),
                reason: format!("token {token} is not allowed here"),
            });
        }
        self.thought |= token == self.control.think_end;
        self.done = token == self.control.turn_end
            || token == self.control.end_of_text
            || (self.thought && self.after == After::Stop);
        Ok(())
    }

    fn field(&self) -> &'static str {
        if self.thought { "lyrics" } else { "plan" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::tokenizer::tests::small;

    #[test]
    fn everything_may_be_said_until_the_end_is() {
        let tokenizer = small(0);
        let control = tokenizer.control();
        let mut plan = Free::new(&tokenizer, After::Stop);
        let Next::Choice { allowed, greedy } = plan.next() else {
            panic!("a free text is chosen");
        };
        assert_eq!((allowed.len(), greedy), (tokenizer.vocabulary(), false));
        assert!(plan.advance(tokenizer.vocabulary() as u32).is_err());
        plan.advance(control.think).unwrap();
        plan.advance(tokenizer.single("\n").unwrap()).unwrap();
        assert_eq!(plan.field(), "plan");
        plan.advance(control.think_end).unwrap();
        assert!(matches!(plan.next(), Next::Done));
        assert!(plan.advance(control.think).is_err());
    }

    #[test]
    fn lyrics_go_on_after_the_plan_to_either_end() {
        let tokenizer = small(0);
        let control = tokenizer.control();
        for end in [control.turn_end, control.end_of_text] {
            let mut song = Free::new(&tokenizer, After::Lyrics);
            song.advance(control.think_end).unwrap();
            assert!(matches!(song.next(), Next::Choice { .. }));
            assert_eq!(song.field(), "lyrics");
            song.advance(end).unwrap();
            assert!(matches!(song.next(), Next::Done));
        }
    }
}
