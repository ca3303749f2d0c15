//! A language model as one GGUF file, written and decoded by another program
//! (`src/xtask/reference/lm_gguf.py`: the `gguf` package and transformers).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/replaced.rs"]
mod replaced;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::{LmCheckpoint, ModelKind, inspect, list_lms},
    engine::{LanguageModel, LoadOptions},
    error::{Error, Result},
    observer::Silent,
};
use candle_core::{DType, Device, Tensor};
use closeness::assert_close;
use replaced::replaced;

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-4;
const FILE: &str = "acestep-5Hz-lm-tiny-mixed.gguf";
const NAME: &str = "acestep-5Hz-lm-tiny-mixed";
const TEXT: &str = "the bpm: 120\n\nthe   Ünïcode's <think> don't";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lm_gguf")
}

fn load(root: &Path, name: &str, quantization: Quantization) -> Result<LanguageModel> {
    let options = LoadOptions {
        quantization,
        ..LoadOptions::default()
    };
    LanguageModel::load(&LmCheckpoint::open(root, name)?, &options, &Silent)
}

fn reference() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixtures().join("reference.safetensors"), &Device::Cpu).unwrap()
}

fn ids(tensor: &Tensor) -> Vec<u32> {
    tensor.to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

#[test]
fn every_format_gives_the_logits_of_the_reference() {
    let lm = load(&fixtures(), NAME, Quantization::None).unwrap();
    let reference = reference();
    let prompts: Vec<Vec<u32>> = (0..3)
        .map(|i| ids(&reference[&format!("ids.{i}")]))
        .collect();
    for (i, logits) in lm.logits(&prompts, &Silent).unwrap().iter().enumerate() {
        let want = &reference[&format!("logits.{i}")];
        assert_close(&format!("prompt {i}"), logits, want, TOLERANCE);
    }
    let info = lm.info();
    assert_eq!((info.name.as_str(), info.built_in), (NAME, false));
    assert!(info.resident_bytes < info.parameters * 2, "{info:?}");
    // Twenty codes are no codebook, and nothing else is odd about it.
    let notes: Vec<&str> = info.notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(notes, ["lm_without_codes"]);
}

#[test]
fn the_tokenizer_is_that_of_the_lists() {
    let lm = load(&fixtures(), FILE, Quantization::None).unwrap();
    let tokenizer = lm.tokenizer();
    assert_eq!(tokenizer.encode(TEXT).unwrap(), ids(&reference()["text"]));
    assert_eq!(tokenizer.decode(&tokenizer.encode(TEXT).unwrap()), TEXT);
    // 256 bytes and 7 merges, then the control tokens in their order, then the codes.
    let control = tokenizer.control();
    assert_eq!((control.end_of_text, control.turn_end), (263, 265));
    assert_eq!((control.think, control.think_end), (287, 288));
    assert_eq!(tokenizer.vocabulary(), 309);
    assert_eq!(tokenizer.code(289), Some(0));
}

#[test]
fn what_is_plain_in_the_file_can_be_quantised() {
    let plain = load(&fixtures(), NAME, Quantization::None).unwrap();
    let lm = load(&fixtures(), NAME, Quantization::Int8).unwrap();
    assert!(lm.info().resident_bytes < plain.info().resident_bytes);
    let reference = reference();
    let logits = lm.logits(&[ids(&reference["ids.1"])], &Silent).unwrap();
    assert_close("int8", &logits[0], &reference["logits.1"], 0.02);
}

#[test]
fn a_file_a_name_without_ending_and_a_folder_are_found_and_listed() {
    let root = tempfile::tempdir().unwrap();
    let size = fs::metadata(fixtures().join(FILE)).unwrap().len();
    fs::copy(fixtures().join(FILE), root.path().join(FILE)).unwrap();
    let folder = root.path().join("acestep-5Hz-lm-boxed");
    fs::create_dir(&folder).unwrap();
    fs::copy(fixtures().join(FILE), folder.join("model-Q8_0.gguf")).unwrap();
    for name in [FILE, NAME, "acestep-5Hz-lm-boxed"] {
        assert_eq!(LmCheckpoint::open(root.path(), name).unwrap().name(), name);
    }
    let listed = [("acestep-5Hz-lm-boxed", size), (FILE, size)];
    assert_eq!(
        list_lms(root.path()),
        listed.map(|(name, size)| (name.to_owned(), size))
    );
    let models = inspect(root.path()).models;
    assert_eq!(models.len(), 2);
    for model in models {
        assert_eq!(model.kind, ModelKind::Lm);
        assert_eq!((&model.problems, &model.notes), (&vec![], &vec![]));
        assert!(model.dtype.contains("Q5_K") && model.dtype.contains("BF16"));
    }

    fs::copy(fixtures().join(FILE), folder.join("model-BF16.gguf")).unwrap();
    let several = LmCheckpoint::open(root.path(), "acestep-5Hz-lm-boxed").unwrap_err();
    assert!(several.to_string().contains("model-BF16.gguf"), "{several}");
    let missing = LmCheckpoint::open(root.path(), "acestep-5Hz-lm-none").unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
    for name in ["../x.gguf", "/x.gguf", ".x.gguf", ""] {
        let refused = LmCheckpoint::open(root.path(), name).unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
}

#[test]
fn each_damage_is_called_by_its_name() {
    let whole = fs::read(fixtures().join(FILE)).unwrap();
    let swap = |from: &str, to: &str| replaced(&whole, from, to);
    let mut version = whole.clone();
    version[4] = 77;
    let damages: Vec<(Vec<u8>, &str)> = vec![
        (whole[..whole.len() - 900].to_vec(), "truncated"),
        (whole[..3000].to_vec(), "truncated"),
        (whole[..10].to_vec(), "truncated"),
        (Vec::new(), "empty"),
        (b"<!DOCTYPE html><html>".to_vec(), "web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "LFS",
        ),
        (vec![1; 64], "not a"),
        (version, "version is 77"),
        (
            swap("acestep-lm", "acestep-xy"),
            "architecture is acestep-xy",
        ),
        (
            swap("general.architecture", "general.architectura"),
            "general.architecture is missing",
        ),
        (
            swap("acestep.config_json", "acestep.config_jsom"),
            "acestep.config_json is missing",
        ),
        (
            swap("\"hidden_size\":", "\"hodden_size\":"),
            "missing key `hidden_size`",
        ),
        (
            swap("{\"model_type\"", "[\"model_type\""),
            "acestep.config_json",
        ),
        (
            swap("\"vocab_size\":309", "\"vocab_size\":308"),
            "the config asks for [308, 256]",
        ),
        (
            swap("\"vocab_size\":309", "\"vocab_size\":200"),
            "network has 200",
        ),
        (
            swap("\"num_hidden_layers\":3", "\"num_hidden_layers\":4"),
            "layers.3.",
        ),
        (
            swap("layers.2.mlp.up_proj", "layers.2.mlp.op_proj"),
            "up_proj.weight is missing",
        ),
        (swap("gpt2", "bert"), "tokenizer is bert"),
        (
            swap("tokenizer.ggml.merges", "tokenizer.ggml.merged"),
            "tokenizer.ggml.merges is missing",
        ),
    ];
    for (bytes, words) in damages {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE), bytes).unwrap();
        let error = load(root.path(), FILE, Quantization::None).err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
        assert!(
            text.contains(words) && text.contains(FILE),
            "{words}: {text}"
        );
        assert!(!text.contains('\n') && text.len() < 400, "{text}");
        let problems = &inspect(root.path()).models[0].problems;
        assert!(!problems.is_empty(), "inspect sees {words}");
    }
}
