//! How far a kernel is from the standard way, in a trial on a device.

use candle_core::{D, DType, Device, Result, Tensor};

/// A kernel is trusted up to here: two roundings to bf16, and sums in another order.
pub const ENOUGH: f32 = 0.03;

/// Values of about one that are always the same, and others for another `phase`.
pub(super) fn wave(shape: &[usize], phase: f32, device: &Device, dtype: DType) -> Result<Tensor> {
    let len: usize = shape.iter().product();
    let wave: Vec<f32> = (0..len)
        .map(|i| (i as f32).mul_add(0.37, phase).sin() + (i as f32 * 0.011).cos())
        .collect();
    Tensor::from_vec(wave, shape, device)?.to_dtype(dtype)
}

/// The largest difference, in units of the largest value wanted; infinite where one is no number, which
/// is no agreement.
pub(super) fn apart(got: &Tensor, want: &Tensor) -> Result<f32> {
    let largest = |x: &Tensor| {
        let x = x.to_dtype(DType::F32)?.abs()?;
        x.flatten_all()?.max(D::Minus1)?.to_scalar::<f32>()
    };
    let apart = largest(&(got - want)?)? / largest(want)?.max(f32::MIN_POSITIVE);
    Ok(if apart.is_nan() { f32::INFINITY } else { apart })
}
