//! One linear layer, whatever its weights are stored as.
//!
//! Which representation a weight has is decided when it is loaded and known to [`Matrix`] alone.

use candle_core::{D, Error, Module, Result, Tensor};

use super::{
    Matrix, Weights,
    side_path::{SidePath, SidePaths},
};

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    weight: Matrix,
    /// `[out]`
    bias: Option<Tensor>,
    /// What adapters add.
    side_paths: Vec<SidePath>,
}

impl Linear {
    /// Takes `weight` `[output, input]` and `bias` `[output]`.
    pub fn load(input: usize, output: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            weight: w.matrix((output, input), "weight")?,
            bias: Some(w.get(output, "bias")?),
            side_paths: Vec::new(),
        })
    }

    /// Takes `weight` `[output, input]`; the layer has no bias.
    pub fn load_without_bias(input: usize, output: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            weight: w.matrix((output, input), "weight")?,
            bias: None,
            side_paths: Vec::new(),
        })
    }

    /// As [`Self::load`], for a layer that is used a few times a song; see [`Weights::seldom`].
    pub fn load_seldom(input: usize, output: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            weight: w.seldom((output, input), "weight")?,
            bias: Some(w.get(output, "bias")?),
            side_paths: Vec::new(),
        })
    }

    /// A layer from tensors that a network has cut out of another weight: `weight`
    /// `[out, in]`, `bias` `[out]`.
    pub fn from_parts(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight: Matrix::Dense(weight),
            bias,
            side_paths: Vec::new(),
        }
    }

    /// Takes the paths of this layer in place of those it had.
    pub fn attach(&mut self, paths: &SidePaths) {
        self.side_paths = paths.here();
    }

    /// Parameters of a layer with and without bias.
    pub const fn parameters(input: usize, output: usize, bias: bool) -> u64 {
        (input * output) as u64 + if bias { output as u64 } else { 0 }
    }
}

impl Linear {
    /// Each of `layers`, which take the same, in one go where that is quicker: `[…, in]` to
    /// `[…, out]` of each.
    ///
    /// # Errors
    /// Another width, too little memory.
    pub fn forward_all<const M: usize>(layers: [&Self; M], x: &Tensor) -> Result<[Tensor; M]> {
        let input = x.dim(D::Minus1)?;
        // One matrix product whatever the number of leading dims; the batched form would repeat
        // the weight.
        let rows = x.contiguous()?.reshape(((), input))?;
        let products = Matrix::forward_all(&layers.map(|layer| &layer.weight), &rows)?;
        let outputs = layers
            .iter()
            .zip(products)
            .map(|(layer, product)| layer.finish(&rows, product, x.dims()))
            .collect::<Result<Vec<_>>>()?;
        outputs
            .try_into()
            .map_err(|_| Error::Msg("one output for every layer".to_owned()))
    }

    /// Adds what is added to a product and gives it the leading dims of the input.
    fn finish(&self, rows: &Tensor, product: Tensor, dims: &[usize]) -> Result<Tensor> {
        let mut y = product;
        for path in &self.side_paths {
            y = path.add(rows, &y)?;
        }
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        let mut dims = dims.to_vec();
        if let Some(last) = dims.last_mut() {
            *last = y.dim(1)?;
        }
        y.reshape(dims)
    }
}

impl Module for Linear {
    /// `[…, in]` to `[…, out]`, in the precision of the activations.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [y] = Self::forward_all([self], x)?;
        Ok(y)
    }
}
