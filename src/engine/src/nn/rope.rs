//! Rotary positions in Qwen's layout: the angles fill both halves of a head, and a vector is
//! turned by pairing element `j` with element `j + d/2`.
//!
//! The tables are counted in f32 as the reference does and cast once, so that bf16 models do not
//! lose positions to bf16 angles.

use candle_core::{DType, Device, Result, Tensor};

/// Cosines and sines for some positions.
#[derive(Debug, Clone)]
pub struct Rope {
    /// `[l, d]`: cosines of the `d/2` angles of a position, then their sines.
    angles: Tensor,
}

impl Rope {
    /// Tables for positions `0..len` of heads of size `d`.
    pub fn new(theta: f64, d: usize, len: usize, dtype: DType, device: &Device) -> Result<Self> {
        let positions: Vec<usize> = (0..len).collect();
        Self::at(theta, d, &positions, dtype, device)
    }

    /// Tables for any positions of heads of size `d`, in the order given.
    pub fn at(
        theta: f64,
        d: usize,
        positions: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let half = d / 2;
        let len = positions.len();
        let inverse: Vec<f32> = (0..half)
            .map(|j| 1.0 / (theta as f32).powf((2 * j) as f32 / d as f32))
            .collect();
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|position| {
                let of = |f: fn(f32) -> f32| inverse.iter().map(move |w| f(*position as f32 * w));
                of(f32::cos).chain(of(f32::sin))
            })
            .collect();
        Ok(Self {
            angles: Tensor::from_vec(angles, (len, 2 * half), device)?.to_dtype(dtype)?,
        })
    }

    /// The table `[l, d]`: for each position the cosines of its `d/2` angles, then their sines.
    pub(super) fn angles(&self) -> &Tensor {
        &self.angles
    }
}

#[cfg(test)]
mod tests {
    use super::Rope;
    use candle_core::{DType, Device};

    /// bf16 counts exactly to 256 only: angles must not be made in it.
    #[test]
    fn far_positions_keep_their_angles_in_bf16() {
        let positions = [0usize, 256, 257, 2049, 4097, 8191];
        let at = |dtype| Rope::at(1e6, 16, &positions, dtype, &Device::Cpu).unwrap();
        let (exact, rounded) = (at(DType::F32), at(DType::BF16));
        let values = |t: &candle_core::Tensor| {
            let t = t.to_dtype(DType::F32).unwrap();
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let cast = exact.angles.to_dtype(DType::BF16).unwrap();
        assert_eq!(values(&cast), values(&rounded.angles));
        let fast = exact.angles.narrow(1, 8, 1).unwrap().flatten_all().unwrap();
        let fast: Vec<f32> = fast.to_vec1().unwrap();
        assert!((f64::from(fast[4]) - 4097f64.sin()).abs() < 1e-3);
    }
}
