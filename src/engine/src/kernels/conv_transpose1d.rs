//! One-dimensional transposed convolution.
//!
//! Output `m · stride + phase − padding` takes only the taps `phase`, `phase + stride`, …, so it
//! is an ordinary convolution with one row for each pair of output channel and phase. Nothing is
//! scattered or added twice; the phases are interleaved when a block is written.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::card;
use super::conv1d::{runs_here, values};
use super::direct::{Direct, Input};
use super::parallel::{SharedOut, filled};
use super::snake::Snake;

/// How the kernel lies on the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose1dConfig {
    /// Output positions between two inputs.
    pub stride: usize,
    /// Output positions cut from both ends.
    pub padding: usize,
    /// Output positions added at the end.
    pub output_padding: usize,
}

/// A transposed convolution with its weights laid out for the device they are on.
#[derive(Debug, Clone)]
pub struct ConvTranspose1d {
    weights: Weights,
    config: ConvTranspose1dConfig,
    kernel: usize,
    in_channels: usize,
    out_channels: usize,
}

#[derive(Debug, Clone)]
enum Weights {
    Packed(Direct),
    /// Elsewhere: a matrix product, whose columns are moved to their places and added.
    Dense {
        /// `[out * taps * stride, in]`
        weight: Tensor,
        /// `[out]`, zeros where the layer has none.
        bias: Tensor,
    },
}

impl ConvTranspose1d {
    /// `weight` is `[in, out, kernel]`, `bias` `[out]`.
    pub fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        config: ConvTranspose1dConfig,
    ) -> Result<Self> {
        let (in_channels, out_channels, kernel) = weight.dims3()?;
        if kernel == 0 || config.stride == 0 {
            bail!("conv_transpose1d: kernel size and stride must not be 0 ({kernel}, {config:?})");
        }
        let weights = if runs_here(weight.device(), weight.dtype()) {
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            let bias = bias.map(Tensor::to_vec1::<f32>).transpose()?;
            if bias.as_ref().is_some_and(|bias| bias.len() != out_channels) {
                bail!(
                    "conv_transpose1d: the bias must have {out_channels} values, one per output channel"
                );
            }
            let stride = config.stride;
            let taps = kernel.div_ceil(stride);
            // Column m sees inputs m − taps + 1 ..= m, the last one through tap `phase`.
            let positions: Vec<usize> = (0..taps).rev().collect();
            Weights::Packed(Direct::new(
                out_channels * stride,
                in_channels,
                1,
                &positions,
                |row, channel, tap| {
                    let k = row % stride + tap * stride;
                    if k < kernel {
                        values[(channel * out_channels + row / stride) * kernel + k]
                    } else {
                        0.0
                    }
                },
                bias.map(|bias| {
                    bias.into_iter()
                        .flat_map(|b| std::iter::repeat_n(b, stride))
                        .collect()
                }),
            ))
        } else {
            let taps = kernel.div_ceil(config.stride);
            Weights::Dense {
                weight: weight
                    .pad_with_zeros(2, 0, taps * config.stride - kernel)?
                    .reshape((in_channels, out_channels * taps * config.stride))?
                    .t()?
                    .contiguous()?,
                bias: match bias {
                    Some(bias) => bias.reshape(out_channels)?,
                    None => Tensor::zeros(out_channels, weight.dtype(), weight.device())?,
                },
            }
        };
        Ok(Self {
            weights,
            config,
            kernel,
            in_channels,
            out_channels,
        })
    }

    /// Columns of the output for `n` columns of the input.
    pub fn out_len(&self, n: usize) -> usize {
        let ConvTranspose1dConfig {
            stride,
            padding,
            output_padding,
        } = self.config;
        match n {
            0 => 0,
            _ => ((n - 1) * stride + self.kernel + output_padding).saturating_sub(2 * padding),
        }
    }

    /// Bytes held for the weights.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Packed(direct) => direct.bytes(),
            Weights::Dense { weight, .. } => weight.elem_count() * weight.dtype().size_in_bytes(),
        }
    }

    /// `[b, in, n]` to `[b, out, out_len(n)]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// The transposed convolution of `snake(x)`, without a tensor for it in between where the
    /// device allows.
    pub fn forward_snake(&self, x: &Tensor, snake: &Snake) -> Result<Tensor> {
        self.run(x, Some(snake))
    }

    fn run(&self, x: &Tensor, snake: Option<&Snake>) -> Result<Tensor> {
        let (_b, channels, n) = x.dims3()?;
        if channels != self.in_channels {
            bail!(
                "conv_transpose1d: expected {} input channels, found {channels}",
                self.in_channels
            );
        }
        if self.out_len(n) == 0 {
            bail!("conv_transpose1d: the padding leaves nothing of an input of {n} columns");
        }
        match &self.weights {
            Weights::Packed(direct) => x.contiguous()?.apply_op1_no_bwd(&Op {
                conv: self,
                direct,
                snake,
            }),
            Weights::Dense { weight, bias } => {
                let x = match snake {
                    Some(snake) => snake.forward(x)?,
                    None => x.clone(),
                };
                let columns = self.columns(&x, weight)?;
                drop(x);
                if card::runs(&columns) {
                    let gather = GatherTaps {
                        padding: self.config.padding,
                        out_len: self.out_len(n),
                    };
                    columns.apply_op2_no_bwd(bias, &gather)
                } else {
                    self.gather(&columns, bias)
                }
            }
        }
    }

    /// [`Self::forward`] by candle's operations; on a processor, which has one kernel for it, by that.
    pub(super) fn composed(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weights {
            Weights::Packed(_) => self.forward(x),
            Weights::Dense { weight, bias } => self.gather(&self.columns(x, weight)?, bias),
        }
    }

    /// Every input times every tap, `[b, out, taps, stride, n]`. candle's own transposed convolution
    /// takes one thread of a card for every output; a matrix product takes all of it.
    fn columns(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let (b, _, n) = x.dims3()?;
        let stride = self.config.stride;
        let columns = weight.unsqueeze(0)?.broadcast_matmul(&x.contiguous()?)?;
        columns.reshape((
            b,
            self.out_channels,
            self.kernel.div_ceil(stride),
            stride,
            n,
        ))
    }

    /// Columns moved to their places and added, and the bias: `[b, out, out_len]`.
    fn gather(&self, columns: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (b, out, taps, stride, n) = columns.dims5()?;
        let padding = self.config.padding;
        let mut sum: Option<Tensor> = None;
        for tap in 0..taps {
            let part = columns
                .narrow(2, tap, 1)?
                .squeeze(2)?
                .transpose(2, 3)? // [b, out, n, stride]
                .contiguous()?
                .reshape((b, out, n * stride))?
                .pad_with_zeros(2, tap * stride, (taps - 1 - tap) * stride)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let Some(sum) = sum else {
            bail!("conv_transpose1d: the kernel has no taps");
        };
        let (held, wanted) = (sum.dim(2)?, padding + self.out_len(n));
        sum.pad_with_zeros(2, 0, wanted.saturating_sub(held))?
            .narrow(2, padding, self.out_len(n))?
            .contiguous()?
            .broadcast_add(&bias.reshape((1, out, 1))?)
    }
}

/// The same as [`ConvTranspose1d::gather`] on a card, of columns and bias.
#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "read by the kernel of cards alone")
)]
struct GatherTaps {
    padding: usize,
    out_len: usize,
}

impl CustomOp2 for GatherTaps {
    fn name(&self) -> &'static str {
        "gather_taps"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("gather_taps: processors have a kernel of their own")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        columns: &candle_core::CudaStorage,
        columns_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (b, channels, ..) = columns_layout.shape().dims5()?;
        let out = card::gather_taps(
            (columns, columns_layout),
            (bias, bias_layout),
            self.padding,
            self.out_len,
        )?;
        Ok((out, Shape::from((b, channels, self.out_len))))
    }
}

struct Op<'a> {
    conv: &'a ConvTranspose1d,
    direct: &'a Direct,
    snake: Option<&'a Snake>,
}

impl CustomOp1 for Op<'_> {
    fn name(&self) -> &'static str {
        "conv_transpose1d"
    }

    #[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(storage, layout)?;
        let (b, channels, n) = layout.shape().dims3()?;
        let ConvTranspose1dConfig {
            stride, padding, ..
        } = self.conv.config;
        let (out_channels, out_len) = (self.conv.out_channels, self.conv.out_len(n));
        let prologue = self
            .snake
            .map(|snake| move |channel: usize, values: &mut [f32]| snake.apply(channel, values));
        let fill = |all: &mut [f32]| {
            for item in 0..b {
                let out = SharedOut::new(
                    &mut all[item * out_channels * out_len..][..out_channels * out_len],
                );
                let input = Input {
                    data: &x[item * channels * n..][..channels * n],
                    len: n,
                    origin: 1 - self.conv.kernel.div_ceil(stride) as isize,
                    prologue: prologue
                        .as_ref()
                        .map(|f| f as &(dyn Fn(usize, &mut [f32]) + Sync)),
                };
                self.direct
                    .run(&input, (out_len + padding).div_ceil(stride), |done| {
                        let (channel, phase) = (done.row / stride, done.row % stride);
                        // Column m goes to m · stride + phase − padding.
                        let skipped = padding
                            .saturating_sub(done.first_column * stride + phase)
                            .div_ceil(stride);
                        let first = (done.first_column + skipped) * stride + phase - padding;
                        if skipped >= done.values.len() || first >= out_len {
                            return;
                        }
                        let count =
                            (done.values.len() - skipped).min((out_len - first).div_ceil(stride));
                        // SAFETY: each column of each row is emitted once, and rows of one channel differ
                        // in their phase.
                        unsafe {
                            out.scatter(
                                channel * out_len + first,
                                stride,
                                &done.values[skipped..skipped + count],
                            );
                        };
                    });
            }
        };
        // SAFETY: every phase of every column is emitted, which are all values of a channel.
        let out = unsafe { filled(b * out_channels * out_len, fill) };
        Ok((
            CpuStorage::F32(out),
            Shape::from((b, out_channels, out_len)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{ConvTranspose1d, ConvTranspose1dConfig, Snake};
    use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
    use candle_core::{DType, Tensor};

    /// The definition, in f64: every input is spread over the output.
    fn reference(
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        config: ConvTranspose1dConfig,
    ) -> Vec<f64> {
        let (b, channels, n) = x.dims3().unwrap();
        let (_, out, kernel) = weight.dims3().unwrap();
        let (x, weight, bias) = (flat(x), flat(weight), bias.map(flat));
        let out_len = (n - 1) * config.stride + kernel + config.output_padding - 2 * config.padding;
        let mut result = vec![0f64; b * out * out_len];
        for item in 0..b {
            for row in 0..out {
                let target = &mut result[(item * out + row) * out_len..][..out_len];
                target.fill(bias.as_ref().map_or(0.0, |bias| f64::from(bias[row])));
                for channel in 0..channels {
                    for i in 0..n {
                        for k in 0..kernel {
                            let at = i * config.stride + k;
                            if at >= config.padding && at - config.padding < out_len {
                                target[at - config.padding] +=
                                    f64::from(x[(item * channels + channel) * n + i])
                                        * f64::from(weight[(channel * out + row) * kernel + k]);
                            }
                        }
                    }
                }
            }
        }
        result
    }

    fn config(stride: usize, padding: usize, output_padding: usize) -> ConvTranspose1dConfig {
        ConvTranspose1dConfig {
            stride,
            padding,
            output_padding,
        }
    }

    #[test]
    fn equals_the_definition() {
        // (batch, in, out, n, kernel, stride, padding, output padding)
        let cases = [
            (1, 1, 1, 1, 2, 1, 0, 0),
            (2, 4, 3, 21, 4, 2, 1, 0),
            (1, 5, 7, 31, 6, 3, 2, 0),
            (1, 5, 7, 31, 6, 3, 2, 1),
            (1, 3, 2, 9, 20, 10, 5, 0),
            (3, 2, 4, 13, 12, 6, 3, 0),
            (1, 2, 3, 7, 2, 1, 1, 0),
            (1, 3, 2, 11, 7, 3, 1, 2),
            (1, 3, 2, 11, 2, 3, 0, 0),
            (1, 3, 2, 5, 960, 480, 240, 0),
            (1, 33, 20, 1201, 8, 4, 2, 0),
            (1, 2, 1, 6, 9, 2, 4, 0),
        ];
        for (i, &(b, c, out, n, kernel, stride, padding, output_padding)) in
            cases.iter().enumerate()
        {
            let config = config(stride, padding, output_padding);
            let x = tensor(&[b, c, n], 1 + i as u64);
            let weight = tensor(&[c, out, kernel], 100 + i as u64);
            let bias = (i % 2 == 0).then(|| tensor(&[out], 200 + i as u64));
            let conv = ConvTranspose1d::new(&weight, bias.as_ref(), config).unwrap();
            let y = conv.forward(&x).unwrap();
            let want = reference(&x, &weight, bias.as_ref(), config);
            assert_eq!(y.dims(), [b, out, conv.out_len(n)], "case {i}");
            assert_close(&flat(&y), &want, 2e-6);

            let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let dense =
                ConvTranspose1d::new(&double(&weight), bias.as_ref().map(double).as_ref(), config)
                    .unwrap();
            let y = dense
                .forward(&double(&x))
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap();
            assert_close(&flat(&y), &want, 2e-6);
        }
    }

    #[test]
    fn snake_before_equals_the_two_steps() {
        let conv = ConvTranspose1d::new(&tensor(&[6, 5, 8], 1), None, config(4, 2, 0)).unwrap();
        let snake = Snake::new(&tensor(&[1, 6, 1], 2), &tensor(&[1, 6, 1], 3), DType::F32).unwrap();
        let x = tensor(&[2, 6, 77], 4);
        let want = conv.forward(&snake.forward(&x).unwrap()).unwrap();
        assert_eq!(flat(&conv.forward_snake(&x, &snake).unwrap()), flat(&want));
    }

    #[test]
    fn same_bytes_whatever_the_threads_and_the_batch() {
        let conv = ConvTranspose1d::new(
            &tensor(&[40, 30, 8], 1),
            Some(&tensor(&[30], 2)),
            config(4, 2, 0),
        )
        .unwrap();
        let x = tensor(&[3, 40, 900], 3);
        same_on_any_number_of_threads(|| conv.forward(&x).unwrap());
        let all = conv.forward(&x).unwrap().narrow(0, 1, 1).unwrap();
        let one = conv.forward(&x.narrow(0, 1, 1).unwrap()).unwrap();
        assert_eq!(flat(&all), flat(&one));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let conv = ConvTranspose1d::new(&tensor(&[3, 4, 4], 1), None, config(2, 1, 0)).unwrap();
        assert!(
            conv.forward(&tensor(&[1, 2, 20], 1))
                .unwrap_err()
                .to_string()
                .contains("3 input channels")
        );
        assert!(ConvTranspose1d::new(&tensor(&[3, 4, 4], 1), None, config(0, 1, 0)).is_err());
        assert!(
            ConvTranspose1d::new(
                &tensor(&[3, 4, 4], 1),
                Some(&tensor(&[3], 1)),
                config(2, 1, 0)
            )
            .is_err()
        );
    }
}
