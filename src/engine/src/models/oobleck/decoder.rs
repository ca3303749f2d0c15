//! `OobleckDecoder`: latents `[b, c, t]` to sound `[b, channels, n]`.

use candle_core::{Result, Tensor};

use super::Config;
use super::layers::{
    DILATIONS, Layer, ResidualUnit, load_conv, load_conv_transpose, load_snake, residual_layers,
};
use crate::kernels::conv_transpose1d::ConvTranspose1d;
use crate::kernels::conv1d::Conv1d;
use crate::kernels::snake::Snake;
use crate::nn::weights::Weights;

/// Input channels, output channels and stride of each block.
fn blocks(config: &Config) -> Vec<(usize, usize, usize)> {
    let width = |i: usize| match i {
        0 => config.decoder_channels,
        _ => config.decoder_channels * config.channel_multiples[i - 1],
    };
    (0..config.downsampling_ratios.len())
        .rev()
        .map(|i| (width(i + 1), width(i), config.downsampling_ratios[i]))
        .collect()
}

fn first_layer(config: &Config) -> Layer {
    let width = blocks(config).first().map_or(0, |block| block.0);
    Layer::same(config.decoder_input_channels, width, 7)
}

fn last_layer(config: &Config) -> Layer {
    Layer {
        bias: false,
        ..Layer::same(config.decoder_channels, config.audio_channels, 7).after_snake()
    }
}

/// All convolutions in the order they are applied.
pub(super) fn layers(config: &Config) -> Vec<Layer> {
    let mut layers = vec![first_layer(config)];
    for (input, output, stride) in blocks(config) {
        layers.push(Layer::rate(input, output, stride, true));
        layers.extend(
            DILATIONS
                .iter()
                .flat_map(|&dilation| residual_layers(output, dilation)),
        );
    }
    layers.push(last_layer(config));
    layers
}

struct Block {
    snake1: Snake,
    conv_t1: ConvTranspose1d,
    res_units: Vec<ResidualUnit>,
}

impl Block {
    fn load((input, output, stride): (usize, usize, usize), w: &Weights) -> Result<Self> {
        Ok(Self {
            snake1: load_snake(input, &w.pp("snake1"))?,
            conv_t1: load_conv_transpose(
                &Layer::rate(input, output, stride, true),
                &w.pp("conv_t1"),
            )?,
            res_units: ResidualUnit::load_three(output, w)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_t1.forward_snake(x, &self.snake1)?;
        for unit in &self.res_units {
            x = unit.forward(&x)?;
        }
        Ok(x)
    }
}

pub(super) struct Decoder {
    conv1: Conv1d,
    block: Vec<Block>,
    snake1: Snake,
    conv2: Conv1d,
}

impl Decoder {
    pub(super) fn load(config: &Config, w: &Weights) -> Result<Self> {
        let block = blocks(config)
            .into_iter()
            .enumerate()
            .map(|(i, sizes)| Block::load(sizes, &w.pp("block").pp(i)))
            .collect::<Result<_>>()?;
        Ok(Self {
            conv1: load_conv(&first_layer(config), &w.pp("conv1"))?,
            block,
            snake1: load_snake(config.decoder_channels, &w.pp("snake1"))?,
            conv2: load_conv(&last_layer(config), &w.pp("conv2"))?,
        })
    }

    pub(super) fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let mut x = self.conv1.forward(latents)?;
        for block in &self.block {
            x = block.forward(&x)?;
        }
        self.conv2.forward_snake(&x, &self.snake1)
    }
}
