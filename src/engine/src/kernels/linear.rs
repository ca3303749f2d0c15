//! What linear layers of packed and of quantised weights have in common: activations in, outputs out.

use candle_core::{Device, Result, Storage, Tensor, bail};

use super::conv1d::values;

/// `x` `[n, width]` (f32) times several transposed matrices of `dims` `[outputs, width]`: `products`
/// gets the values of `x` and an output `[n, outputs]` of zeros for each. Without values of `x`
/// nothing is multiplied.
///
/// # Errors
/// Another width, dtype or device.
pub(super) fn outputs_of(
    dims: &[(usize, usize)],
    x: &Tensor,
    products: impl FnOnce(&[f32], &mut [Vec<f32>]),
) -> Result<Vec<Tensor>> {
    let (n, width) = x.dims2()?;
    if let Some((_, other)) = dims.iter().find(|(_, own)| *own != width) {
        bail!("linear: rows of {width} values do not fit weights of {other}");
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!("linear: the activations are not in host memory");
    };
    let mut outputs: Vec<_> = dims.iter().map(|(rows, _)| vec![0f32; n * rows]).collect();
    if n * width > 0 {
        products(values(storage, layout)?, &mut outputs);
    }
    dims.iter()
        .zip(outputs)
        .map(|((rows, _), out)| Tensor::from_vec(out, (n, *rows), &Device::Cpu))
        .collect()
}
