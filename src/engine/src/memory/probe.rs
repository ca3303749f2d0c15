//! Asks the card (through NVML, which needs no CUDA in the build) and the host what they have.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use acestep_domain::capabilities::DeviceKind;
use nvml_wrapper::{Device, Nvml, enums::device::UsedGpuMemory, error::NvmlError};
use sysinfo::{CGroupLimits, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{give_back, plan::Free};
use crate::{
    cards::{self, Card},
    kernels::rates::Reader,
    room::ask,
};

/// Bytes of one GiB.
const GIB: f64 = (1_u64 << 30) as f64;

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
    /// Every NVIDIA card.
    pub cards: Vec<Card>,
    /// The host.
    pub host: Host,
}

/// Reads card and host. A machine without an NVIDIA driver simply has no card.
pub fn probe() -> Probe {
    Probe {
        cards: cards::list(),
        host: host(),
    }
}

fn host() -> Host {
    let mut name = None;
    let (mut total, mut available) = (0, 0);
    if let Ok(mut system) = System::new() {
        system.refresh_memory();
        system.refresh_cpu_all();
        (total, available) = within_limits(&mut system);
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

/// Memory that this program can have now where networks of `device` run, and what others use of it.
pub fn free(device: DeviceKind) -> Free {
    let own = resident_bytes();
    let (total, available) = System::new().map_or((0, 0), |mut system| {
        system.refresh_memory();
        within_limits(&mut system)
    });
    let host = available + own;
    let threads = rayon::current_num_threads();
    let card = if device == DeviceKind::Cuda {
        card_free().ok()
    } else {
        None
    };
    match card {
        Some((total, device)) => Free {
            host,
            device: cards::within_simulated(device),
            others: total.saturating_sub(device),
            threads,
        },
        // Apple's GPUs share the memory of the host.
        None => Free {
            host,
            device: host,
            others: total.saturating_sub(host),
            threads,
        },
    }
}

/// Bytes of the machine or of the container's limit, and those that can be had without swapping. A
/// container's count of used memory has the files that were read in it, which the system gives
/// back; what is taken for good is its anonymous memory.
fn within_limits(system: &mut System) -> (u64, u64) {
    let all = (system.total_memory(), system.available_memory());
    // A container's limit stands where its groups begin, a service's in the group of its process.
    [system.cgroup_limits(), group_limits(system)]
        .into_iter()
        .flatten()
        .fold(all, |(total, available), limits| {
            let free = limits.total_memory.saturating_sub(limits.rss);
            (
                total.min(limits.total_memory),
                available.min(free.max(limits.free_memory)),
            )
        })
}

/// Limits of the control group that this process is in.
fn group_limits(system: &mut System) -> Option<CGroupLimits> {
    let own = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[own]),
        false,
        ProcessRefreshKind::nothing(),
    );
    system.process(own)?.cgroup_limits()
}

/// Main memory that can be had now without swapping; `None` where the system does not say.
pub(crate) fn available_bytes() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    Some(within_limits(&mut system).1).filter(|bytes| *bytes > 0)
}

/// Bytes of the card that is used, and what this process holds of them or nobody does.
fn card_free() -> Result<(u64, u64), NvmlError> {
    let nvml = Nvml::init()?;
    let device = nvml.device_by_index(cards::used().0)?;
    let memory = device.memory_info()?;
    let own = listed_bytes(&device)?;
    Ok((memory.total, memory.free + own))
}

/// Watches what this process holds of the card's memory.
#[derive(Debug)]
pub struct CardWatch {
    stop: Arc<AtomicBool>,
    /// `None` where the system gave no thread.
    watch: Option<std::thread::JoinHandle<u64>>,
}

impl CardWatch {
    /// Begins to look, some hundred times a second.
    pub fn start() -> Self {
        const PAUSE: Duration = Duration::from_millis(5);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = std::thread::Builder::new().spawn(move || {
            let Ok(nvml) = Nvml::init() else { return 0 };
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(own_bytes(&nvml).unwrap_or(0));
                std::thread::sleep(PAUSE);
            }
            most
        });
        Self {
            stop,
            watch: watch.ok(),
        }
    }

    /// The most that was held; `None` where the driver does not tell.
    pub fn most(self) -> Option<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.watch?.join().ok().filter(|bytes| *bytes > 0)
    }
}

/// Bytes of a card that its driver counts for this process.
fn listed_bytes(device: &Device<'_>) -> Result<u64, NvmlError> {
    let processes = device.running_compute_processes()?;
    let own = processes
        .iter()
        .filter(|process| process.pid == std::process::id());
    let bytes = own.map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => bytes,
        UsedGpuMemory::Unavailable => 0,
    });
    Ok(bytes.sum())
}

/// Bytes of the used card that this process holds now; `None` where the driver does not tell.
pub fn card_bytes() -> Option<u64> {
    Nvml::init().and_then(|nvml| own_bytes(&nvml)).ok()
}

/// Bytes of the used card that this process holds. Inside a container a driver may know a process by
/// another number; then all that is in use counts.
fn own_bytes(nvml: &Nvml) -> Result<u64, NvmlError> {
    let device = nvml.device_by_index(cards::used().0)?;
    let own = listed_bytes(&device)?;
    if own > 0 {
        return Ok(own);
    }
    Ok(device.memory_info()?.used)
}

/// Bytes of main memory that this process holds; 0 where the system does not say (anything but
/// Linux).
fn resident_bytes() -> u64 {
    status_bytes("VmRSS:").unwrap_or(0)
}

/// A line of `/proc/self/status` that counts kB.
fn status_bytes(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line[key.len()..].trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// Begins to measure the peak of this process's main memory; [`peak_bytes`] tells it.
pub fn restart_peak() {
    // Where it cannot be restarted, the peak is that of the process's life so far, which is no less.
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

/// The most main memory that this process held since [`restart_peak`], files it reads included;
/// `None` where the system does not say.
pub fn peak_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// How fast all threads together read main memory, in GB a second: the pace at which a processor
/// writes audio codes. Takes a tenth of a second. `None` where there is no memory for it.
pub fn memory_gb_per_sec() -> Option<f64> {
    const BYTES: usize = 128 << 20;
    const TIMES: usize = 3;
    ask(BYTES as u64, &candle_core::Device::Cpu).ok()?;
    let reader = Reader::new(BYTES);
    let fastest = (0..TIMES).map(|_| reader.read()).fold(0.0, f64::max);
    drop(reader);
    give_back();
    Some(fastest / 1e9)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_peak_is_measured_from_when_it_was_restarted() {
        let large = vec![1u8; 64 << 20];
        let with = super::peak_bytes().unwrap();
        assert!(with >= large.len() as u64);
        drop(large);
        super::restart_peak();
        assert!(super::peak_bytes().unwrap() <= with - (32 << 20));
    }

    #[test]
    fn what_can_be_had_is_no_more_than_there_is() {
        let free = super::free(acestep_domain::capabilities::DeviceKind::Cpu);
        let total = (super::host().total_gib * super::GIB) as u64;
        assert!(free.host > 0 && free.host <= total + (1 << 30), "{free:?}");
        assert!(free.others < total, "{free:?}");
    }

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
