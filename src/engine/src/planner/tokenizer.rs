//! The language model's tokenizer: text to ids and back, control tokens by name, codes by arithmetic.
//!
//! The file's 65,535 audio-code tokens are a contiguous range, so they are counted and taken out
//! before the file is read: loading takes well under a second instead of more than a minute. All
//! other added tokens are taken out too and put in by id, so what a user writes is letters even
//! where it spells a control token.

use std::{collections::HashMap, path::Path};

use acestep_domain::audio_codes::COUNT;
use serde_json::Value;

use crate::error::{Error, Result};

/// Ids of control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// `<|endoftext|>`
    pub end_of_text: u32,
    /// `<|im_start|>`
    pub turn_start: u32,
    /// `<|im_end|>`: the end of an answer.
    pub turn_end: u32,
    /// `<think>`
    pub think: u32,
    /// `</think>`
    pub think_end: u32,
}

/// The tokenizer.
pub struct LmTokenizer {
    tokenizer: tokenizers::Tokenizer,
    control: Control,
    /// Bytes of each text token; empty for ids that are no text.
    bytes: Vec<Vec<u8>>,
    /// Id of code 0, and how many codes the file has.
    codes: (u32, u32),
    vocabulary: usize,
}

impl LmTokenizer {
    /// Reads a `tokenizer.json`; `path` is named in errors.
    ///
    /// # Errors
    /// The file is no tokenizer, has not the control tokens of the planner, or its codes are not
    /// one range.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let wrong = |reason: String| Error::checkpoint(path, reason);
        let mut file: Value = serde_json::from_slice(bytes)
            .map_err(|error| wrong(format!("the tokenizer cannot be read: {error}")))?;
        let added = match file.get_mut("added_tokens").map(Value::take) {
            Some(Value::Array(added)) => added,
            _ => Vec::new(),
        };
        if let Some(object) = file.as_object_mut() {
            object.insert("added_tokens".into(), Value::Array(Vec::new()));
            object.insert("post_processor".into(), Value::Null);
            object.insert("truncation".into(), Value::Null);
            object.insert("padding".into(), Value::Null);
        }
        let mut names = HashMap::new();
        let mut codes = Vec::new();
        for token in &added {
            let (Some(id), Some(name)) = (token["id"].as_u64(), token["content"].as_str()) else {
                return Err(wrong("an added token has no id or no content".to_owned()));
            };
            match code_number(name) {
                Some(code) => codes.push((code, id as u32)),
                None => {
                    names.insert(name.to_owned(), id as u32);
                }
            }
        }
        let codes = code_range(codes).map_err(&wrong)?;
        let tokenizer: tokenizers::Tokenizer = serde_json::from_value(file)
            .map_err(|error| wrong(format!("the tokenizer cannot be read: {error}")))?;
        let control = |name: &str| {
            names
                .get(name)
                .copied()
                .or_else(|| tokenizer.token_to_id(name))
                .ok_or_else(|| wrong(format!("the tokenizer has no token {name}")))
        };
        let control = Control {
            end_of_text: control("<|endoftext|>")?,
            turn_start: control("<|im_start|>")?,
            turn_end: control("<|im_end|>")?,
            think: control("<think>")?,
            think_end: control("</think>")?,
        };
        let text = tokenizer.get_vocab(false);
        let last = names
            .values()
            .chain(text.values())
            .copied()
            .chain((codes.1 > 0).then(|| codes.0 + codes.1 - 1))
            .max()
            .unwrap_or_default();
        let mut bytes = vec![Vec::new(); last as usize + 1];
        let letters = byte_letters();
        for (token, id) in &text {
            // A control token that stands in the vocabulary is still no text.
            if names.contains_key(token) || names.values().any(|name| name == id) {
                continue;
            }
            let spelt: Option<Vec<u8>> = token
                .chars()
                .map(|letter| letters.get(&letter).copied())
                .collect();
            bytes[*id as usize] = spelt.unwrap_or_default();
        }
        Ok(Self {
            vocabulary: bytes.len(),
            tokenizer,
            control,
            bytes,
            codes,
        })
    }

    /// One more than the largest id.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Ids of the control tokens.
    pub fn control(&self) -> Control {
        self.control
    }

    /// Bytes of a text token; empty for control tokens and codes.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// Ids of text, whatever it spells.
    ///
    /// # Errors
    /// The tokenizer refuses it, which byte-level ones never do.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding =
            self.tokenizer
                .encode_fast(text, false)
                .map_err(|error| Error::LanguageModel {
                    field: "prompt",
                    reason: format!("the text cannot be turned into tokens: {error}"),
                })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The id of a text that is one token.
    ///
    /// # Errors
    /// It is several.
    pub fn single(&self, text: &str) -> Result<u32> {
        match self.encode(text)?[..] {
            [id] => Ok(id),
            _ => Err(Error::LanguageModel {
                field: "prompt",
                reason: format!("the tokenizer has no token of its own for {text:?}"),
            }),
        }
    }

    /// Text of ids; control tokens and codes are left out, broken UTF-8 is replaced.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it has the whole codebook.
    pub fn has_codes(&self) -> bool {
        self.codes.1 >= COUNT
    }

    /// The range of ids that are legal codes.
    ///
    /// # Errors
    /// The tokenizer has fewer codes than the codebook.
    pub fn code_ids(&self) -> Result<std::ops::Range<u32>> {
        if self.has_codes() {
            Ok(self.codes.0..self.codes.0 + COUNT)
        } else {
            Err(Error::Unsupported {
                what: "reading and writing audio codes".to_owned(),
                because: format!(
                    "this language model's tokenizer has {} of the {COUNT} codes, so it plans metadata only",
                    self.codes.1
                ),
            })
        }
    }

    /// The code of an id, when it is a legal one.
    pub fn code(&self, id: u32) -> Option<u32> {
        id.checked_sub(self.codes.0)
            .filter(|code| *code < self.codes.1.min(COUNT))
    }

    /// The id of a code.
    ///
    /// # Errors
    /// There is no such code, or the tokenizer has none.
    pub fn code_id(&self, code: u32) -> Result<u32> {
        let ids = self.code_ids()?;
        if code < COUNT {
            Ok(ids.start + code)
        } else {
            Err(Error::Invalid {
                field: "audio_codes",
                reason: format!("{code} is not a code; they go from 0 to {}", COUNT - 1),
            })
        }
    }
}

/// The number in `<|audio_code_7|>`.
fn code_number(name: &str) -> Option<u32> {
    name.strip_prefix("<|audio_code_")?
        .strip_suffix("|>")?
        .parse()
        .ok()
}

/// Id of code 0 and the number of codes, which must follow each other.
fn code_range(mut codes: Vec<(u32, u32)>) -> std::result::Result<(u32, u32), String> {
    codes.sort_unstable();
    let Some(&(_, first)) = codes.first() else {
        return Ok((0, 0));
    };
    for (index, (code, id)) in codes.iter().enumerate() {
        if (*code, *id) != (index as u32, first + index as u32) {
            return Err(format!(
                "its audio codes are not one range: code {code} has id {id}, and code {index} was expected at {}",
                first + index as u32
            ));
        }
    }
    Ok((first, codes.len() as u32))
}

/// The letters by which byte-level vocabularies spell bytes (GPT-2's `bytes_to_unicode`).
fn byte_letters() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut letters: HashMap<char, u8> = (0..=u8::MAX)
        .filter(printable)
        .map(|byte| (char::from(byte), byte))
        .collect();
    for (offset, byte) in (0..=u8::MAX).filter(|byte| !printable(byte)).enumerate() {
        letters.extend(char::from_u32(0x100 + offset as u32).map(|letter| (letter, byte)));
    }
    letters
}

#[cfg(test)]
pub(crate) mod tests;
