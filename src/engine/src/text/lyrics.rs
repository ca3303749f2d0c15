//! The prompt of the lyric encoder, read through the text encoder's embedding table alone
//! (engine.md 2.3).

use acestep_domain::generation::{GenerationParams, clamp::INSTRUMENTAL};

use super::Prompt;

/// Longest prompt in tokens, end token included.
pub const MAX_TOKENS: usize = 2048;

/// The lyric prompt of `params`.
pub fn prompt(params: &GenerationParams) -> Prompt {
    let lyrics = if params.instrumental {
        INSTRUMENTAL
    } else {
        &params.lyrics
    };
    Prompt {
        text: format!("{}{lyrics}", heading(params)),
        tail: "",
    }
}

/// What stands before the words in [`prompt`].
pub fn heading(params: &GenerationParams) -> String {
    let language = params.sung_language().code();
    format!("# Languages\n{language}\n\n# Lyric\n")
}

#[cfg(test)]
mod tests {
    use acestep_domain::metadata::Language;

    use super::*;

    #[test]
    fn the_words_follow_their_language() {
        let params = GenerationParams {
            lyrics: "[Verse]\nHallo".to_owned(),
            vocal_language: Language::parse("de").unwrap(),
            ..GenerationParams::default()
        };
        assert_eq!(
            prompt(&params).to_string(),
            "# Languages\nde\n\n# Lyric\n[Verse]\nHallo<|endoftext|>"
        );
    }

    #[test]
    fn instrumental_wins_over_the_words_and_their_language() {
        let params = GenerationParams {
            lyrics: "Hallo".to_owned(),
            vocal_language: Language::parse("de").unwrap(),
            instrumental: true,
            ..GenerationParams::default()
        };
        assert_eq!(
            prompt(&params).to_string(),
            "# Languages\nunknown\n\n# Lyric\n[Instrumental]<|endoftext|>"
        );
    }
}
