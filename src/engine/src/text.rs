//! What the encoders read: prompts verbatim as the checkpoints were trained on them, and their
//! token ids. What the language model reads is the planner's.

pub mod caption;
pub mod lyrics;
pub mod tokenizer;

/// The special token that ends a text. Its id is the tokenizer file's.
pub const END: &str = "<|endoftext|>";

/// A prompt with one end token in it. The text before it may hold anything a user writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Everything before the end token.
    pub text: String,
    /// What follows the end token.
    pub tail: &'static str,
}

impl std::fmt::Display for Prompt {
    /// The prompt as the reference writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{END}{}", self.text, self.tail)
    }
}
