//! Whether the fused operations can be trusted on a card.

use std::sync::atomic::Ordering;

use candle_core::{DType, Device, Result, Tensor};

use super::DISTRUSTED;
use crate::error::message;
use crate::kernels::{
    agreement::{ENOUGH, apart, wave},
    conv_transpose1d::{ConvTranspose1d, ConvTranspose1dConfig},
    conv1d::{Conv1d, Conv1dConfig},
    gated, heads, norm,
    snake::Snake,
    swiglu,
};

/// Compares each fused operation with its composition of candle's own on a few values. Where one differs
/// or fails, none runs from then on, and the reason is given. Takes milliseconds beside the time to
/// compile the kernels; devices without them pass.
pub fn trial(device: &Device, dtype: DType) -> Option<String> {
    if !device.is_cuda() || !cfg!(feature = "cuda") {
        return None;
    }
    let why = match worst(device, dtype) {
        Ok((apart, _)) if apart <= ENOUGH => return None,
        Ok((apart, name)) => format!(
            "{name} differs by {:.0} % from the standard one",
            apart * 100.0
        ),
        Err(error) => message(&error),
    };
    DISTRUSTED.store(true, Ordering::Relaxed);
    Some(why)
}

/// The largest difference, in units of the largest value, and where.
fn worst(device: &Device, dtype: DType) -> Result<(f32, &'static str)> {
    let values = |shape: &[usize], phase| wave(shape, phase, device, dtype);
    let (x, y) = (values(&[2, 70, 384], 0.0)?, values(&[2, 70, 384], 1.0)?);
    let (weight, rows) = (values(&[384], 2.0)?, values(&[1, 6, 384], 3.0)?);
    let (head, angles) = (values(&[96], 4.0)?, values(&[70, 96], 5.0)?);
    let (modulation, gate) = (rows.narrow(1, 3, 2)?, rows.narrow(1, 5, 1)?);
    let logarithms = |phase| values(&[70], phase)?.affine(0.3, 0.0);
    let (alpha, beta) = (logarithms(6.0)?, logarithms(7.0)?);
    let kernel = values(&[70, 9, 6], 8.0)?;
    let config = ConvTranspose1dConfig {
        stride: 3,
        padding: 2,
        output_padding: 0,
    };
    let conv = ConvTranspose1d::new(&kernel, Some(&values(&[9], 9.0)?), config)?;

    let kernel = values(&[70, 70, 7], 10.0)?.affine(0.1, 0.0)?;
    let dilated = Conv1dConfig {
        stride: 1,
        padding: 9,
        dilation: 3,
    };
    let dilated = Conv1d::new(&kernel, Some(&values(&[70], 11.0)?), dilated)?;
    let snake = Snake::new(&alpha, &beta, dtype)?;
    // Without sines between them, so that both see the same input.
    let plain = Snake::new(&values(&[70], 0.0)?.affine(0.0, -60.0)?, &beta, dtype)?;

    let pairs: [(&'static str, Tensor, Tensor); 9] = [
        (
            "norm",
            norm::rms_norm_modulate(&x, &weight, 1e-6, &modulation)?,
            norm::composed(&x, &weight, 1e-6, &modulation)?,
        ),
        (
            "gate",
            gated::add_gated(&x, &y, &gate)?,
            gated::composed(&x, &y, &gate)?,
        ),
        ("SwiGLU", swiglu::swiglu(&x, &y)?, swiglu::composed(&x, &y)?),
        (
            "heads",
            heads::split_heads(&x, &head, 1e-6, None)?,
            heads::composed(&x, &head, 1e-6, None)?,
        ),
        (
            "rotary positions",
            heads::split_heads(&x, &head, 1e-6, Some(&angles))?,
            heads::composed(&x, &head, 1e-6, Some(&angles))?,
        ),
        ("snake", snake.forward(&x)?, snake.composed(&x)?),
        (
            "convolution",
            dilated.forward_snake_residual(&x, &plain, &y)?,
            dilated.composed(&x, &y)?,
        ),
        (
            "convolution in parts",
            dilated.in_parts(&x, &y, 1)?,
            dilated.composed(&x, &y)?,
        ),
        (
            "transposed convolution",
            conv.forward(&x)?,
            conv.composed(&x)?,
        ),
    ];
    let mut worst = (0f32, "");
    for (name, fused, composed) in pairs {
        let apart = apart(&fused, &composed)?;
        if apart > worst.0 {
            worst = (apart, name);
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::{trial, worst};
    use crate::kernels::agreement::ENOUGH;

    #[test]
    fn the_pairs_agree_where_both_run_on_a_processor() {
        let (apart, name) = worst(&Device::Cpu, DType::F32).unwrap();
        assert!(apart > 0.0 && apart < 1e-5, "{name} {apart}");
        assert!(apart < ENOUGH);
        assert_eq!(trial(&Device::Cpu, DType::F32), None);
    }
}
