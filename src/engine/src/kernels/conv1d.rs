//! One-dimensional convolution, any kernel size, stride, dilation and padding.

mod on_card;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail,
};

use self::on_card::{AddBias, Unfold};
use super::card;
use super::direct::{Direct, Input};
use super::parallel::{SharedOut, filled};
use super::snake::Snake;

/// How the kernel lies on the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv1dConfig {
    /// Input positions between two outputs.
    pub stride: usize,
    /// Zeros before and after the input.
    pub padding: usize,
    /// Input positions between two taps.
    pub dilation: usize,
}

impl Default for Conv1dConfig {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
        }
    }
}

/// Bytes of what taps see that are laid out at once on a card: seven taps over a whole piece of a song would take
/// seven times its sound at its widest.
pub(crate) const SEEN_BYTES: usize = 64 << 20;

/// Columns of `rows` each that are laid out at once where that is to be about `values`: whole lines of memory to each
/// row.
pub(crate) fn columns_at_once(values: usize, rows: usize) -> usize {
    const LINE: usize = 128;
    (values / rows).max(1).next_multiple_of(LINE)
}

/// A convolution with its weights laid out for the device they are on.
#[derive(Debug, Clone)]
pub struct Conv1d {
    weights: Weights,
    config: Conv1dConfig,
    kernel: usize,
    in_channels: usize,
    out_channels: usize,
}

#[derive(Debug, Clone)]
enum Weights {
    Packed(Direct),
    /// Elsewhere.
    Dense {
        /// `[out, in, kernel]`
        weight: Tensor,
        /// `[out]`, zeros where the layer has none.
        bias: Tensor,
    },
}

impl Conv1d {
    /// `weight` is `[out, in, kernel]`, `bias` `[out]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, config: Conv1dConfig) -> Result<Self> {
        let (out_channels, in_channels, kernel) = weight.dims3()?;
        if kernel == 0 || config.stride == 0 || config.dilation == 0 {
            bail!("conv1d: kernel size, stride and dilation must not be 0 ({kernel}, {config:?})");
        }
        let weights = if runs_here(weight.device(), weight.dtype()) {
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            let bias = bias.map(Tensor::to_vec1::<f32>).transpose()?;
            if bias.as_ref().is_some_and(|bias| bias.len() != out_channels) {
                bail!("conv1d: the bias must have {out_channels} values, one per output channel");
            }
            let positions: Vec<usize> = (0..kernel).map(|k| k * config.dilation).collect();
            Weights::Packed(Direct::new(
                out_channels,
                in_channels,
                config.stride,
                &positions,
                |row, channel, k| values[(row * in_channels + channel) * kernel + k],
                bias,
            ))
        } else {
            Weights::Dense {
                weight: weight.contiguous()?,
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
        let span = self.config.dilation * (self.kernel - 1) + 1;
        match (n + 2 * self.config.padding).checked_sub(span) {
            Some(room) => room / self.config.stride + 1,
            None => 0,
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
        self.run(x, None, None)
    }

    /// The convolution of `snake(x)`, without a tensor for it in between where the device allows.
    pub fn forward_snake(&self, x: &Tensor, snake: &Snake) -> Result<Tensor> {
        self.run(x, Some(snake), None)
    }

    /// `residual + conv(snake(x))`; `residual` has the shape of the output.
    pub fn forward_snake_residual(
        &self,
        x: &Tensor,
        snake: &Snake,
        residual: &Tensor,
    ) -> Result<Tensor> {
        self.run(x, Some(snake), Some(residual))
    }

    fn run(&self, x: &Tensor, snake: Option<&Snake>, residual: Option<&Tensor>) -> Result<Tensor> {
        let (_b, channels, n) = x.dims3()?;
        if channels != self.in_channels {
            bail!(
                "conv1d: expected {} input channels, found {channels}",
                self.in_channels
            );
        }
        if self.out_len(n) == 0 {
            bail!("conv1d: an input of {n} columns is shorter than the kernel");
        }
        match &self.weights {
            Weights::Packed(direct) => {
                let op = Op {
                    conv: self,
                    direct,
                    snake,
                };
                let x = x.contiguous()?;
                match residual {
                    None => x.apply_op1_no_bwd(&op),
                    Some(residual) => x.apply_op2_no_bwd(&residual.contiguous()?, &op),
                }
            }
            Weights::Dense { weight, bias } => {
                let x = match snake {
                    Some(snake) => snake.forward(x)?,
                    None => x.clone(),
                };
                if card::runs(&x) {
                    let at_once = SEEN_BYTES / x.dtype().size_in_bytes();
                    self.on_card(x, (weight, bias), residual, at_once)
                } else {
                    self.general(&x, weight, bias, residual)
                }
            }
        }
    }

    /// [`Self::forward_snake_residual`] without the snake, by candle's operations; on a processor, which has
    /// one kernel for it, by that.
    pub(super) fn composed(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.weights {
            Weights::Packed(_) => residual + self.forward(x)?,
            Weights::Dense { weight, bias } => self.general(x, weight, bias, Some(residual)),
        }
    }

    fn general(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let Conv1dConfig {
            stride,
            padding,
            dilation,
        } = self.config;
        let y = x.conv1d(weight, padding, stride, dilation, 1)?;
        let y = y.broadcast_add(&bias.reshape((1, self.out_channels, 1))?)?;
        match residual {
            Some(residual) => residual + y,
            None => Ok(y),
        }
    }

    /// [`Self::composed`] in the way of cards, of which the taps of at most `at_once` values are laid out at a
    /// time; on a processor by its one kernel.
    pub(super) fn in_parts(&self, x: &Tensor, residual: &Tensor, at_once: usize) -> Result<Tensor> {
        match &self.weights {
            Weights::Dense { weight, bias } if card::runs(x) => {
                self.on_card(x.clone(), (weight, bias), Some(residual), at_once)
            }
            _ => self.composed(x, residual),
        }
    }

    /// As matrix products of what the taps see, of which no more than `at_once` values are laid out at a time.
    /// Each step's input is given up before the next makes its output.
    fn on_card(
        &self,
        x: Tensor,
        (weight, bias): (&Tensor, &Tensor),
        residual: Option<&Tensor>,
        at_once: usize,
    ) -> Result<Tensor> {
        let (b, channels, n) = x.dims3()?;
        let rows = channels * self.kernel;
        let weight = weight.reshape((1, self.out_channels, rows))?;
        let product = |seen: &Tensor| {
            if b == 1 {
                weight.matmul(seen)
            } else {
                weight.broadcast_matmul(seen)
            }
        };
        let y = if self.kernel == 1 && self.config == Conv1dConfig::default() {
            let x = x;
            product(&x.contiguous()?)?
        } else {
            let parts = {
                let x = x;
                let x = x.contiguous()?;
                let (len, columns) = (self.out_len(n), columns_at_once(at_once, b * rows));
                let unfold = |first| Unfold {
                    kernel: self.kernel,
                    first,
                    out_len: columns.min(len - first),
                    config: self.config,
                };
                (0..len)
                    .step_by(columns)
                    .map(|first| product(&x.apply_op1_no_bwd(&unfold(first))?))
                    .collect::<Result<Vec<_>>>()?
            };
            Tensor::cat(&parts, 2)?
        };
        match residual {
            None => y.apply_op2_no_bwd(bias, &AddBias),
            Some(residual) => y.apply_op3_no_bwd(bias, &residual.contiguous()?, &AddBias),
        }
    }
}

/// True where the kernels of this module run: a CPU in f32.
pub(crate) fn runs_here(device: &Device, dtype: DType) -> bool {
    device.is_cpu() && dtype == DType::F32
}

/// The values of a contiguous f32 tensor on the CPU.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the kernels need contiguous input");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

struct Op<'a> {
    conv: &'a Conv1d,
    direct: &'a Direct,
    snake: Option<&'a Snake>,
}

impl Op<'_> {
    #[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
    fn run(
        &self,
        x: &[f32],
        shape: &Shape,
        residual: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (b, channels, n) = shape.dims3()?;
        let (rows, out_len) = (self.conv.out_channels, self.conv.out_len(n));
        let len = b * rows * out_len;
        if residual.is_some_and(|residual| residual.len() != len) {
            bail!(
                "conv1d: the residual must have the shape of the output, [{b}, {rows}, {out_len}]"
            );
        }
        let prologue = self
            .snake
            .map(|snake| move |channel: usize, values: &mut [f32]| snake.apply(channel, values));
        let fill = |all: &mut [f32]| {
            for item in 0..b {
                let start = item * rows * out_len;
                let out = SharedOut::new(&mut all[start..][..rows * out_len]);
                let residual = residual.map(|residual| &residual[start..][..rows * out_len]);
                let input = Input {
                    data: &x[item * channels * n..][..channels * n],
                    len: n,
                    origin: -(self.conv.config.padding as isize),
                    prologue: prologue
                        .as_ref()
                        .map(|f| f as &(dyn Fn(usize, &mut [f32]) + Sync)),
                };
                self.direct.run(&input, out_len, |done| {
                    let at = done.row * out_len + done.first_column;
                    // SAFETY: each column of each row is emitted once.
                    let target = unsafe { out.slice(at, done.values.len()) };
                    match residual {
                        None => target.copy_from_slice(done.values),
                        Some(residual) => {
                            for ((target, value), residual) in
                                target.iter_mut().zip(done.values).zip(&residual[at..])
                            {
                                *target = residual + value;
                            }
                        }
                    }
                });
            }
        };
        // SAFETY: every column of every row of every item is emitted.
        let out = unsafe { filled(len, fill) };
        Ok((CpuStorage::F32(out), Shape::from((b, rows, out_len))))
    }
}

impl CustomOp1 for Op<'_> {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(values(storage, layout)?, layout.shape(), None)
    }
}

impl CustomOp2 for Op<'_> {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(values(s1, l1)?, l1.shape(), Some(values(s2, l2)?))
    }
}

#[cfg(test)]
mod tests;
