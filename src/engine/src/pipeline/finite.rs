//! The output of each network is checked before the next one reads it, so that the first to break is
//! named.

use acestep_domain::event::Stage;
use candle_core::{DType, Tensor};

use crate::error::{Error, Result};

/// Refuses values of `module` that are not finite.
pub(super) fn values(values: &[f32], stage: Stage, module: &'static str) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(Error::NotFinite { stage, module })
    }
}

/// The same of a tensor of any precision, on any device.
pub(super) fn tensor(tensor: &Tensor, stage: Stage, module: &'static str) -> Result<()> {
    let all: Vec<f32> = tensor
        .to_dtype(DType::F32)
        .and_then(|tensor| tensor.flatten_all()?.to_vec1())
        .map_err(Error::in_stage(stage))?;
    values(&all, stage, module)
}
