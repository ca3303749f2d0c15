//! How quick the language model is, beside the memory and the f32 matrix product of the machine.
//!
//! `cargo bench -p acestep-engine --bench language_model`, on a machine that does nothing else.
//! Random weights in the shape of `acestep-5Hz-lm-0.6B`, in every format that can be asked for:
//! how quick they are does not depend on their values. Takes 4 GB of memory and 3 GB of disk.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/support/lm_layout.rs"]
mod layout;

use std::collections::HashMap;

use acestep_domain::service::Quantization;
use acestep_engine::{
    checkpoint::LmCheckpoint,
    engine::{LanguageModel, LoadOptions, MeasureOptions},
    memory::HugePages,
    observer::Silent,
};
use candle_core::{DType, Device, Tensor};
use layout::Sizes;

/// As in the program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

const NAME: &str = "acestep-5Hz-lm-0.6B";
const SIZES: Sizes = Sizes {
    vocabulary: 217_204,
    hidden: 1024,
    intermediate: 3072,
    layers: 28,
    head_dim: 128,
    queries: 16,
    keys: 8,
};

type Failed = Box<dyn std::error::Error>;

/// Around one for norms, around zero for matrices.
fn values(count: usize, norm: bool) -> Vec<f32> {
    let mean = if norm { 1.0 } else { 0.0 };
    (0..count)
        .map(|i| mean + ((i * 7919 % 2003) as f32 / 1001.0 - 1.0) * 0.05)
        .collect()
}

fn tensors() -> candle_core::Result<HashMap<String, Tensor>> {
    SIZES
        .shapes()
        .into_iter()
        .map(|(name, shape)| {
            let values = values(shape.iter().product(), shape.len() == 1);
            let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
            Ok((name, values.to_dtype(DType::BF16)?))
        })
        .collect()
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> Result<(), Failed> {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    SIZES.write(root.path(), NAME, &tensors()?);
    let source = LmCheckpoint::open(root.path(), NAME)?;
    println!(
        "| weights | GB | prefill tokens/s | of the f32 product | decode tokens/s | of the memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for quantization in [Quantization::Int8, Quantization::Int4, Quantization::None] {
        let options = LoadOptions {
            quantization,
            ..LoadOptions::default()
        };
        let model = LanguageModel::load(&source, &options, &Silent)?;
        let measured = model.measure(&MeasureOptions::default(), &Silent)?;
        println!(
            "| {} | {:.2} | {:.0} | {:.0} % | {:.1} | {:.0} % of {:.0} GB/s |",
            model.info().dtype,
            model.info().resident_bytes as f64 / 1e9,
            measured.prefill_tokens_per_sec,
            100.0 * measured.prefill_share(),
            measured.decode_tokens_per_sec,
            100.0 * measured.decode_share(),
            measured.memory_bytes_per_sec / 1e9,
        );
    }
    Ok(())
}
