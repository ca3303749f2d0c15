//! The only place where a [`Device`] is made, and where each device gets its precision.
//!
//! bf16 on CUDA (the precision the checkpoints were trained in), f16 on Metal, f32 on the CPU
//! (whose half-precision products are slower than its f32 ones) and on cards without bf16.

use acestep_domain::capabilities::DeviceKind;
use candle_core::{DType, Device};

#[cfg(feature = "cuda")]
use crate::cards;
use crate::error::{Error, Result};

/// A device ready for tensors, and the precision networks run in on it.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Where tensors live.
    pub device: Device,
    /// Precision of weights and activations.
    pub dtype: DType,
}

/// The precision networks run in on a kind of device; f32 anywhere where it is to be `full`.
pub const fn dtype_of(kind: DeviceKind, full: bool) -> DType {
    match kind {
        _ if full => DType::F32,
        DeviceKind::Cpu => DType::F32,
        DeviceKind::Cuda => DType::BF16,
        DeviceKind::Metal => DType::F16,
    }
}

/// Opens the device of a kind, for networks in `dtype`; of NVIDIA cards the one this process uses.
///
/// # Errors
/// [`Error::Unsupported`] when this build has no such device or the driver refuses it.
pub fn open(kind: DeviceKind, dtype: DType) -> Result<Placement> {
    let device = match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda => cuda(),
        DeviceKind::Metal => metal(),
    };
    let device = device.map_err(|because| Error::Unsupported {
        what: format!("the device {kind:?}"),
        because,
    })?;
    Ok(Placement { device, dtype })
}

#[cfg(feature = "cuda")]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that makes devices"
)]
fn cuda() -> std::result::Result<Device, String> {
    crate::memory::probe::before_opening();
    let device =
        Device::new_cuda(cards::used().1).map_err(|error| crate::error::message(&error))?;
    cards::keep();
    Ok(device)
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> std::result::Result<Device, String> {
    Err("this program was built without CUDA; build it with `--features cuda` or choose another device".into())
}

#[cfg(feature = "metal")]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that makes devices"
)]
fn metal() -> std::result::Result<Device, String> {
    Device::new_metal(0).map_err(|error| crate::error::message(&error))
}

#[cfg(not(feature = "metal"))]
fn metal() -> std::result::Result<Device, String> {
    Err("this program was built without Metal; build it with `--features metal` or choose another device".into())
}

#[cfg(test)]
mod tests {
    use super::{dtype_of, open};
    use acestep_domain::capabilities::DeviceKind;
    use candle_core::DType;

    #[test]
    fn the_cpu_is_always_there_and_runs_in_f32() {
        let placement = open(DeviceKind::Cpu, dtype_of(DeviceKind::Cpu, false)).unwrap();
        assert!(placement.device.is_cpu());
        assert_eq!(placement.dtype, DType::F32);
    }

    #[test]
    fn a_card_without_bf16_runs_in_f32() {
        assert_eq!(dtype_of(DeviceKind::Cuda, false), DType::BF16);
        assert_eq!(dtype_of(DeviceKind::Cuda, true), DType::F32);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_was_not_compiled_in_says_what_to_do() {
        let text = open(DeviceKind::Cuda, DType::BF16).unwrap_err().to_string();
        assert!(text.contains("--features cuda"), "{text}");
    }
}
