//! The main model with quantised matrices: against the f32 path on weights that candle has quantised
//! and decoded, and against itself without quantisation, by the latents after eight steps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/demo_folder.rs"]
mod demo_folder;
#[path = "support/eight_steps.rs"]
mod eight_steps;

use std::{fs, path::Path};

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::Checkpoint,
    demo,
    engine::{EngineInfo, LoadOptions},
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use closeness::{Closeness, assert_close};
use eight_steps::bits;

const DIT: &str = "acestep-v15-demo/model.safetensors";
const TEXT: &str = "Qwen3-Embedding-0.6B/model.safetensors";

/// Latents of eight steps: both sides count in f32 and differ in the order of sums.
const SAME: f64 = 1e-3;

fn run(root: &Path, options: &LoadOptions) -> (Tensor, EngineInfo) {
    eight_steps::run(&Checkpoint::open(root, demo::NAME).unwrap(), options)
}

fn asked(quantization: Quantization) -> LoadOptions {
    LoadOptions {
        quantization,
        ..LoadOptions::default()
    }
}

/// The matrices of `file` through candle's quantiser and back: layers in `layers`, embeddings in
/// `table` or left as they are; rows that do not fit in blocks of 32.
fn through_candle(root: &Path, file: &str, layers: GgmlDType, table: Option<GgmlDType>) {
    let path = root.join(file);
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let exact = [
        "time_embed.",
        "time_embed_r.",
        "quantizer.",
        "proj_in.",
        "proj_out.",
    ];
    let through = |name: &str, tensor: Tensor| {
        let wanted = if name.ends_with("embed_tokens.weight") {
            table
        } else {
            Some(layers)
        };
        let stays = tensor.rank() != 2 || exact.iter().any(|part| name.contains(part));
        let Some(wanted) = wanted.filter(|_| !stays) else {
            return tensor;
        };
        let width = tensor.dim(1).unwrap();
        let formats = [wanted, GgmlDType::Q8_0];
        let format = formats
            .into_iter()
            .find(|format| width.is_multiple_of(format.block_size()));
        let values = tensor.to_dtype(DType::F32).unwrap();
        let Some(format) = format else { return values };
        let blocks = QTensor::quantize(&values, format).unwrap();
        blocks.dequantize(&Device::Cpu).unwrap()
    };
    let tensors = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let tensor = through(&name, tensor);
            (name, tensor)
        })
        .collect();
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

#[test]
fn a_quantised_model_is_the_f32_model_of_the_decoded_weights_and_near_the_exact_one() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (exact, plain) = run(root.path(), &asked(Quantization::None));
    assert_eq!(plain.dtype, "f32");
    for (quantization, name, layers, table, floor) in [
        (
            Quantization::Int8,
            "q8_0",
            GgmlDType::Q8_0,
            GgmlDType::Q8_0,
            0.999,
        ),
        (
            Quantization::Int4,
            "q8_0",
            GgmlDType::Q4K,
            GgmlDType::Q6K,
            0.98,
        ),
    ] {
        let (got, info) = run(root.path(), &asked(quantization));
        // Most rows of this small model are no whole superblocks.
        assert_eq!(info.dtype, name);
        let told: Vec<&str> = info.notes.iter().map(|note| note.code.as_str()).collect();
        if quantization == Quantization::Int4 {
            assert_eq!(told, ["quantization_misfits"]);
            let text = &info.notes[0].message;
            assert!(text.contains("layers have eight bits (Q8_0)"), "{text}");
            // From the cache it is told as well.
            let (_, again) = run(root.path(), &asked(quantization));
            assert_eq!(again.notes, info.notes);
        } else {
            assert!(told.is_empty(), "{:?}", info.notes);
        }
        assert!(
            info.resident_bytes < plain.resident_bytes * 3 / 4,
            "{info:?}"
        );

        let decoded = tempfile::tempdir().unwrap();
        demo_folder::write(decoded.path());
        through_candle(decoded.path(), DIT, layers, Some(table));
        through_candle(decoded.path(), TEXT, layers, None);
        let (want, _) = run(decoded.path(), &asked(Quantization::None));
        assert_close(&format!("{quantization:?}"), &got, &want, SAME);

        let apart = Closeness::of(&got, &exact);
        assert!(apart.cosine >= floor, "{quantization:?}: {apart:?}");
        assert!(apart.max_rel > 1e-4, "{quantization:?} changes nothing");
    }
}

#[test]
fn what_was_quantised_is_kept_beside_the_networks_that_were() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (first, _) = run(root.path(), &asked(Quantization::Int8));
    let cache = |folder: &str| {
        root.path()
            .join(folder)
            .join("acestep-cache-q8_0-panels.gguf")
    };
    let made = |folder: &str| fs::metadata(cache(folder)).unwrap().modified().unwrap();
    let times = [made(demo::NAME), made("Qwen3-Embedding-0.6B")];
    assert!(!cache("vae").exists(), "the autoencoder stays as it is");
    let (again, _) = run(root.path(), &asked(Quantization::Int8));
    assert_eq!(bits(&again), bits(&first));
    assert_eq!([made(demo::NAME), made("Qwen3-Embedding-0.6B")], times);
}

#[test]
fn a_small_model_is_quantised_when_it_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (got, info) = run(root.path(), &asked(Quantization::Int8));
    let (exact, _) = run(root.path(), &LoadOptions::default());
    assert_ne!(bits(&got), bits(&exact));
    assert!(info.notes.is_empty(), "{info:?}");
    let cache = root
        .path()
        .join(demo::NAME)
        .join("acestep-cache-q8_0-panels.gguf");
    assert!(cache.exists());
}

#[test]
fn a_damaged_cache_is_made_again_and_what_a_killed_program_left_is_removed() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (first, _) = run(root.path(), &asked(Quantization::Int8));
    let folder = root.path().join(demo::NAME);
    let cache = folder.join("acestep-cache-q8_0-panels.gguf");
    let whole = fs::read(&cache).unwrap();
    // A file of a program that was killed is old, one of a program at work is not.
    let (old, young) = (
        folder.join("acestep-cache-q8_0-panels.gguf.part-1"),
        folder.join("acestep-cache-q8_0-panels.gguf.part-2"),
    );
    for path in [&old, &young] {
        fs::write(path, "half").unwrap();
    }
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(hour_ago).unwrap();

    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..][..4096].fill(0);
    fs::write(&cache, &damaged).unwrap();
    let (again, info) = run(root.path(), &asked(Quantization::Int8));
    assert_eq!(bits(&again), bits(&first));
    let codes: Vec<&str> = info.notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(codes, ["quantization_remade"]);
    assert!(info.notes[0].message.contains(demo::NAME), "{info:?}");
    assert!(fs::read(&cache).unwrap() == whole);
    assert!(!old.exists() && young.exists());

    let (_, info) = run(root.path(), &asked(Quantization::Int8));
    assert!(info.notes.is_empty(), "{info:?}");
}

/// A byte of the file that lies between two of the samples that are looked at in passing.
fn unseen(bytes: &[u8]) -> usize {
    let piece = bytes.len() / 63;
    assert!(
        piece > 4 * (16 << 10),
        "{piece}: samples would be close together"
    );
    31 * piece + piece / 2
}

#[test]
fn a_source_that_changed_where_no_sample_looks_is_quantised_again() {
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (first, _) = run(root.path(), &asked(Quantization::Int8));
    let folder = root.path().join(demo::NAME);
    let cache = folder.join("acestep-cache-q8_0-panels.gguf");
    let before = fs::read(&cache).unwrap();
    let source = folder.join("model.safetensors");
    let mut bytes = fs::read(&source).unwrap();
    let place = unseen(&bytes);
    // The sign of a value, whichever of its bytes this is.
    bytes[place..][..4]
        .iter_mut()
        .for_each(|byte| *byte ^= 0x80);
    fs::write(&source, &bytes).unwrap();
    let (again, info) = run(root.path(), &asked(Quantization::Int8));
    assert_ne!(bits(&again), bits(&first));
    assert!(info.notes.is_empty(), "{info:?}");
    assert!(fs::read(&cache).unwrap() != before, "made again");
}

#[cfg(unix)]
#[test]
fn a_source_that_was_only_touched_keeps_its_cache() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let (first, _) = run(root.path(), &asked(Quantization::Int8));
    let folder = root.path().join(demo::NAME);
    let cache = folder.join("acestep-cache-q8_0-panels.gguf");
    let file = || fs::metadata(&cache).unwrap();
    let before = file();
    let source = folder.join("model.safetensors");
    let later = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
    let touched = fs::File::options().write(true).open(&source).unwrap();
    touched.set_modified(later).unwrap();
    let (again, info) = run(root.path(), &asked(Quantization::Int8));
    assert_eq!(bits(&again), bits(&first));
    assert!(info.notes.is_empty(), "{info:?}");
    assert_eq!(
        file().ino(),
        before.ino(),
        "one that is made again is another file"
    );
    // The new time is known now: nothing is read or written for it any more.
    let refreshed = file().modified().unwrap();
    assert_ne!(refreshed, before.modified().unwrap());
    run(root.path(), &asked(Quantization::Int8));
    assert_eq!(file().modified().unwrap(), refreshed);
}
