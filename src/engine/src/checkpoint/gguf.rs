//! Language models as one GGUF file, as acestep.cpp writes them: the config as JSON text, the
//! tokenizer as lists without added tokens, tensors by their names in the released files.

use serde_json::{Value, json};

use super::{layout::has_extension, source::Source};
use crate::{
    error::{Error, Result},
    models::qwen3,
    nn::{WeightFile, weights::Metadata},
};

/// `general.architecture` of a language model.
const ARCHITECTURE: &str = "acestep-lm";

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

/// The GGUF file that `name` means: a file of that name, with or without its ending, or the only
/// one in a folder that has no safetensors. `None` when it means something else.
///
/// # Errors
/// The folder has several.
pub(super) fn find(source: &Source, name: &str) -> Result<Option<String>> {
    if has_extension(name, "gguf") && source.has(name) {
        return Ok(Some(name.to_owned()));
    }
    if !source.has_folder(name) {
        let file = format!("{name}.gguf");
        return Ok(source.has(&file).then_some(file));
    }
    let there = source.names(name);
    if there
        .iter()
        .any(|file| has_extension(file, "safetensors") || file.ends_with(".safetensors.index.json"))
    {
        return Ok(None);
    }
    let mut files = there.iter().filter(|file| has_extension(file, "gguf"));
    match (files.next(), files.next()) {
        (Some(only), None) => Ok(Some(format!("{name}/{only}"))),
        (Some(first), Some(second)) => Err(Error::checkpoint(
            source.path(name),
            format!(
                "there are several GGUF files, {first} and {second} among them; keep one, or move them beside this folder and choose one by its name"
            ),
        )),
        _ => Ok(None),
    }
}

/// Opens `file` and checks that it is a language model.
///
/// # Errors
/// It cannot be read, is damaged, or holds something else.
pub(super) fn open(source: &Source, file: &str) -> Result<WeightFile> {
    let opened = source.open(file)?;
    let wrong = |reason: String| Error::checkpoint(source.path(file), reason);
    let metadata = opened
        .metadata()
        .ok_or_else(|| wrong("this is not a GGUF file".to_owned()))?;
    match metadata.text("general.architecture") {
        Some(ARCHITECTURE) => Ok(opened),
        Some(other) => Err(wrong(format!(
            "its architecture is {other}, and a language model's is {ARCHITECTURE}"
        ))),
        None => Err(wrong(missing("general.architecture"))),
    }
}

fn missing(key: &str) -> String {
    format!("the key {key} is missing, or is not what it should be")
}

/// A text of the metadata as JSON.
pub(super) fn config_json(file: &WeightFile) -> std::result::Result<Value, String> {
    const KEY: &str = "acestep.config_json";
    let text = metadata(file)?.text(KEY).ok_or_else(|| missing(KEY))?;
    serde_json::from_str(text).map_err(|error| format!("{KEY}: {error}"))
}

fn metadata(file: &WeightFile) -> std::result::Result<Metadata<'_>, String> {
    file.metadata()
        .ok_or_else(|| "this is not a GGUF file".to_owned())
}

/// The config, which makes sense.
///
/// # Errors
/// A key is missing, or the network is impossible.
pub(super) fn config(source: &Source, file: &str) -> Result<qwen3::Config> {
    let opened = open(source, file)?;
    config_json(&opened)
        .and_then(|json| {
            serde_json::from_value::<qwen3::Config>(json).map_err(|error| {
                let words = error.to_string().replace("missing field", "missing key");
                format!("acestep.config_json: {words}")
            })
        })
        .and_then(|config| config.validate().map(|()| config))
        .map_err(|reason| Error::checkpoint(source.path(file), reason))
}

/// The tokenizer in the form of a `tokenizer.json`, for a network of `vocabulary` tokens.
///
/// # Errors
/// A list is missing or of another kind, or the network has too few tokens for it.
pub(super) fn tokenizer(source: &Source, file: &str, vocabulary: usize) -> Result<Vec<u8>> {
    let opened = open(source, file)?;
    metadata(&opened)
        .and_then(|metadata| tokenizer_json(metadata, vocabulary))
        .map_err(|reason| Error::checkpoint(source.path(file), reason))
}

fn tokenizer_json(
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

/// Language models that are files of their own: names and sizes.
pub(super) fn list(source: &Source, prefix: &str) -> Vec<(String, u64)> {
    source
        .names("")
        .into_iter()
        .filter(|name| name.starts_with(prefix) && has_extension(name, "gguf") && source.has(name))
        .map(|name| {
            let bytes = source.size(&name);
            (name, bytes)
        })
        .collect()
}
