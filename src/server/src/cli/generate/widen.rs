//! Values that leave their range in half precision: the song is made once more in f32, as in the studio.

use std::path::Path;

use acestep_domain::{GenerationParams, Note, memory::MemoryPlan, service::Resolved};
use acestep_engine::{checkpoint::Checkpoint, engine::LoadOptions, error::Error};

use super::Memory;

/// How models are loaded for another try after `error`, and the plan of that; `None` where it cannot help
/// (see [`widened`]) and where there is no memory for it.
pub(super) fn another_try(
    (error, begun): (&Error, bool),
    (checkpoint, root): (&Checkpoint, &Path),
    resolved: &Resolved,
    (memory, params): (&Memory, &GenerationParams),
) -> Option<(LoadOptions, MemoryPlan)> {
    let wide = widened(error, begun, resolved)?;
    let mut wider = Memory::new(checkpoint, root, &wide).ok()?;
    wider.brought = memory.brought;
    let plan = wider.admit(params).ok()?;
    Some((wider.options, plan))
}

/// How models have to be loaded for another try after `error`; `None` where no other try can help. Takes that
/// are written already stay: `begun` says that there are some.
fn widened(error: &Error, begun: bool, resolved: &Resolved) -> Option<Resolved> {
    let helps = !begun && matches!(error, Error::NotFinite { .. });
    resolved.in_full_precision().filter(|_| helps)
}

/// Says that it was done.
pub(super) fn note() -> Note {
    Note::general(
        "made_in_full_precision",
        "Precision: in half precision the values of this song left their range, so the model was loaded again in f32.",
    )
}

#[cfg(test)]
mod tests {
    use acestep_domain::capabilities::DeviceKind;
    use acestep_engine::error::Stage;

    use super::*;

    #[test]
    fn values_out_of_range_are_tried_again_once_where_precision_was_half() {
        let on = |device, full_precision| Resolved {
            device,
            full_precision,
            ..Resolved::default()
        };
        let lost = Error::NotFinite {
            stage: Stage::Diffusion,
            module: "dit",
        };
        let again = widened(&lost, false, &on(DeviceKind::Cuda, false));
        assert_eq!(again, Some(on(DeviceKind::Cuda, true)));
        for (error, begun, loaded) in [
            (&lost, false, on(DeviceKind::Cuda, true)),
            (&lost, false, on(DeviceKind::Cpu, false)),
            (&lost, true, on(DeviceKind::Cuda, false)),
            (&Error::Cancelled, false, on(DeviceKind::Cuda, false)),
        ] {
            assert_eq!(widened(error, begun, &loaded), None);
        }
    }
}
