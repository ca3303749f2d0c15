//! Asks the card (through NVML, which needs no CUDA in the build) and the host what they have.

use nvml_wrapper::Nvml;
use sysinfo::System;

use crate::kernels::rates::Reader;

/// Bytes of one GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// A card as NVML reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Product name.
    pub name: String,
    /// All of its memory.
    pub total_gib: f64,
    /// Memory nobody uses now.
    pub free_gib: f64,
    /// Compute capability, for example (8, 6).
    pub compute_capability: Option<(i32, i32)>,
}

/// The host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Processor name.
    pub name: String,
    /// Threads this process may use.
    pub threads: usize,
    /// Memory, or the container's limit when that is smaller.
    pub total_gib: f64,
    /// Memory that can be had without swapping.
    pub available_gib: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The first NVIDIA card.
    pub card: Option<Card>,
    /// The host.
    pub host: Host,
}

/// Reads card and host. A machine without an NVIDIA driver simply has no card.
pub fn probe() -> Probe {
    Probe {
        card: card().ok(),
        host: host(),
    }
}

fn card() -> Result<Card, nvml_wrapper::error::NvmlError> {
    let nvml = Nvml::init()?;
    let device = nvml.device_by_index(0)?;
    let memory = device.memory_info()?;
    Ok(Card {
        name: device.name()?,
        total_gib: memory.total as f64 / GIB,
        free_gib: memory.free as f64 / GIB,
        compute_capability: device
            .cuda_compute_capability()
            .ok()
            .map(|capability| (capability.major, capability.minor)),
    })
}

fn host() -> Host {
    let mut name = None;
    let (mut total, mut available) = (0, 0);
    if let Ok(mut system) = System::new() {
        system.refresh_memory();
        system.refresh_cpu_all();
        (total, available) = (system.total_memory(), system.available_memory());
        if let Some(limits) = system.cgroup_limits() {
            total = total.min(limits.total_memory);
            available = available.min(limits.free_memory);
        }
        name = system
            .cpus()
            .first()
            .map(|cpu| cpu.brand().trim().to_owned())
            .filter(|name| !name.is_empty());
    }
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    Host {
        name,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        total_gib: total as f64 / GIB,
        available_gib: available as f64 / GIB,
    }
}

/// How fast all threads together read main memory, in GB a second: the pace at which a processor
/// writes audio codes. Takes a tenth of a second.
pub fn memory_gb_per_sec() -> f64 {
    const BYTES: usize = 128 << 20;
    const TIMES: usize = 3;
    let reader = Reader::new(BYTES);
    (0..TIMES).map(|_| reader.read()).fold(0.0, f64::max) / 1e9
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_has_memory_a_name_and_a_thread() {
        let host = super::host();
        assert!(
            host.total_gib > 0.1 && host.available_gib <= host.total_gib,
            "{host:?}"
        );
        assert!(host.threads >= 1 && !host.name.is_empty());
    }
}
