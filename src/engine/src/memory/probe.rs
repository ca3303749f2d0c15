//! Asks the card (through NVML, which needs no CUDA in the build) and the host what they have.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use acestep_domain::capabilities::DeviceKind;
use nvml_wrapper::{Device, Nvml, enums::device::UsedGpuMemory, error::NvmlError};
use sysinfo::{CGroupLimits, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{give_back, others, plan::Free};
use crate::{
    cards::{
        self, Card,
        silent::{Maker, makers},
    },
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
    /// Makers of the GPUs that the system lists, where there is no NVIDIA card.
    pub other_gpus: Vec<Maker>,
    /// The host.
    pub host: Host,
}

/// Reads card and host. A machine without an NVIDIA driver simply has no card.
pub fn probe() -> Probe {
    let cards = cards::list();
    Probe {
        other_gpus: if cards.is_empty() {
            makers()
        } else {
            Vec::new()
        },
        cards,
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
    let own = own_bytes_of_host();
    let (total, available) = System::new().map_or((0, 0), |mut system| {
        system.refresh_memory();
        within_limits(&mut system)
    });
    let host = available + own;
    let threads = rayon::current_num_threads();
    let card = if device == DeviceKind::Cuda {
        // Of a card whose driver has fallen silent no more is known than all it has.
        card_free()
            .ok()
            .or_else(|| cards::total_bytes().map(|total| (total, total)))
    } else {
        None
    };
    match card {
        Some((total, device)) => Free {
            host,
            device: cards::within_simulated(device),
            others: total.saturating_sub(device),
            largest_others: others::largest,
            threads,
        },
        // Apple's GPUs share the memory of the host.
        None => Free {
            host,
            device: host,
            others: total.saturating_sub(host),
            largest_others: others::largest,
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
    let own = held(
        listed_bytes(&device).ok(),
        memory.used,
        USED_BEFORE.get().copied(),
    );
    Ok((memory.total, memory.free + own))
}

/// Bytes of the card that were in use before this process opened it.
static USED_BEFORE: OnceLock<u64> = OnceLock::new();

/// Remembers what others use of the card that is about to be opened; a second call changes nothing.
#[cfg(feature = "cuda")]
pub(crate) fn before_opening() {
    let used = || {
        let nvml = Nvml::init()?;
        let device = nvml.device_by_index(cards::used().0)?;
        Ok::<_, NvmlError>(device.memory_info()?.used)
    };
    if USED_BEFORE.get().is_none()
        && let Ok(bytes) = used()
    {
        USED_BEFORE.get_or_init(|| bytes);
    }
}

/// Bytes of a card that this process holds, of those `listed` for it by the driver and all that are `used`.
/// Inside a container the driver may know a process by another number and list nothing; then it is what has
/// come since `before` the card was opened. Of a card that was not opened nothing is held.
fn held(listed: Option<u64>, used: u64, before: Option<u64>) -> u64 {
    match listed {
        Some(bytes) if bytes > 0 => bytes,
        _ => before.map_or(0, |before| used.saturating_sub(before)),
    }
}

/// Watches what this process holds of the card's memory.
#[derive(Debug)]
pub struct CardWatch {
    stop: Arc<AtomicBool>,
    /// The most that was seen; 0 where the driver does not tell and the system gave no thread.
    most: Arc<AtomicU64>,
}

impl CardWatch {
    /// Begins to look, some hundred times a second.
    pub fn start() -> Self {
        const PAUSE: Duration = Duration::from_millis(5);
        let watch = Self {
            stop: Arc::default(),
            most: Arc::default(),
        };
        let (stopped, most) = (Arc::clone(&watch.stop), Arc::clone(&watch.most));
        let looks = move || {
            let Ok(nvml) = Nvml::init() else { return };
            while !stopped.load(Ordering::Relaxed) {
                most.fetch_max(own_bytes(&nvml).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
        };
        // Without a thread nothing is seen.
        drop(std::thread::Builder::new().spawn(looks));
        watch
    }

    /// The most that was held until now; `None` where the driver does not tell.
    pub fn most(&self) -> Option<u64> {
        Some(self.most.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

impl Drop for CardWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
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

/// Bytes of the used card that this process holds.
fn own_bytes(nvml: &Nvml) -> Result<u64, NvmlError> {
    let device = nvml.device_by_index(cards::used().0)?;
    let listed = listed_bytes(&device).ok();
    Ok(held(
        listed,
        device.memory_info()?.used,
        USED_BEFORE.get().copied(),
    ))
}

/// Bytes of main memory that only this process can give up; 0 where the system does not say.
fn own_bytes_of_host() -> u64 {
    taken_bytes(std::process::id()).unwrap_or(0)
}

/// Bytes of main memory that only the process `pid` can give up; `None` where the system does not say
/// (anything but Linux). Files that are mapped are not among them: the system counts them as free.
pub(super) fn taken_bytes(pid: u32) -> Option<u64> {
    let status = status_of(pid)?;
    Some(bytes_of(&status, "RssAnon:")? + bytes_of(&status, "RssShmem:")?)
}

/// What the system tells of a process, a line each.
fn status_of(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

/// A line of a process's `status` that counts kB.
fn bytes_of(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
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
    bytes_of(&status_of(std::process::id())?, "VmHWM:")
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mapped_file_is_not_ours_to_give_up_and_a_buffer_is() {
        use std::io::Write as _;

        const BYTES: usize = 96 << 20;
        let most = BYTES as u64 / 2;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; BYTES]).unwrap();
        let before = super::own_bytes_of_host();
        #[expect(unsafe_code, reason = "a map of a file that nobody else has")]
        // SAFETY: the file has no name, so nobody changes it.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let read: u64 = map.iter().step_by(4096).map(|byte| u64::from(*byte)).sum();
        assert_eq!(read, BYTES as u64 / 4096);
        assert!(super::own_bytes_of_host() < before + most);
        let buffer = vec![1u8; BYTES];
        assert!(
            super::own_bytes_of_host() > before + most,
            "{}",
            buffer.len()
        );
    }

    #[test]
    fn what_is_held_of_a_card_is_told_inside_a_container_too() {
        assert_eq!(super::held(Some(5), 9, Some(1)), 5);
        assert_eq!(
            super::held(Some(0), 9, Some(1)),
            8,
            "listed by another number"
        );
        assert_eq!(super::held(None, 9, Some(1)), 8);
        assert_eq!(super::held(Some(0), 1, Some(3)), 0, "others gave some back");
        assert_eq!(
            super::held(Some(0), 9, None),
            0,
            "the card was never opened"
        );
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
