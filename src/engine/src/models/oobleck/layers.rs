//! What both halves are built of, and their geometry: which outputs depend on which inputs.

use candle_core::{DType, Result, Tensor};

use crate::kernels::conv_transpose1d::{ConvTranspose1d, ConvTranspose1dConfig};
use crate::kernels::conv1d::{Conv1d, Conv1dConfig, SEEN_BYTES, columns_at_once};
use crate::kernels::snake::Snake;
use crate::nn::weights::Weights;
use crate::room;

/// Dilations of the three residual units of a block.
pub(super) const DILATIONS: [usize; 3] = [1, 3, 9];

/// A convolution of the network as arithmetic on lengths, in the order they are applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
    pub(super) transposed: bool,
    pub(super) bias: bool,
    /// A snake before the convolution.
    pub(super) snake: bool,
    /// The second convolution of a residual unit: the unit's input is alive beside it.
    pub(super) residual: bool,
}

impl Layer {
    /// A convolution that keeps the length.
    pub(super) fn same(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
            dilation: 1,
            transposed: false,
            bias: true,
            snake: false,
            residual: false,
        }
    }

    /// The convolution that changes the rate: kernel twice the stride, padding half of it, rounded
    /// up. With an odd stride the length of the other side is therefore one short of a multiple.
    pub(super) fn rate(
        in_channels: usize,
        out_channels: usize,
        stride: usize,
        transposed: bool,
    ) -> Self {
        Self {
            kernel: 2 * stride,
            stride,
            padding: stride.div_ceil(2),
            transposed,
            snake: true,
            ..Self::same(in_channels, out_channels, 1)
        }
    }

    pub(super) fn after_snake(self) -> Self {
        Self {
            snake: true,
            ..self
        }
    }

    fn out_len(&self, n: usize) -> usize {
        if n == 0 {
            0
        } else if self.transposed {
            ((n - 1) * self.stride + self.kernel).saturating_sub(2 * self.padding)
        } else {
            match (n + 2 * self.padding).checked_sub(self.dilation * (self.kernel - 1) + 1) {
                Some(room) => room / self.stride + 1,
                None => 0,
            }
        }
    }

    /// First and last input that outputs `first..=last` depend on, padding included.
    fn input_span(&self, first: isize, last: isize) -> (isize, isize) {
        let (kernel, stride, padding) = (
            self.kernel as isize,
            self.stride as isize,
            self.padding as isize,
        );
        if self.transposed {
            // Input i reaches i·stride − padding ..= i·stride − padding + kernel − 1.
            let before = first + padding - kernel + 1;
            (
                -(-before).div_euclid(stride),
                (last + padding).div_euclid(stride),
            )
        } else {
            let span = self.dilation as isize * (kernel - 1);
            (first * stride - padding, last * stride - padding + span)
        }
    }

    /// Weights, biases and snakes, after weight norm is fused.
    pub(super) fn parameters(&self) -> u64 {
        let weights = self.in_channels * self.out_channels * self.kernel;
        let bias = if self.bias { self.out_channels } else { 0 };
        let snake = if self.snake { 2 * self.in_channels } else { 0 };
        (weights + bias + snake) as u64
    }
}

/// The layers of a residual unit.
pub(super) fn residual_layers(channels: usize, dilation: usize) -> [Layer; 2] {
    let wide = Layer {
        padding: 3 * dilation,
        dilation,
        ..Layer::same(channels, channels, 7)
    };
    let narrow = Layer {
        residual: true,
        ..Layer::same(channels, channels, 1)
    };
    [wide.after_snake(), narrow.after_snake()]
}

pub(super) fn out_len(layers: &[Layer], n: usize) -> usize {
    layers.iter().fold(n, |n, layer| layer.out_len(n))
}

/// First and last input of the network that its outputs `first..=last` depend on.
pub(super) fn input_span(layers: &[Layer], first: isize, last: isize) -> (isize, isize) {
    layers
        .iter()
        .rev()
        .fold((first, last), |(first, last), layer| {
            layer.input_span(first, last)
        })
}

/// Which kernels the convolutions run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Ours for processors: input, output and the input of a residual unit are all that is alive.
    Processor,
    /// Ours for NVIDIA cards: beside them what the snake made, and the part of the unfolded input that is laid out at
    /// once; the product, and what its parts or the bias make of it.
    Card,
    /// Operations of candle: beside them the snake's intermediate results, or all of the unfolded input.
    Candle,
}

/// The most bytes alive at once of values in `dtype`.
pub(super) fn peak_bytes(layers: &[Layer], n: usize, dtype: DType, kernels: Kernels) -> u64 {
    let size = dtype.size_in_bytes();
    let mut len = n;
    let mut peak = 0;
    for layer in layers {
        let out = layer.out_len(len);
        let input = layer.in_channels * len;
        let output = layer.out_channels * out;
        let unit = if layer.residual { output } else { 0 };
        let snakes = if layer.snake { 3 * input } else { 0 };
        let unfolded = layer.in_channels * layer.kernel * if layer.transposed { len } else { out };
        let beside = match kernels {
            Kernels::Processor => output,
            Kernels::Card => {
                let snaked = if layer.snake { input } else { 0 };
                if layer.transposed {
                    unfolded + snaked.max(output)
                } else {
                    let seen = if layer.kernel == 1 {
                        0
                    } else {
                        let rows = layer.in_channels * layer.kernel;
                        unfolded.min(rows * columns_at_once(SEEN_BYTES / size, rows))
                    };
                    output + (snaked + seen).max(output)
                }
            }
            Kernels::Candle => output + snakes.max(unfolded + input),
        };
        peak = peak.max(input + unit + beside);
        len = out;
    }
    (peak * size) as u64
}

/// Multiplications and additions over `n` inputs, counted apart.
pub(super) fn operations(layers: &[Layer], n: usize) -> f64 {
    let mut len = n;
    let mut sum = 0.0;
    for layer in layers {
        let out = layer.out_len(len);
        // A transposed convolution does its work for each input.
        let places = if layer.transposed { len } else { out };
        sum += 2.0 * (layer.in_channels * layer.out_channels * layer.kernel) as f64 * places as f64;
        len = out;
    }
    sum
}

/// `weight_g · weight_v / ‖weight_v‖`, the norm over all dimensions but the first, in f32 whatever
/// the load dtype; rounded to it afterwards.
fn fused_weight(shape: (usize, usize, usize), w: &Weights) -> Result<Tensor> {
    let exact = w.with_dtype(DType::F32);
    let bytes = shape.0 * shape.1 * shape.2 * size_of::<f32>();
    // As values, as a tensor, in the order of the kernel.
    room::ask(3 * bytes as u64, w.device())?;
    let gain = exact
        .get((shape.0, 1, 1), "weight_g")?
        .flatten_all()?
        .to_vec1::<f32>()?;
    let mut values = exact
        .get(shape, "weight_v")?
        .flatten_all()?
        .to_vec1::<f32>()?;
    for (row, gain) in values.chunks_exact_mut(shape.1 * shape.2).zip(gain) {
        let norm = row
            .iter()
            .map(|&v| f64::from(v).powi(2))
            .sum::<f64>()
            .sqrt();
        let factor = f64::from(gain) / norm;
        for value in row {
            *value = (f64::from(*value) * factor) as f32;
        }
    }
    Tensor::from_vec(values, shape, w.device())?.to_dtype(w.dtype())
}

pub(super) fn load_conv(layer: &Layer, w: &Weights) -> Result<Conv1d> {
    let weight = fused_weight((layer.out_channels, layer.in_channels, layer.kernel), w)?;
    let bias = layer
        .bias
        .then(|| w.get(layer.out_channels, "bias"))
        .transpose()?;
    let config = Conv1dConfig {
        stride: layer.stride,
        padding: layer.padding,
        dilation: layer.dilation,
    };
    Conv1d::new(&weight, bias.as_ref(), config)
}

pub(super) fn load_conv_transpose(layer: &Layer, w: &Weights) -> Result<ConvTranspose1d> {
    let weight = fused_weight((layer.in_channels, layer.out_channels, layer.kernel), w)?;
    let bias = layer
        .bias
        .then(|| w.get(layer.out_channels, "bias"))
        .transpose()?;
    let config = ConvTranspose1dConfig {
        stride: layer.stride,
        padding: layer.padding,
        output_padding: 0,
    };
    ConvTranspose1d::new(&weight, bias.as_ref(), config)
}

/// The activation, whose logarithms are read in f32 whatever the load dtype.
pub(super) fn load_snake(channels: usize, w: &Weights) -> Result<Snake> {
    let exact = w.with_dtype(DType::F32);
    let (alpha, beta) = (
        exact.get((1, channels, 1), "alpha")?,
        exact.get((1, channels, 1), "beta")?,
    );
    Snake::new(&alpha, &beta, w.dtype())
}

/// `x + conv2(snake2(conv1(snake1(x))))`
pub(super) struct ResidualUnit {
    snake1: Snake,
    conv1: Conv1d,
    snake2: Snake,
    conv2: Conv1d,
}

impl ResidualUnit {
    pub(super) fn load(channels: usize, dilation: usize, w: &Weights) -> Result<Self> {
        let [conv1, conv2] = residual_layers(channels, dilation);
        Ok(Self {
            snake1: load_snake(channels, &w.pp("snake1"))?,
            conv1: load_conv(&conv1, &w.pp("conv1"))?,
            snake2: load_snake(channels, &w.pp("snake2"))?,
            conv2: load_conv(&conv2, &w.pp("conv2"))?,
        })
    }

    /// The three units of a block.
    pub(super) fn load_three(channels: usize, w: &Weights) -> Result<Vec<Self>> {
        DILATIONS
            .iter()
            .enumerate()
            .map(|(i, &dilation)| {
                Self::load(channels, dilation, &w.pp(format_args!("res_unit{}", i + 1)))
            })
            .collect()
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.conv1.forward_snake(x, &self.snake1)?;
        self.conv2.forward_snake_residual(&y, &self.snake2, x)
    }
}
