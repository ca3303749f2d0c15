//! `OobleckEncoder`: sound `[b, channels, n]` to the parameters of latents `[b, 2 c, t]`.

use candle_core::{Result, Tensor};

use super::Config;
use super::layers::{DILATIONS, Layer, ResidualUnit, load_conv, load_snake, residual_layers};
use crate::kernels::conv1d::Conv1d;
use crate::kernels::snake::Snake;
use crate::nn::weights::Weights;

/// Input channels, output channels and stride of each block.
fn blocks(config: &Config) -> Vec<(usize, usize, usize)> {
    let width = |i: usize| match i {
        0 => config.encoder_hidden_size,
        _ => config.encoder_hidden_size * config.channel_multiples[i - 1],
    };
    (0..config.downsampling_ratios.len())
        .map(|i| (width(i), width(i + 1), config.downsampling_ratios[i]))
        .collect()
}

fn first_layer(config: &Config) -> Layer {
    Layer::same(config.audio_channels, config.encoder_hidden_size, 7)
}

fn last_layer(config: &Config) -> Layer {
    let width = blocks(config).last().map_or(0, |block| block.1);
    Layer::same(width, 2 * config.decoder_input_channels, 3).after_snake()
}

/// All convolutions in the order they are applied.
pub(super) fn layers(config: &Config) -> Vec<Layer> {
    let mut layers = vec![first_layer(config)];
    for (input, output, stride) in blocks(config) {
        layers.extend(
            DILATIONS
                .iter()
                .flat_map(|&dilation| residual_layers(input, dilation)),
        );
        layers.push(Layer::rate(input, output, stride, false));
    }
    layers.push(last_layer(config));
    layers
}

struct Block {
    res_units: Vec<ResidualUnit>,
    snake1: Snake,
    conv1: Conv1d,
}

impl Block {
    fn load((input, output, stride): (usize, usize, usize), w: &Weights) -> Result<Self> {
        Ok(Self {
            res_units: ResidualUnit::load_three(input, w)?,
            snake1: load_snake(input, &w.pp("snake1"))?,
            conv1: load_conv(&Layer::rate(input, output, stride, false), &w.pp("conv1"))?,
        })
    }

    fn forward(&self, x: Tensor) -> Result<Tensor> {
        let mut x = x;
        for unit in &self.res_units {
            x = unit.forward(&x)?;
        }
        self.conv1.forward_snake(&x, &self.snake1)
    }
}

pub(super) struct Encoder {
    conv1: Conv1d,
    block: Vec<Block>,
    snake1: Snake,
    conv2: Conv1d,
}

impl Encoder {
    pub(super) fn load(config: &Config, w: &Weights) -> Result<Self> {
        let block = blocks(config)
            .into_iter()
            .enumerate()
            .map(|(i, sizes)| Block::load(sizes, &w.pp("block").pp(i)))
            .collect::<Result<_>>()?;
        let last = last_layer(config);
        Ok(Self {
            conv1: load_conv(&first_layer(config), &w.pp("conv1"))?,
            block,
            snake1: load_snake(last.in_channels, &w.pp("snake1"))?,
            conv2: load_conv(&last, &w.pp("conv2"))?,
        })
    }

    pub(super) fn forward(&self, audio: &Tensor) -> Result<Tensor> {
        let mut x = self.conv1.forward(audio)?;
        for block in &self.block {
            x = block.forward(x)?;
        }
        self.conv2.forward_snake(&x, &self.snake1)
    }
}
