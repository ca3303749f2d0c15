//! Finite scalar quantisation: a vector to one of 64 000 codes and back.
//!
//! Reference: `_AceStepResidualFSQ` with one quantizer (levels 8, 8, 8, 5, 5, 5 in every released
//! checkpoint). Counts in f32 whatever the model runs in: a value near a border would otherwise
//! land in another code.

use candle_core::{DType, Device, Module, Result, Tensor};

use super::dit::Config;
use crate::nn::{Linear, Weights};

/// The quantizer with its projections.
#[derive(Debug, Clone)]
pub struct Fsq {
    project_in: Linear,
    project_out: Linear,
    grid: Grid,
}

/// The grid of codes: `levels[i]` values a dimension, evenly spaced over -1..1.
#[derive(Debug, Clone)]
struct Grid {
    /// `levels - 1`, f32 `[dims]`
    steps: Tensor,
    /// How far values may go before the grid ends, `1 + 1 / (levels - 1)`, f32 `[dims]`.
    soft_clamp: Tensor,
    /// Weight of a digit in the code, f32 `[dims]`; codes stay below 2^24, so f32 counts exactly.
    basis: Tensor,
    levels: Vec<u32>,
}

impl Grid {
    fn new(levels: &[usize], device: &Device) -> Result<Self> {
        let steps: Vec<f32> = levels.iter().map(|level| *level as f32 - 1.).collect();
        let soft_clamp: Vec<f32> = steps.iter().map(|step| 1. + 1. / step).collect();
        let basis: Vec<f32> = levels
            .iter()
            .scan(1usize, |product, level| {
                let basis = *product;
                *product *= level;
                Some(basis as f32)
            })
            .collect();
        Ok(Self {
            steps: Tensor::new(steps, device)?,
            soft_clamp: Tensor::new(soft_clamp, device)?,
            basis: Tensor::new(basis, device)?,
            levels: levels.iter().map(|level| *level as u32).collect(),
        })
    }

    /// Digits `0..level` of the nearest grid point for values `[…, dims]`.
    fn digits(&self, z: &Tensor) -> Result<Tensor> {
        // The soft clamp leaves room beyond the last level, the hard one takes it away again.
        let z = z
            .broadcast_div(&self.soft_clamp)?
            .tanh()?
            .broadcast_mul(&self.soft_clamp)?;
        let unit = ((z.clamp(-1f32, 1f32)? + 1.)? / 2.)?; // 0..1
        (unit.broadcast_mul(&self.steps)? + 0.5)?.floor()
    }

    /// Grid values -1..1 of digits.
    fn values(&self, digits: &Tensor) -> Result<Tensor> {
        (digits * 2.)?.broadcast_div(&self.steps)? - 1.
    }

    /// Digits `[…, dims]` to codes `[…]`, u32.
    fn codes(&self, digits: &Tensor) -> Result<Tensor> {
        digits
            .broadcast_mul(&self.basis)?
            .sum(candle_core::D::Minus1)?
            .round()?
            .to_dtype(DType::U32)
    }

    /// Codes to digits, on the host: integers, and few of them.
    fn digits_from_codes(&self, codes: &[u32], device: &Device) -> Result<Tensor> {
        let digits: Vec<f32> = codes
            .iter()
            .flat_map(|code| {
                self.levels.iter().scan(*code, |rest, level| {
                    let digit = *rest % level;
                    *rest /= level;
                    Some(digit as f32)
                })
            })
            .collect();
        Tensor::from_vec(digits, (codes.len(), self.levels.len()), device)
    }
}

/// What quantising gives.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// `[b, q, fsq_dim]`, f32.
    pub vectors: Tensor,
    /// `[b, q]`, u32.
    pub codes: Tensor,
}

impl Fsq {
    /// Takes `project_in` and `project_out`, in f32.
    pub fn load(cfg: &Config, w: &Weights) -> Result<Self> {
        let w = w.with_dtype(DType::F32);
        let dims = cfg.fsq_input_levels.len();
        Ok(Self {
            project_in: Linear::load(cfg.fsq_dim, dims, &w.pp("project_in"))?,
            project_out: Linear::load(dims, cfg.fsq_dim, &w.pp("project_out"))?,
            grid: Grid::new(&cfg.fsq_input_levels, w.device())?,
        })
    }

    /// Vectors `[b, q, fsq_dim]` of any float precision to the nearest codes.
    pub fn quantize(&self, hidden_states: &Tensor) -> Result<Quantized> {
        let z = self
            .project_in
            .forward(&hidden_states.to_dtype(DType::F32)?)?; // [b, q, dims]
        let digits = self.grid.digits(&z)?;
        Ok(Quantized {
            vectors: self.project_out.forward(&self.grid.values(&digits)?)?,
            codes: self.grid.codes(&digits)?,
        })
    }

    /// Vectors `[1, q, fsq_dim]`, f32, of codes; a code is taken modulo the size of the codebook.
    pub fn vectors(&self, codes: &[u32]) -> Result<Tensor> {
        let digits = self
            .grid
            .digits_from_codes(codes, self.grid.steps.device())?;
        self.project_out
            .forward(&self.grid.values(&digits)?)?
            .unsqueeze(0)
    }

    /// Parameters.
    pub fn parameters(cfg: &Config) -> u64 {
        let dims = cfg.fsq_input_levels.len();
        Linear::parameters(cfg.fsq_dim, dims, true) + Linear::parameters(dims, cfg.fsq_dim, true)
    }
}

#[cfg(test)]
mod tests {
    use super::Grid;
    use candle_core::Device;

    #[test]
    fn every_code_is_its_own_nearest_grid_point() {
        let grid = Grid::new(&[8, 8, 8, 5, 5, 5], &Device::Cpu).unwrap();
        let codes: Vec<u32> = (0..64_000).collect();
        let digits = grid.digits_from_codes(&codes, &Device::Cpu).unwrap();
        assert_eq!(
            grid.codes(&digits).unwrap().to_vec1::<u32>().unwrap(),
            codes
        );
        // Quantising pulls values through a tanh first: undo that, then every point must be found.
        let values = grid.values(&digits).unwrap();
        let clamp = &grid.soft_clamp;
        let y = values.broadcast_div(clamp).unwrap();
        let atanh = (((&y + 1.).unwrap() / (1. - &y).unwrap())
            .unwrap()
            .log()
            .unwrap()
            / 2.)
            .unwrap();
        let z = atanh.broadcast_mul(clamp).unwrap();
        let found = grid.codes(&grid.digits(&z).unwrap()).unwrap();
        assert_eq!(found.to_vec1::<u32>().unwrap(), codes);
    }

    #[test]
    fn the_code_of_silence_has_the_known_digits() {
        let grid = Grid::new(&[8, 8, 8, 5, 5, 5], &Device::Cpu).unwrap();
        let digits = grid.digits_from_codes(&[35_847], &Device::Cpu).unwrap();
        assert_eq!(digits.to_vec2::<f32>().unwrap(), [[7., 0., 0., 0., 4., 2.]]);
    }
}
