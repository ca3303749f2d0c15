//! Prompts to token ids, by the checkpoint's own `tokenizer.json`.
//!
//! What a user writes is data: the name of a special token inside a caption stays letters. The
//! two end tokens, the prompt's own and the one the released post-processor appends, are put in
//! by id, so a file without that post-processor (or with it) gives the same ids. Ids come from
//! the file; none is a constant here.

use std::path::Path;

use acestep_domain::note::Note;

use super::{END, Prompt, caption, lyrics};
use crate::error::{Error, Result};

/// The text encoder's tokenizer.
pub struct TextTokenizer {
    tokenizer: tokenizers::Tokenizer,
    end: u32,
}

/// Token ids of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// What the encoder reads, end token included.
    pub ids: Vec<u32>,
    /// Tokens the whole text would have had.
    pub whole: usize,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`; `path` is named in errors.
    ///
    /// # Errors
    /// The file is no tokenizer, or does not know the end token.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| {
            Error::checkpoint(path, format!("the tokenizer cannot be read: {error}"))
        })?;
        let end = tokenizer
            .token_to_id(END)
            .ok_or_else(|| Error::checkpoint(path, format!("the tokenizer has no token {END}")))?;
        // A user's text must not switch anything: names of special tokens are letters. Truncation
        // and padding of the file would fight with the limits here.
        tokenizer.set_encode_special_tokens(true);
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| Error::checkpoint(path, error.to_string()))?;
        Ok(Self { tokenizer, end })
    }

    /// The id of the end token, also the padding.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Ids of `prompt`, at most `limit`: the head is kept and the appended end token counts.
    ///
    /// # Errors
    /// The tokenizer refuses the text, which byte-level ones never do.
    pub fn encode(&self, prompt: &Prompt, limit: usize) -> Result<Ids> {
        let mut ids = self.letters(&prompt.text)?;
        ids.push(self.end);
        ids.extend(self.letters(prompt.tail)?);
        let whole = ids.len() + 1;
        ids.truncate(limit.saturating_sub(1));
        ids.push(self.end);
        Ok(Ids { ids, whole })
    }

    /// Ids of a text by itself, without any end token.
    ///
    /// # Errors
    /// See [`Self::encode`].
    pub fn letters(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| Error::Invalid {
                field: "caption",
                reason: format!("the text cannot be turned into tokens: {error}"),
            })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// What each of `ids` adds to the text; nothing while it only begins a letter.
    ///
    /// # Errors
    /// An id that the tokenizer cannot spell.
    pub fn spelt(&self, ids: &[u32]) -> Result<Vec<String>> {
        let mut stream = self.tokenizer.decode_stream(false);
        ids.iter()
            .map(|id| {
                let spelt = stream.step(*id).map_err(|error| Error::Invalid {
                    field: "lyrics",
                    reason: format!("token {id} cannot be spelt: {error}"),
                })?;
                Ok(spelt.unwrap_or_default())
            })
            .collect()
    }

    /// Ids of a caption prompt, and a note when it is too long.
    ///
    /// # Errors
    /// See [`Self::encode`].
    pub fn caption(&self, prompt: &Prompt) -> Result<(Vec<u32>, Option<Note>)> {
        let ids = self.encode(prompt, caption::MAX_TOKENS)?;
        let note = ids.cut_note(
            "caption",
            "Caption",
            "tempo, key and length after it are not read either",
        );
        Ok((ids.ids, note))
    }

    /// Ids of a lyric prompt, and a note when it is too long.
    ///
    /// # Errors
    /// See [`Self::encode`].
    pub fn lyrics(&self, prompt: &Prompt) -> Result<(Vec<u32>, Option<Note>)> {
        let ids = self.encode(prompt, lyrics::MAX_TOKENS)?;
        let note = ids.cut_note("lyrics", "Lyrics", "the words after it are not sung");
        Ok((ids.ids, note))
    }
}

impl Ids {
    fn cut_note(&self, field: &str, name: &str, consequence: &str) -> Option<Note> {
        (self.whole > self.ids.len()).then(|| {
            Note::new(
                &format!("{field}_cut"),
                field,
                format!(
                    "{name}: {} tokens with its headings, and the model reads {}; {consequence}.",
                    self.whole,
                    self.ids.len()
                ),
            )
        })
    }
}

#[cfg(test)]
#[cfg(feature = "demo-model")]
mod tests {
    use super::*;

    const FILE: &str = "Qwen3-Embedding-0.6B/tokenizer.json";

    fn bytes() -> &'static [u8] {
        crate::demo::file(FILE).unwrap()
    }

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::from_bytes(bytes(), Path::new(FILE)).unwrap()
    }

    /// The tokenizer used as the reference does: one string, special tokens on.
    fn reference(text: &str) -> Vec<u32> {
        let plain = tokenizers::Tokenizer::from_bytes(bytes()).unwrap();
        plain.encode(text, true).unwrap().get_ids().to_vec()
    }

    fn prompt(text: &str, tail: &'static str) -> Prompt {
        Prompt {
            text: text.to_owned(),
            tail,
        }
    }

    #[test]
    fn ordinary_text_gives_the_ids_of_the_reference() {
        for text in [
            "# Caption\nWälzer für zwei, 128 bpm\n\n# Metas\n",
            "",
            "日本語の歌 ♪ e\u{301}",
            "[Verse]\r\n  two  spaces\tand tab",
        ] {
            for tail in ["\n", ""] {
                let prompt = prompt(text, tail);
                let ours = tokenizer().encode(&prompt, 2048).unwrap();
                assert_eq!(ours.ids, reference(&prompt.to_string()), "{text:?}");
                assert_eq!(ours.whole, ours.ids.len());
            }
        }
    }

    #[test]
    fn special_tokens_in_a_users_text_stay_letters() {
        let tokenizer = tokenizer();
        let ids = tokenizer
            .encode(&prompt("a <|endoftext|> b <|im_start|>", ""), 2048)
            .unwrap()
            .ids;
        let (body, ends) = ids.split_at(ids.len() - 2);
        assert_eq!(ends, [tokenizer.end(), tokenizer.end()]);
        let special: Vec<u32> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
            .iter()
            .map(|name| tokenizer.tokenizer.token_to_id(name).unwrap())
            .collect();
        assert!(body.iter().all(|id| !special.contains(id)), "{body:?}");
    }

    #[test]
    fn a_file_without_the_post_processor_gives_the_same_ids() {
        let mut json: serde_json::Value = serde_json::from_slice(bytes()).unwrap();
        json["post_processor"] = serde_json::Value::Null;
        let bare = TextTokenizer::from_bytes(json.to_string().as_bytes(), Path::new(FILE)).unwrap();
        let prompt = prompt("a", "");
        let [without, with] = [bare, tokenizer()].map(|t| t.encode(&prompt, 256).unwrap());
        assert_eq!(without, with);
        assert_eq!(with.ids.len(), 3);
    }

    #[test]
    fn a_long_text_keeps_its_head_and_its_end_and_says_so() {
        let tokenizer = tokenizer();
        let long = prompt(&"house music ".repeat(400), "\n");
        let (ids, note) = tokenizer.caption(&long).unwrap();
        let whole = reference(&long.to_string());
        assert_eq!(ids.len(), 256);
        assert_eq!(ids[..255], whole[..255]);
        assert_eq!(ids[255], tokenizer.end());
        let note = note.unwrap();
        assert_eq!(
            (note.code.as_str(), note.field.as_deref()),
            ("caption_cut", Some("caption"))
        );
        assert!(
            note.message.contains(&whole.len().to_string()),
            "{}",
            note.message
        );
        let (_, none) = tokenizer.lyrics(&prompt("short", "")).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn junk_is_named_by_its_path() {
        let error = TextTokenizer::from_bytes(b"<html>", Path::new("x/tokenizer.json"))
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("x/tokenizer.json"), "{error}");
    }
}
