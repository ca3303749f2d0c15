//! What this machine can do at best, for measurements to be held against.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

use super::{
    conv1d::{Conv1d, Conv1dConfig},
    quantized::{Blocks, Format, Panels, quantize},
};

/// The quickest of `times` runs, after one that does not count.
///
/// # Errors
/// Whatever `run` gives back.
pub fn quickest<E>(
    times: usize,
    mut run: impl FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<Duration, E> {
    run()?;
    let mut best = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// A buffer that is read by all threads, to see how quick memory is.
pub struct Reader {
    words: Vec<u64>,
}

impl Reader {
    /// A buffer of `bytes`, which should be far more than the caches hold.
    pub fn new(bytes: usize) -> Self {
        // Written, since a page of zeros that nobody wrote is shared by all.
        let words = (0..bytes / size_of::<u64>())
            .into_par_iter()
            .map(|i| i as u64)
            .collect();
        Self { words }
    }

    /// Reads everything once; bytes a second.
    pub fn read(&self) -> f64 {
        const PART: usize = 1 << 15;
        let start = Instant::now();
        let sum: u64 = self
            .words
            .par_chunks(PART)
            .map(sum)
            .reduce(|| 0, u64::wrapping_add);
        black_box(sum);
        size_of_val(self.words.as_slice()) as f64 / start.elapsed().as_secs_f64()
    }
}

/// Sums side by side, so that no addition waits for another.
fn sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; 32];
    let (parts, rest) = words.as_chunks::<32>();
    for part in parts {
        for (sum, word) in sums.iter_mut().zip(part) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter()
        .chain(rest)
        .fold(0, |all, sum| all.wrapping_add(*sum))
}

/// Operations a second of the library's product `[m, k] × [k, n]` in `dtype` on `device`. A card is
/// asked for a product of 4096 each instead, since it is done with a small one before the next comes.
///
/// # Errors
/// Too little memory.
pub fn matmul(device: &Device, dtype: DType, shape: (usize, usize, usize)) -> Result<f64> {
    const ON_CARD: usize = 4096;
    let (m, k, n) = if device.is_cpu() {
        shape
    } else {
        (ON_CARD, ON_CARD, ON_CARD)
    };
    // Numbers of all sizes: a card is quicker with zeros and ones.
    let x = Tensor::rand(-1f32, 1f32, (m, k), device)?.to_dtype(dtype)?;
    let w = Tensor::rand(-1f32, 1f32, (n, k), device)?
        .to_dtype(dtype)?
        .t()?;
    multiplied(m * k * n, || {
        black_box(x.matmul(&w)?);
        device.synchronize()
    })
}

/// Operations a second of `run`, which multiplies and adds so many `pairs`.
fn multiplied(pairs: usize, run: impl FnMut() -> Result<()>) -> Result<f64> {
    Ok(2.0 * pairs as f64 / quickest(4, run)?.as_secs_f64())
}

/// [`matmul`] in f32 on the processor.
///
/// # Errors
/// Too little memory.
pub fn matmul_f32(m: usize, k: usize, n: usize) -> Result<f64> {
    matmul(&Device::Cpu, DType::F32, (m, k, n))
}

/// Operations a second of the product of `m` rows with a matrix `[n, k]` in Q8_0, on the processor.
///
/// # Errors
/// Too little memory, or `k` is no multiple of 32.
pub fn quantized(m: usize, k: usize, n: usize) -> Result<f64> {
    let values = Tensor::rand(-1f32, 1f32, n * k, &Device::Cpu)?.to_vec1::<f32>()?;
    let format = Format::Q8_0;
    let blocks = quantize(format, (n, k), |row, out| {
        out.copy_from_slice(&values[row * k..][..k]);
    })?;
    let panels = Panels::new(&Blocks::new(Arc::new(blocks), 0, format, (n, k))?)?;
    let x = Tensor::rand(-1f32, 1f32, (m, k), &Device::Cpu)?;
    multiplied(m * k * n, || {
        black_box(Panels::linear(&[&panels], &x)?);
        Ok(())
    })
}

/// Operations a second of the autoencoder's commonest convolution, `channels` to as many over seven of
/// `len` samples, on the processor.
///
/// # Errors
/// Too little memory.
pub fn convolution(channels: usize, len: usize) -> Result<f64> {
    const TAPS: usize = 7;
    let weight = Tensor::rand(-1f32, 1f32, (channels, channels, TAPS), &Device::Cpu)?;
    let config = Conv1dConfig {
        padding: TAPS / 2,
        ..Conv1dConfig::default()
    };
    let conv = Conv1d::new(&weight, None, config)?;
    let x = Tensor::rand(-1f32, 1f32, (1, channels, len), &Device::Cpu)?;
    multiplied(channels * channels * TAPS * len, || {
        black_box(conv.forward(&x)?);
        Ok(())
    })
}

/// Bytes a second that a card moves within its memory, read and written ones counted.
///
/// # Errors
/// Too little memory.
pub fn card_memory(device: &Device) -> Result<f64> {
    const BYTES: usize = 1 << 29;
    let x = Tensor::zeros(BYTES / size_of::<f32>(), DType::F32, device)?;
    let best = quickest(4, || {
        black_box(x.copy()?);
        device.synchronize()
    })?;
    Ok(2.0 * BYTES as f64 / best.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::{Reader, convolution, matmul_f32, quantized, quickest, sum};

    #[test]
    fn rates_are_numbers() {
        assert!(Reader::new(1 << 20).read() > 0.0);
        assert!(matmul_f32(3, 5, 7).unwrap() > 0.0);
        assert!(quantized(3, 64, 7).unwrap() > 0.0);
        assert!(convolution(5, 30).unwrap() > 0.0);
        let words: Vec<u64> = (0..1000).collect();
        assert_eq!(sum(&words), 999 * 500);
        let mut runs = 0;
        quickest(3, || {
            runs += 1;
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(runs, 4);
    }
}
