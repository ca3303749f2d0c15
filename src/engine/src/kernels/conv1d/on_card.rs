//! The two steps around the matrix product of a convolution on a card. On a processor, which has one kernel for
//! all of it, they are the definition in f64, for tests of what is put together from them.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, bail};

use super::Conv1dConfig;
#[cfg(feature = "cuda")]
use crate::kernels::card;

/// Values where they lie.
type Values<'a> = (&'a CpuStorage, &'a Layout);

/// Those of a contiguous f64 tensor.
fn exact((storage, layout): Values<'_>) -> Result<&[f64]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f64>()?[start..end]),
        None => bail!("the operations of cards need contiguous input"),
    }
}

/// What each tap of the outputs `first..first + out_len` sees, `[b, in · kernel, out_len]` of `[b, in, n]`, on a
/// card.
pub(super) struct Unfold {
    pub(super) kernel: usize,
    pub(super) first: usize,
    pub(super) out_len: usize,
    pub(super) config: Conv1dConfig,
}

impl Unfold {
    /// Of rows of `n` inputs.
    fn reference(&self, x: &[f64], n: usize) -> Vec<f64> {
        let Conv1dConfig {
            stride,
            padding,
            dilation,
        } = self.config;
        let mut out = Vec::with_capacity(x.len() / n * self.kernel * self.out_len);
        for row in x.chunks_exact(n) {
            for tap in 0..self.kernel {
                out.extend((self.first..self.first + self.out_len).map(|column| {
                    let place = (column * stride + tap * dilation).checked_sub(padding);
                    place
                        .and_then(|place| row.get(place))
                        .copied()
                        .unwrap_or(0.0)
                }));
            }
        }
        out
    }
}

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (b, channels, n) = layout.shape().dims3()?;
        let out = self.reference(exact((x, layout))?, n);
        let shape = Shape::from((b, channels * self.kernel, self.out_len));
        Ok((CpuStorage::F64(out), shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (b, channels, _) = layout.shape().dims3()?;
        let out = card::unfold(
            (x, layout),
            self.kernel,
            (self.first, self.out_len),
            self.config,
        )?;
        Ok((out, Shape::from((b, channels * self.kernel, self.out_len))))
    }
}

/// Adds a bias `[out]` and a residual to `[b, out, n]`, on a card.
pub(super) struct AddBias;

impl AddBias {
    fn reference(
        y: Values<'_>,
        bias: Values<'_>,
        residual: Option<Values<'_>>,
    ) -> Result<Vec<f64>> {
        let (_, channels, n) = y.1.shape().dims3()?;
        let (mut out, bias) = (exact(y)?.to_vec(), exact(bias)?);
        if bias.len() != channels {
            bail!("add_bias: shapes do not fit");
        }
        for (row, bias) in out.chunks_exact_mut(n).zip(bias.iter().cycle()) {
            for value in row {
                *value += bias;
            }
        }
        if let Some(residual) = residual {
            for (value, added) in out.iter_mut().zip(exact(residual)?) {
                *value += added;
            }
        }
        Ok(out)
    }
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = Self::reference((y, y_layout), (bias, bias_layout), None)?;
        Ok((CpuStorage::F64(out), y_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = card::add_bias((y, y_layout), (bias, bias_layout), None)?;
        Ok((out, y_layout.shape().clone()))
    }
}

impl CustomOp3 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Some((residual, residual_layout));
        let out = Self::reference((y, y_layout), (bias, bias_layout), residual)?;
        Ok((CpuStorage::F64(out), y_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
        residual: &candle_core::CudaStorage,
        residual_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let residual = (residual, residual_layout);
        let out = card::add_bias((y, y_layout), (bias, bias_layout), Some(residual))?;
        Ok((out, y_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::{super::Conv1d, Conv1dConfig};

    #[test]
    fn a_convolution_in_parts_is_the_whole_one() {
        for (b, channels, out, n, kernel, config) in [
            (1, 3, 5, 300, 7, (1, 3, 1)),
            (2, 4, 3, 513, 7, (1, 27, 9)),
            (1, 5, 2, 1000, 6, (3, 2, 1)),
            (2, 2, 2, 127, 3, (1, 1, 1)),
            (1, 6, 4, 257, 1, (1, 0, 1)),
        ] {
            let (stride, padding, dilation) = config;
            let config = Conv1dConfig {
                stride,
                padding,
                dilation,
            };
            let values = |shape: &[usize]| {
                let values = Tensor::rand(-1f64, 1f64, shape, &Device::Cpu).unwrap();
                assert_eq!(values.dtype(), DType::F64);
                values
            };
            let (weight, bias) = (values(&[out, channels, kernel]), values(&[out]));
            let conv = Conv1d::new(&weight, Some(&bias), config).unwrap();
            let x = values(&[b, channels, n]);
            let residual = values(&[b, out, conv.out_len(n)]);
            let whole = conv.composed(&x, &residual).unwrap();
            // One value at once is one line of columns, and the last line is not a whole one.
            for at_once in [1, 1 << 20] {
                let dense = (&weight, &bias);
                let residual = Some(&residual);
                let parts = conv.on_card(x.clone(), dense, residual, at_once).unwrap();
                let apart = (&parts - &whole).unwrap().abs().unwrap();
                let apart = apart.flatten_all().unwrap().max(0).unwrap();
                let apart = apart.to_scalar::<f64>().unwrap();
                assert!(apart < 1e-12, "{n} {kernel} {config:?} {at_once}: {apart}");
            }
        }
    }
}
