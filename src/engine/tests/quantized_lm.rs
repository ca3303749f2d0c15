//! Quantised language models against the f32 path on weights that candle has quantised and
//! decoded: another writer and reader of the same formats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "rows of the head are a list of ranges"
)]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/small_lm.rs"]
mod small_lm;

use std::{collections::HashMap, path::Path};

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::{LmCheckpoint, list_lms},
    engine::{LanguageModel, LoadOptions, MeasureOptions},
    error::{Error, Stage},
    kernels::{matvec::FEW_ROWS, quantized::Format},
    models::qwen3::{CausalLm, Chunk, Config},
    nn::{Backend, Formats, WeightFile, Weights},
    observer::{Observer, Silent},
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use closeness::{Closeness, assert_close};
use small_lm::{NAME, SIZES, VOCABULARY, tensors, write};

/// Of the largest logit: both sides count in f32 and differ in the order of long sums at most.
const SAME: f64 = 2e-6;

/// A prompt of many tokens: its activations are rounded to sixteen bits.
const ROUNDED: f64 = 2e-4;

fn prompts() -> Vec<Vec<u32>> {
    let long = (0..90).map(|i| i * 37 % VOCABULARY as u32).collect();
    vec![vec![5], vec![1, 2, 3, 400, 7, 9], long]
}

fn load(root: &Path, quantization: Quantization) -> LanguageModel {
    let options = LoadOptions {
        quantization,
        ..LoadOptions::default()
    };
    let source = LmCheckpoint::open(root, NAME).unwrap();
    LanguageModel::load(&source, &options, &Silent).unwrap()
}

fn logits(lm: &LanguageModel) -> Vec<Tensor> {
    lm.logits(&prompts(), &Silent).unwrap()
}

/// Every matrix through candle's quantiser and back.
fn through_candle(layers: GgmlDType, table: GgmlDType) -> HashMap<String, Tensor> {
    let through = |name: &str, tensor: Tensor| {
        if tensor.rank() != 2 {
            return tensor;
        }
        let wanted = if name.contains("embed_tokens") {
            table
        } else {
            layers
        };
        let fits = tensor.dim(1).unwrap().is_multiple_of(wanted.block_size());
        let format = if fits { wanted } else { GgmlDType::Q8_0 };
        let blocks = QTensor::quantize(&tensor, format).unwrap();
        blocks.dequantize(&Device::Cpu).unwrap()
    };
    tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let tensor = tensor.to_dtype(DType::F32).unwrap();
            let tensor = through(&name, tensor);
            (name, tensor)
        })
        .collect()
}

#[test]
fn quantised_at_load_is_the_f32_model_of_the_decoded_weights() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &tensors());
    let exact = load(root.path(), Quantization::None);
    assert_eq!(exact.info().dtype, "f32");
    for (asked, layers, table, name, error) in [
        (
            Quantization::Int8,
            GgmlDType::Q8_0,
            GgmlDType::Q8_0,
            "q8_0",
            0.02,
        ),
        (
            Quantization::Int4,
            GgmlDType::Q4K,
            GgmlDType::Q6K,
            "q4_k",
            0.3,
        ),
    ] {
        let quantised = load(root.path(), asked);
        let info = quantised.info();
        assert_eq!(info.dtype, name);
        assert!(info.resident_bytes < exact.info().resident_bytes / 3);
        assert!(quantised.memory_bytes(&[100]) < exact.memory_bytes(&[100]));
        let told = info.notes.iter().any(|note| note.code == "lm_quantization");
        assert_eq!(told, asked == Quantization::Int4);
        let decoded = tempfile::tempdir().unwrap();
        write(decoded.path(), &through_candle(layers, table));
        let want = logits(&load(decoded.path(), Quantization::None));
        let plain = logits(&exact);
        for (i, got) in logits(&quantised).iter().enumerate() {
            let tolerance = if prompts()[i].len() > FEW_ROWS {
                ROUNDED
            } else {
                SAME
            };
            assert_close(&format!("{name} {i}"), got, &want[i], tolerance);
            let apart = Closeness::of(got, &plain[i]);
            assert!(
                apart.max_rel < error,
                "{name}: {apart:?} from the f32 model"
            );
            assert!(apart.max_rel > 1e-5, "{name} is not quantised at all");
        }
    }
}

fn network(formats: Formats) -> CausalLm {
    let bytes = safetensors::serialize(tensors(), None).unwrap();
    let file = WeightFile::from_vec(bytes).unwrap();
    let w = Weights::new(vec![file], DType::F32, &Device::Cpu).unwrap();
    let cfg: Config = serde_json::from_value(SIZES.config()).unwrap();
    let lm = CausalLm::load(&cfg, Backend::Fused, &w.with_formats(formats)).unwrap();
    assert_eq!(w.unused(), Vec::<String>::new());
    lm
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn rows_of_the_head_and_company_in_a_batch_do_not_change_the_bits() {
    for (layers, table) in [
        (Format::Q8_0, Format::Q8_0),
        (Format::Q4K, Format::Q6K),
        (Format::Q5K, Format::Q6K),
    ] {
        let lm = network(Formats {
            layers: Some(layers),
            table: Some(table),
        });
        let run = |prompts: &[Vec<u32>]| {
            let mut caches: Vec<_> = prompts.iter().map(|_| lm.cache(8).unwrap()).collect();
            let mut chunks: Vec<Chunk<'_>> = prompts
                .iter()
                .zip(&mut caches)
                .map(|(ids, cache)| Chunk { ids, cache })
                .collect();
            lm.extend_last(&mut chunks).unwrap()
        };
        let hidden = run(&prompts());
        let whole = lm.logits(&hidden, &[0..VOCABULARY]).unwrap();
        let some = lm.logits(&hidden, &[7..8, 100..VOCABULARY, 0..3]).unwrap();
        let parts: Vec<Tensor> = [(7, 1), (100, VOCABULARY - 100), (0, 3)]
            .into_iter()
            .map(|(first, count)| whole.narrow(1, first, count).unwrap())
            .collect();
        assert_eq!(bits(&some), bits(&Tensor::cat(&parts, 1).unwrap()));
        for (row, prompt) in prompts().into_iter().enumerate() {
            let alone = run(&[prompt]);
            assert_eq!(bits(&alone), bits(&hidden.narrow(0, row, 1).unwrap()));
        }
    }
}

/// Files of the model's folder that are no part of the release.
fn caches(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join(NAME))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("cache"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_quantised_is_kept_and_made_again_when_the_checkpoint_changes() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &tensors());
    let cache = root
        .path()
        .join(NAME)
        .join("acestep-cache-q8_0-panels.gguf");
    let first = logits(&load(root.path(), Quantization::Int8));
    assert_eq!(caches(root.path()), ["acestep-cache-q8_0-panels.gguf"]);
    let made = std::fs::read(&cache).unwrap();
    let time = std::fs::metadata(&cache).unwrap().modified().unwrap();

    let again = load(root.path(), Quantization::Int8);
    assert!(
        again
            .info()
            .notes
            .iter()
            .all(|note| note.code != "quantization_not_kept")
    );
    for (a, b) in logits(&again).iter().zip(&first) {
        assert_eq!(bits(a), bits(b));
    }
    assert_eq!(
        std::fs::metadata(&cache).unwrap().modified().unwrap(),
        time,
        "reused"
    );

    // A damaged cache is made again, and so is that of another checkpoint.
    std::fs::write(&cache, &made[..made.len() / 2]).unwrap();
    for (a, b) in logits(&load(root.path(), Quantization::Int8))
        .iter()
        .zip(&first)
    {
        assert_eq!(bits(a), bits(b));
    }
    assert!(std::fs::read(&cache).unwrap() == made, "made again");
    let mut other = tensors();
    let name = "model.layers.0.mlp.up_proj.weight";
    let changed = other[name].neg().unwrap();
    other.insert(name.to_owned(), changed);
    write(root.path(), &other);
    let changed = logits(&load(root.path(), Quantization::Int8));
    assert_ne!(bits(&changed[1]), bits(&first[1]));

    load(root.path(), Quantization::Int4);
    let both = [
        "acestep-cache-q4_k-panels.gguf",
        "acestep-cache-q8_0-panels.gguf",
    ];
    assert_eq!(caches(root.path()), both);
    // Neither is taken for the model itself.
    let size = std::fs::metadata(root.path().join(NAME).join("model.safetensors"))
        .unwrap()
        .len();
    assert_eq!(list_lms(root.path()), [(NAME.to_owned(), size)]);
    std::fs::remove_file(root.path().join(NAME).join("model.safetensors")).unwrap();
    std::fs::remove_file(&cache).unwrap();
    let alone = LmCheckpoint::open(root.path(), NAME)
        .unwrap_err()
        .to_string();
    assert!(alone.contains("acestep-cache"), "{alone}");
}

/// Unpacking and synchronising keep times, and fine-tuned models have the size of what they came from.
#[test]
fn other_weights_of_the_same_size_and_time_are_quantised_anew() {
    let root = tempfile::tempdir().unwrap();
    let weights = root.path().join(NAME).join("model.safetensors");
    write(root.path(), &tensors());
    let time = std::fs::metadata(&weights).unwrap().modified().unwrap();
    let first = logits(&load(root.path(), Quantization::Int8));
    let mut other = tensors();
    for tensor in other.values_mut() {
        *tensor = (tensor.clone() * 0.5).unwrap();
    }
    write(root.path(), &other);
    let file = std::fs::File::options().write(true).open(&weights).unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    let second = logits(&load(root.path(), Quantization::Int8));
    assert_ne!(bits(&first[0]), bits(&second[0]));
}

/// A folder in the way of the file stands for one that cannot be written to, which a test that
/// runs as root cannot make.
#[test]
fn a_cache_that_cannot_be_written_is_a_note() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &tensors());
    let want = logits(&load(root.path(), Quantization::Int8));
    let cache = root
        .path()
        .join(NAME)
        .join("acestep-cache-q8_0-panels.gguf");
    std::fs::remove_file(&cache).unwrap();
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("in the way"), "").unwrap();
    let lm = load(root.path(), Quantization::Int8);
    let notes = &lm.info().notes;
    let note = notes
        .iter()
        .find(|note| note.code == "quantization_not_kept");
    assert!(
        note.unwrap().message.contains("cannot be written"),
        "{notes:?}"
    );
    for (a, b) in logits(&lm).iter().zip(&want) {
        assert_eq!(bits(a), bits(b), "quantised in memory");
    }
    assert_eq!(
        caches(root.path()),
        ["acestep-cache-q8_0-panels.gguf"],
        "nothing is left over"
    );
}

/// Cancelled after a few questions.
struct Impatient(std::sync::atomic::AtomicUsize);

impl Observer for Impatient {
    fn progress(&self, _: Stage, _: usize, _: usize, _: usize) {}

    fn cancelled(&self) -> bool {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 6
    }
}

#[test]
fn quantising_can_be_cancelled_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &tensors());
    let source = LmCheckpoint::open(root.path(), NAME).unwrap();
    let options = LoadOptions {
        quantization: Quantization::Int8,
        ..LoadOptions::default()
    };
    let stopped = LanguageModel::load(&source, &options, &Impatient(0.into()));
    assert!(matches!(stopped.err(), Some(Error::Cancelled)));
    assert_eq!(caches(root.path()), Vec::<String>::new());
}

/// Rates depend on the machine; what is counted does not.
#[test]
fn a_measurement_counts_the_weights_that_a_step_reads() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &tensors());
    let lm = load(root.path(), Quantization::Int8);
    let options = MeasureOptions {
        prompt: 20,
        steps: 2,
        times: 1,
        buffer_bytes: 1 << 20,
    };
    let measured = lm.measure(&options, &Silent).unwrap();
    assert_eq!(measured.decode_bytes, lm.info().resident_bytes);
    assert!(measured.prefill_share() > 0.0 && measured.decode_share() > 0.0);
    // Two for each weight of the layers and each token, and a little for the attention.
    let table = (VOCABULARY * 256) as u64;
    let layers = 2.0 * (lm.info().parameters - table) as f64;
    let each = measured.prefill_flops / measured.prefill_tokens_per_sec;
    assert!(each > layers && each < 1.1 * layers, "{each} of {layers}");
    for wrong in [
        MeasureOptions {
            steps: 0,
            ..options
        },
        MeasureOptions {
            prompt: 100_000,
            ..options
        },
    ] {
        let refused = lm.measure(&wrong, &Silent).unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
}
