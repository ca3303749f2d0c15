//! What an adapter adds to a linear layer, computed beside it: `y += scale * delta(x)`.
//!
//! Nothing is merged, so the layer may be stored as anything and an adapter comes and goes without
//! touching it. A scale of 0 leaves no path at all: the layer then computes what it would alone.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use candle_core::{Module, Result, Tensor};

use super::{Matrix, weights::below};

/// A matrix `[rows, width]`, whole or as the product of two thin ones.
#[derive(Debug, Clone)]
pub enum Factor {
    /// As it is.
    Whole(Matrix),
    /// `left` `[rows, r]` times `right` `[r, width]`.
    Product {
        /// `B` of a LoRA.
        left: Matrix,
        /// `A` of a LoRA.
        right: Matrix,
    },
}

impl Factor {
    /// `x` `[n, width]` times the transposed matrix and `scale`: `[n, rows]`.
    fn forward(&self, x: &Tensor, scale: f64) -> Result<Tensor> {
        match self {
            Self::Whole(matrix) => times(matrix.forward(x)?, scale),
            // Scaled where it is thinnest.
            Self::Product { left, right } => left.forward(&times(right.forward(x)?, scale)?),
        }
    }

    fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Whole(matrix) => matrix.dims(),
            Self::Product { left, right } => Ok((left.dims()?.0, right.dims()?.1)),
        }
    }
}

/// What is added to a weight `[out, in]`, never built as such.
#[derive(Debug, Clone)]
pub enum Delta {
    /// `B A` (LoRA).
    LowRank(Factor),
    /// The Kronecker product of `w1` `[o1, i1]` and `w2` `[o2, i2]` (LoKr), where
    /// `out = o1 * o2` and `in = i1 * i2`.
    Kronecker {
        /// The coarse factor.
        w1: Factor,
        /// The fine factor.
        w2: Factor,
    },
}

impl Delta {
    /// `x` `[n, in]` to `[n, out]`.
    fn forward(&self, x: &Tensor, scale: f64) -> Result<Tensor> {
        match self {
            Self::LowRank(factor) => factor.forward(x, scale),
            Self::Kronecker { w1, w2 } => {
                // (w1 ⊗ w2) x = w1 X w2^T with X = x as [i1, i2].
                let (n, _) = x.dims2()?;
                let ((o1, i1), (o2, i2)) = (w1.dims()?, w2.dims()?);
                let fine = w2.forward(&x.reshape((n * i1, i2))?, scale)?;
                let turned = fine.reshape((n, i1, o2))?.transpose(1, 2)?; // [n, o2, i1]
                let coarse = w1.forward(&turned.contiguous()?.reshape((n * o2, i1))?, 1.0)?;
                coarse
                    .reshape((n, o2, o1))?
                    .transpose(1, 2)?
                    .contiguous()?
                    .reshape((n, o1 * o2))
            }
        }
    }
}

fn times(x: Tensor, scale: f64) -> Result<Tensor> {
    if scale == 1.0 { Ok(x) } else { x * scale }
}

/// One adapter at one layer.
#[derive(Debug, Clone)]
pub struct SidePath {
    /// What it adds.
    pub delta: Arc<Delta>,
    /// How much of it.
    pub scale: f64,
}

impl SidePath {
    /// `y` `[n, out]`, which the layer made of `x` `[n, in]`, with what this adds.
    pub(super) fn add(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        y + self.delta.forward(x, self.scale)?
    }
}

/// What all adapters in use add to the layers of a network, by the layer's path. Walked like
/// [`Weights`](super::Weights); cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct SidePaths {
    layers: Arc<BTreeMap<String, Vec<SidePath>>>,
    prefix: String,
}

impl SidePaths {
    /// The paths of each layer, for example of `layers.0.self_attn.q_proj`. Paths with a scale of
    /// 0 are left out.
    pub fn new(paths: impl IntoIterator<Item = (String, SidePath)>) -> Self {
        let mut layers = BTreeMap::<String, Vec<SidePath>>::new();
        for (layer, path) in paths {
            if path.scale != 0.0 {
                layers.entry(layer).or_default().push(path);
            }
        }
        Self {
            layers: Arc::new(layers),
            prefix: String::new(),
        }
    }

    /// One step down.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        Self {
            layers: Arc::clone(&self.layers),
            prefix: below(&self.prefix, name),
        }
    }

    /// Those of the layer that the walk stands at, in the order of their adapters.
    pub(super) fn here(&self) -> Vec<SidePath> {
        self.layers.get(&self.prefix).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candle_core::{Device, Module, Tensor};

    use super::{Delta, Factor, SidePath, SidePaths};
    use crate::nn::{Linear, Matrix};

    /// Values that no two places share.
    fn matrix(rows: usize, width: usize, phase: f32) -> Tensor {
        let values: Vec<f32> = (0..rows * width)
            .map(|i| (i as f32 * 0.71 + phase).sin())
            .collect();
        Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
    }

    fn dense(tensor: &Tensor) -> Matrix {
        Matrix::Dense(tensor.clone())
    }

    fn layer(out: usize, input: usize) -> (Linear, Tensor) {
        let weight = matrix(out, input, 0.0);
        (Linear::from_parts(weight.clone(), None), weight)
    }

    fn with(linear: &Linear, delta: Delta, scale: f64) -> Linear {
        let mut linear = linear.clone();
        let path = SidePath {
            delta: Arc::new(delta),
            scale,
        };
        linear.attach(&SidePaths::new([("a.b".to_owned(), path)]).pp("a").pp("b"));
        linear
    }

    #[track_caller]
    fn assert_near(got: &Tensor, want: &Tensor) {
        let distance = (got - want).unwrap().abs().unwrap().max_all().unwrap();
        let distance = distance.to_scalar::<f32>().unwrap();
        assert!(distance < 1e-4, "{distance}");
    }

    /// The Kronecker product by its definition.
    fn kron(w1: &Tensor, w2: &Tensor) -> Tensor {
        let ((o1, i1), (o2, i2)) = (w1.dims2().unwrap(), w2.dims2().unwrap());
        let (w1, w2) = (w1.to_vec2::<f32>().unwrap(), w2.to_vec2::<f32>().unwrap());
        let mut values = Vec::new();
        for row in 0..o1 * o2 {
            for column in 0..i1 * i2 {
                values.push(w1[row / o2][column / i2] * w2[row % o2][column % i2]);
            }
        }
        Tensor::from_vec(values, (o1 * o2, i1 * i2), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_low_rank_path_equals_the_merged_weight() {
        let (linear, weight) = layer(10, 6);
        let (a, b) = (matrix(3, 6, 1.0), matrix(10, 3, 2.0));
        let x = matrix(7, 6, 3.0).reshape((1, 7, 6)).unwrap();
        let delta = Delta::LowRank(Factor::Product {
            left: dense(&b),
            right: dense(&a),
        });
        let merged = (weight + (b.matmul(&a).unwrap() * 0.7).unwrap()).unwrap();
        let want = Linear::from_parts(merged, None).forward(&x).unwrap();
        assert_near(&with(&linear, delta, 0.7).forward(&x).unwrap(), &want);
    }

    #[test]
    fn a_kronecker_path_equals_the_merged_weight_whole_and_factored() {
        // Neither factor is square, nor are o1 = i1 or o2 = i2.
        let (w1, w2) = (matrix(2, 3, 1.0), matrix(5, 4, 2.0));
        let (linear, weight) = layer(10, 12);
        let x = matrix(7, 12, 3.0);
        let whole = Delta::Kronecker {
            w1: Factor::Whole(dense(&w1)),
            w2: Factor::Whole(dense(&w2)),
        };
        let merged = (&weight + (kron(&w1, &w2) * 0.3).unwrap()).unwrap();
        let want = Linear::from_parts(merged, None).forward(&x).unwrap();
        assert_near(&with(&linear, whole, 0.3).forward(&x).unwrap(), &want);

        let (left, right) = (matrix(5, 2, 4.0), matrix(2, 4, 5.0));
        let product = left.matmul(&right).unwrap();
        let factored = Delta::Kronecker {
            w1: Factor::Whole(dense(&w1)),
            w2: Factor::Product {
                left: dense(&left),
                right: dense(&right),
            },
        };
        let merged = (weight + kron(&w1, &product)).unwrap();
        let want = Linear::from_parts(merged, None).forward(&x).unwrap();
        assert_near(&with(&linear, factored, 1.0).forward(&x).unwrap(), &want);
    }

    #[test]
    fn a_scale_of_zero_changes_no_bit_and_another_layers_path_neither() {
        let (linear, _) = layer(10, 6);
        let delta = || {
            Delta::LowRank(Factor::Product {
                left: dense(&matrix(10, 3, 2.0)),
                right: dense(&matrix(3, 6, 1.0)),
            })
        };
        let x = matrix(7, 6, 3.0);
        let bits = |linear: &Linear| linear.forward(&x).unwrap().to_vec2::<f32>().unwrap();
        let alone = bits(&linear);
        assert_eq!(bits(&with(&linear, delta(), 0.0)), alone);
        assert_ne!(bits(&with(&linear, delta(), 1.0)), alone);
        let mut other = with(&linear, delta(), 1.0);
        let path = SidePath {
            delta: Arc::new(delta()),
            scale: 1.0,
        };
        other.attach(&SidePaths::new([("a.c".to_owned(), path)]).pp("a").pp("b"));
        assert_eq!(bits(&other), alone, "what was attached before is gone");
    }
}
