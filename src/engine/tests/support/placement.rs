//! Where parity is proven: on the processor, or on the card with `ACESTEP_TEST_DEVICE=cuda`. In f32 both
//! times, so that the tolerances are the same.
#![allow(dead_code, reason = "no test program needs all of it")]

use std::sync::OnceLock;

use acestep_domain::capabilities::DeviceKind;
use acestep_engine::{
    device::{self, Placement},
    engine::LoadOptions,
};
use candle_core::{DType, Device, Tensor};

/// The kind of device that was asked for.
pub(crate) fn kind() -> DeviceKind {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests alone")]
    let asked = std::env::var("ACESTEP_TEST_DEVICE").unwrap_or_default();
    match asked.as_str() {
        "" | "cpu" => DeviceKind::Cpu,
        "cuda" => DeviceKind::Cuda,
        "metal" => DeviceKind::Metal,
        other => panic!("ACESTEP_TEST_DEVICE is {other:?}; cpu, cuda and metal are known"),
    }
}

/// That device in f32; one for all tests of a program, since tensors of two do not meet.
pub(crate) fn placement() -> &'static Placement {
    static PLACEMENT: OnceLock<Placement> = OnceLock::new();
    PLACEMENT.get_or_init(|| device::open(kind(), DType::F32).expect("the device opens"))
}

/// Where its tensors live.
pub(crate) fn place() -> &'static Device {
    &placement().device
}

/// Token ids or codes of a fixture as u32, on the processor: cards have no such conversion.
pub(crate) fn ids(tensor: &Tensor) -> Tensor {
    let here = tensor.to_device(&Device::Cpu).expect("it can be read");
    here.to_dtype(DType::U32).expect("whole numbers")
}

/// How an engine is loaded there.
pub(crate) fn in_f32() -> LoadOptions {
    LoadOptions {
        device: kind(),
        full_precision: true,
        ..LoadOptions::default()
    }
}
