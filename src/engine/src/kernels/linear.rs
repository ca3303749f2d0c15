//! What linear layers of packed and of quantised weights have in common: activations in, outputs out.

use candle_core::{Device, Result, Storage, Tensor, bail};

use super::{conv1d::values, parallel::all_filled};

/// `x` `[n, width]` (f32) times several transposed matrices of `dims` `[outputs, width]`: `products`
/// sets every value of an output `[n, outputs]` for each, from the values of `x`. Without values of `x`
/// nothing is multiplied.
///
/// # Errors
/// Another width, dtype or device.
///
/// # Safety
/// `products` sets every value of every output, and reads none that it has not set.
#[expect(unsafe_code, reason = "the outputs are written before they are read")]
pub(super) unsafe fn outputs_of(
    dims: &[(usize, usize)],
    x: &Tensor,
    products: impl FnOnce(&[f32], &mut [&mut [f32]]),
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
    let lens: Vec<usize> = dims.iter().map(|(rows, _)| n * rows).collect();
    let outputs = if n * width > 0 {
        let x = values(storage, layout)?;
        // SAFETY: the caller promises to set all of them.
        unsafe { all_filled(&lens, |outputs| products(x, outputs)) }
    } else {
        lens.iter().map(|&len| vec![0.0; len]).collect()
    };
    dims.iter()
        .zip(outputs)
        .map(|((rows, _), out)| Tensor::from_vec(out, (n, *rows), &Device::Cpu))
        .collect()
}
