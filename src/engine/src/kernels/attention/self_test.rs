//! Whether fused attention can be trusted on a device.

use candle_core::{DType, Device, Result};

use super::{fused, standard};
use crate::kernels::agreement::{apart, wave};
use crate::nn::mask::Mask;

/// Lengths of the trial: long enough for a second block of keys, and for a window to hide some.
const LENGTH: usize = 320;
const HEADS: (usize, usize) = (4, 2);
const DIMS: usize = 128;

/// Compares [`fused`] with [`standard`] on fixed values under every kind of mask: the largest
/// difference, in units of the largest value. Takes a few milliseconds.
///
/// # Errors
/// The kernel refuses, or the device has too little memory.
pub fn self_test(device: &Device, dtype: DType) -> Result<f32> {
    let values = |heads, phase| wave(&[1, heads, LENGTH, DIMS], phase, device, dtype);
    let (q, k, v) = (
        values(HEADS.0, 0.0)?,
        values(HEADS.1, 1.0)?,
        values(HEADS.1, 2.0)?,
    );
    let scale = (DIMS as f32).powf(-0.5);
    let mut worst = 0f32;
    for mask in [Mask::None, Mask::Causal, Mask::Window(16)] {
        let want = standard(&q, &k, &v, scale, mask)?;
        let got = fused(&q, &k, &v, scale, mask)?;
        worst = worst.max(apart(&got, &want)?);
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::self_test;

    #[test]
    fn fused_attention_agrees_with_the_standard_one_here() {
        let apart = self_test(&Device::Cpu, DType::F32).unwrap();
        assert!(apart > 0.0 && apart < 1e-5, "{apart}");
        // Nothing fused runs in f64, so both are one.
        assert_eq!(self_test(&Device::Cpu, DType::F64).unwrap(), 0.0);
    }
}
