//! The tokenizer of a GGUF file: lists of words and merges, with the added tokens implied.

use serde_json::{Value, json};

use super::missing;
use crate::nn::weights::Metadata;

/// Added tokens of every release, in the order of their ids, which follow the vocabulary. The
/// audio codes follow them.
const ADDED: [&str; 26] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
];

/// How Qwen's tokenizer cuts text into words before it looks for tokens.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A `tokenizer.json` for a network of `vocabulary` tokens, by the lists of `metadata`.
///
/// # Errors
/// A list is missing or of another kind, or the network has too few tokens for it.
pub(super) fn json_of(
    metadata: Metadata<'_>,
    vocabulary: usize,
) -> std::result::Result<Vec<u8>, String> {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    const MERGES: &str = "tokenizer.ggml.merges";
    match metadata.text("tokenizer.ggml.model") {
        Some("gpt2") => {}
        Some(other) => return Err(format!("its tokenizer is {other}; gpt2 can be read")),
        None => return Err(missing("tokenizer.ggml.model")),
    }
    let tokens = metadata.texts(TOKENS).ok_or_else(|| missing(TOKENS))?;
    let merges = metadata.texts(MERGES).ok_or_else(|| missing(MERGES))?;
    // Other writers list the added tokens as well.
    let words = tokens
        .iter()
        .position(|token| *token == ADDED[0])
        .unwrap_or(tokens.len());
    let mut added: Vec<String> = if words < tokens.len() {
        tokens[words..]
            .iter()
            .map(|token| (*token).to_owned())
            .collect()
    } else {
        ADDED.map(str::to_owned).to_vec()
    };
    let named = words + added.len();
    let Some(codes) = vocabulary.checked_sub(named) else {
        return Err(format!(
            "its tokenizer has {named} tokens with those that are implied, but the network has {vocabulary} (vocab_size)"
        ));
    };
    if words == tokens.len() {
        added.extend((0..codes).map(|code| format!("<|audio_code_{code}|>")));
    }
    let pairs = merges
        .iter()
        .map(|merge| {
            merge
                .split_once(' ')
                .ok_or_else(|| format!("{MERGES}: {merge:?} is no pair"))
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let vocab: serde_json::Map<String, Value> = tokens[..words]
        .iter()
        .enumerate()
        .map(|(id, token)| ((*token).to_owned(), json!(id)))
        .collect();
    let added: Vec<Value> = added
        .iter()
        .enumerate()
        .map(|(index, content)| {
            json!({
                "id": words + index, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": false},
            bytes,
        ]},
        "post_processor": null, "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": pairs,
        },
    });
    serde_json::to_vec(&file).map_err(|error| error.to_string())
}
