//! Quantised language models against the f32 path on weights that candle has quantised and
//! decoded: another writer and reader of the same formats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/small_lm.rs"]
mod small_lm;

use std::{collections::HashMap, path::Path};

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::LmCheckpoint,
    engine::{LanguageModel, LoadOptions},
    kernels::quantized::Format,
    models::qwen3::{CausalLm, Chunk, Config},
    nn::{Backend, Formats, WeightFile, Weights},
    observer::Silent,
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use closeness::{Closeness, assert_close};
use small_lm::{NAME, VOCABULARY, config, tensors, write};

/// Of the largest logit: both sides count in f32 and differ in the order of long sums at most.
const SAME: f64 = 2e-6;

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
            assert_close(&format!("{name} {i}"), got, &want[i], SAME);
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
    let cfg: Config = serde_json::from_value(config()).unwrap();
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
