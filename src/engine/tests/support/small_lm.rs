//! A random language model whose widths are whole superblocks, with the bundled tokenizer.

#[path = "lm_layout.rs"]
mod layout;

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

use layout::Sizes;

pub(crate) const NAME: &str = "acestep-5Hz-lm-random";
pub(crate) const VOCABULARY: usize = 1536;

pub(crate) const SIZES: Sizes = Sizes {
    vocabulary: VOCABULARY,
    hidden: 256,
    intermediate: 512,
    layers: 2,
    // Four heads of 48 are no whole superblock: their rows get blocks of 32.
    head_dim: 48,
    queries: 4,
    keys: 2,
};

/// Names and values, in bf16, always the same.
pub(crate) fn tensors() -> HashMap<String, Tensor> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    SIZES
        .shapes()
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let vector = shape.len() == 1;
            // Norms around one, matrices that keep the size of what they are multiplied with.
            let scale = 1.7 / (shape[shape.len() - 1] as f32).sqrt();
            let values: Vec<f32> = (0..count)
                .map(|_| {
                    if vector {
                        1.0 + 0.2 * next()
                    } else {
                        scale * next()
                    }
                })
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor.to_dtype(DType::BF16).unwrap())
        })
        .collect()
}

/// The released layout in a folder [`NAME`] below `root`.
pub(crate) fn write(root: &Path, tensors: &HashMap<String, Tensor>) {
    SIZES.write(root, NAME, tensors);
}
