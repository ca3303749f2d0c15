//! The programs beside this one that use most of the memory that networks run in, by name.

use std::collections::BTreeMap;

use acestep_domain::{capabilities::DeviceKind, memory::OtherProgram};
use nvml_wrapper::{Nvml, enums::device::UsedGpuMemory, error::NvmlError};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::probe::taken_bytes;
use crate::cards;

/// As many are named.
const NAMED: usize = 3;

/// Less than this is not worth naming.
const LEAST: u64 = 64 << 20;

/// The few programs that use the most where networks of `device` run, the largest first; empty where the system
/// names none, as inside a container.
pub(super) fn largest(device: DeviceKind) -> Vec<OtherProgram> {
    let mut programs = all(device);
    programs.truncate(NAMED);
    programs
}

fn all(device: DeviceKind) -> Vec<OtherProgram> {
    let Ok(mut system) = System::new() else {
        return Vec::new();
    };
    system.refresh_processes_specifics(
        ProcessesToUpdate::All,
        true,
        ProcessRefreshKind::nothing().with_memory().without_tasks(),
    );
    // A card whose driver does not tell has no others to name.
    let holders = match device {
        DeviceKind::Cuda => of_card().unwrap_or_default(),
        DeviceKind::Cpu | DeviceKind::Metal => of_host(&system),
    };
    let own = std::process::id();
    let named = holders
        .into_iter()
        .filter(|(pid, _)| *pid != own)
        .filter_map(|(pid, bytes)| Some((system.process(Pid::from_u32(pid))?, bytes)))
        .map(|(process, bytes)| (process.name().to_string_lossy().into_owned(), bytes));
    by_name(named)
}

/// Sums what processes of one name hold.
fn by_name(holders: impl Iterator<Item = (String, u64)>) -> Vec<OtherProgram> {
    let mut sums = BTreeMap::<String, u64>::new();
    for (name, bytes) in holders {
        *sums.entry(name).or_default() += bytes;
    }
    let mut programs: Vec<_> = sums
        .into_iter()
        .filter(|(_, bytes)| *bytes >= LEAST)
        .map(|(name, bytes)| OtherProgram { name, bytes })
        .collect();
    programs.sort_by_key(|program| std::cmp::Reverse(program.bytes));
    programs
}

/// Processes of the host and the memory that only they can give up; what they hold at all where the
/// system does not tell these apart.
fn of_host(system: &System) -> Vec<(u32, u64)> {
    system
        .processes()
        .iter()
        .map(|(pid, process)| {
            let pid = pid.as_u32();
            (pid, taken_bytes(pid).unwrap_or_else(|| process.memory()))
        })
        .collect()
}

/// Processes of the used card and what they hold of it.
fn of_card() -> Result<Vec<(u32, u64)>, NvmlError> {
    let nvml = Nvml::init()?;
    let device = nvml.device_by_index(cards::used().0)?;
    let mut held = BTreeMap::new();
    // A process that computes and draws stands in both lists with the same sum.
    let computing = device.running_compute_processes()?;
    for process in device
        .running_graphics_processes()
        .into_iter()
        .flatten()
        .chain(computing)
    {
        if let UsedGpuMemory::Used(bytes) = process.used_gpu_memory {
            held.insert(process.pid, bytes);
        }
    }
    Ok(held.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::{LEAST, by_name};

    #[test]
    fn the_largest_come_first_and_small_ones_are_left_out() {
        const GIB: u64 = 1 << 30;
        let held = [
            ("game", 3 * GIB),
            ("tab", GIB),
            ("shell", 1 << 20),
            ("tab", GIB),
            ("tab", 2 * GIB),
            ("mail", GIB / 2),
            ("notes", LEAST - 1),
        ];
        let held = held.map(|(name, bytes)| (name.to_owned(), bytes));
        let programs = by_name(held.into_iter());
        let names: Vec<_> = programs.iter().map(|program| &*program.name).collect();
        assert_eq!(names, ["tab", "game", "mail"]);
        assert_eq!(programs[0].bytes, 4 * GIB);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_takes_memory_is_named() {
        use acestep_domain::capabilities::DeviceKind;
        use std::process::{Command, Stdio};

        // A process of another program that holds 512 MiB: `dd` fills its one buffer.
        let mut dd = Command::new("dd")
            .args(["if=/dev/zero", "of=/dev/null", "bs=512M"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let named = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            super::all(DeviceKind::Cpu)
                .iter()
                .any(|program| program.name == "dd" && program.bytes >= 500 << 20)
        });
        dd.kill().unwrap();
        dd.wait().unwrap();
        assert!(named, "{:?}", super::all(DeviceKind::Cpu));
    }
}
