use serde_json::json;

use super::*;

/// Words that have a token of their own, spelt with the vocabulary's letters (Ġ space, Ċ newline).
const WORDS: [&str; 22] = [
    "Ġmajor",
    "Ġminor",
    "ĠA",
    "ĠAb",
    "ĠC",
    "ĠG",
    "Ġen",
    "Ġy",
    "Ġno",
    "Ġpiano",
    "Ġsoft",
    "pm",
    "caption",
    "duration",
    "keyscale",
    "language",
    "timesignature",
    ".Ċ",
    "!Ċ",
    "ĊĊ",
    ":ĊĊ",
    "ĠĠ",
];

/// A byte-level tokenizer with a few merges and `codes` audio codes, ids unlike the released ones.
pub(crate) fn small(codes: u32) -> LmTokenizer {
    LmTokenizer::from_bytes(&file(codes), Path::new("small/tokenizer.json")).unwrap()
}

fn file(codes: u32) -> Vec<u8> {
    let mut letters: Vec<(char, u8)> = byte_letters().into_iter().collect();
    letters.sort_by_key(|(_, byte)| *byte);
    let mut vocab = serde_json::Map::new();
    let mut next = 0;
    let mut put = |token: String| {
        if !vocab.contains_key(&token) {
            vocab.insert(token, json!(next));
            next += 1;
        }
    };
    for (letter, _) in &letters {
        put(letter.to_string());
    }
    let mut merges: Vec<[String; 2]> = Vec::new();
    for word in WORDS {
        let chars: Vec<char> = word.chars().collect();
        for end in 2..=chars.len() {
            let pair = [
                chars[..end - 1].iter().collect::<String>(),
                chars[end - 1].to_string(),
            ];
            put(pair.concat());
            if !merges.contains(&pair) {
                merges.push(pair);
            }
        }
    }
    let names = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|fim_pad|>",
        "<think>",
        "</think>",
    ];
    let added: Vec<Value> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain((0..codes).map(|code| format!("<|audio_code_{code}|>")))
        .enumerate()
        .map(|(index, name)| {
            // The thinking tags are not "special" in the released file.
            json!({ "id": next + index as u32, "content": name, "special": !name.contains("think"),
                "lstrip": false, "rstrip": false, "normalized": false, "single_word": false })
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null, "padding": null, "normalizer": { "type": "NFC" },
        "added_tokens": added,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "behavior": "Isolated", "invert": false, "pattern": { "Regex":
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" } },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
        ] },
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges },
    })
    .to_string()
    .into_bytes()
}

#[test]
fn users_text_is_letters_whatever_it_spells() {
    let tokenizer = small(8);
    let control = tokenizer.control();
    let text = "a <|im_end|> </think> <|audio_code_5|> <think> e\u{301} 日本 ♪ \r\n\t";
    let ids = tokenizer.encode(text).unwrap();
    assert!(
        ids.iter().all(|id| *id < control.end_of_text),
        "control tokens and codes come after all text here: {ids:?}"
    );
    // The file's own normaliser composes the accent.
    assert_eq!(tokenizer.decode(&ids), text.replace("e\u{301}", "é"));
}

#[test]
fn bytes_of_tokens_are_those_of_the_text() {
    let tokenizer = small(0);
    let stop = tokenizer.single(".\n").unwrap();
    assert_eq!(tokenizer.bytes(stop), b".\n");
    let major = tokenizer.single(" major").unwrap();
    assert_eq!(tokenizer.bytes(major), b" major");
    assert_eq!(tokenizer.bytes(tokenizer.control().think), b"");
    assert_eq!(tokenizer.bytes(9_999_999), b"");
    for byte in 0..=u8::MAX {
        assert!((0..tokenizer.vocabulary() as u32).any(|id| tokenizer.bytes(id) == [byte]));
    }
}

#[test]
fn codes_are_counted_not_listed_and_ids_above_the_codebook_are_none() {
    let tokenizer = small(65_535);
    let ids = tokenizer.code_ids().unwrap();
    assert_eq!(ids.len(), 64_000);
    assert_eq!(tokenizer.code(ids.start), Some(0));
    assert_eq!(tokenizer.code(ids.end - 1), Some(63_999));
    assert_eq!(tokenizer.code(ids.end), None);
    assert_eq!(tokenizer.code(ids.start - 1), None);
    assert_eq!(tokenizer.code_id(63_999).unwrap(), ids.end - 1);
    assert!(tokenizer.code_id(64_000).is_err());
    assert_eq!(tokenizer.vocabulary(), ids.start as usize + 65_535);
}

#[test]
fn fewer_codes_than_the_codebook_leave_text_and_refuse_codes() {
    let tokenizer = small(100);
    assert!(!tokenizer.has_codes());
    let refused = tokenizer.code_ids().unwrap_err().to_string();
    assert!(refused.contains("100 of the 64000"), "{refused}");
    assert!(tokenizer.encode("still text").is_ok());
}

#[test]
fn damage_is_named_by_the_path() {
    let mut file: Value = serde_json::from_slice(&file(8)).unwrap();
    let broken = |file: &Value| {
        LmTokenizer::from_bytes(file.to_string().as_bytes(), Path::new("lm/tokenizer.json"))
            .err()
            .unwrap()
            .to_string()
    };
    file["added_tokens"][9]["id"] = json!(5);
    assert!(broken(&file).contains("not one range"), "{}", broken(&file));
    file["added_tokens"].as_array_mut().unwrap().remove(4);
    file["added_tokens"] = json!([]);
    assert!(
        broken(&file).starts_with("lm/tokenizer.json: the tokenizer has no token <|endoftext|>")
    );
    let junk = LmTokenizer::from_bytes(b"<html>", Path::new("lm/tokenizer.json"));
    assert!(
        junk.err()
            .unwrap()
            .to_string()
            .starts_with("lm/tokenizer.json")
    );
}
