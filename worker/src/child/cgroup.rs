//! What Linux tells about memory, in `/proc` and in version 2 control groups. Elsewhere all of it is unknown.

use std::fs;
use std::path::PathBuf;

/// The memory of one process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ProcessMemory {
    /// Resident now.
    pub(crate) resident_bytes: u64,
    /// Of that, what only killing the process gives back: without pages of files, which the kernel drops at need.
    pub(crate) held_bytes: u64,
    /// Resident at most so far.
    pub(crate) peak_bytes: u64,
    /// Mapped now.
    pub(crate) virtual_bytes: u64,
}

/// The memory of a process that is there, `"self"` or an id.
pub(crate) fn memory_of(process: &str) -> Option<ProcessMemory> {
    parse_status(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn parse_status(text: &str) -> Option<ProcessMemory> {
    let bytes = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .map(|kib| kib.saturating_mul(1024))
    };
    // A zombie has a status without these lines.
    let resident_bytes = bytes("VmRSS")?;
    let held_bytes = match (bytes("RssAnon"), bytes("RssShmem")) {
        (Some(anonymous), shared) => anonymous.saturating_add(shared.unwrap_or(0)),
        (None, _) => resident_bytes,
    };
    Some(ProcessMemory {
        resident_bytes,
        held_bytes,
        peak_bytes: bytes("VmHWM")?.max(resident_bytes),
        virtual_bytes: bytes("VmSize")?,
    })
}

/// How many processes of our control group the kernel has killed for memory.
pub(super) fn oom_kills() -> Option<u64> {
    let text = fs::read_to_string(own_folder()?.join("memory.events")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The tightest memory limit of our control group and those around it.
pub(crate) fn limit_bytes() -> Option<u64> {
    own_folder()?
        .ancestors()
        .take_while(|folder| folder.starts_with(ROOT))
        .filter_map(|folder| fs::read_to_string(folder.join("memory.max")).ok())
        .filter_map(|text| text.trim().parse().ok()) // "max" is no number and no limit
        .min()
}

const ROOT: &str = "/sys/fs/cgroup";

fn own_folder() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(ROOT).join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status_and_that_of_a_zombie_is_none() {
        let text = "Name:\tworker\nVmPeak:\t  9 kB\nVmSize:\t    800 kB\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\nRssAnon:\t     150 kB\nRssFile:\t      40 kB\nRssShmem:\t      10 kB\n";
        assert_eq!(
            parse_status(text),
            Some(ProcessMemory {
                resident_bytes: 200 * 1024,
                held_bytes: 160 * 1024,
                peak_bytes: 300 * 1024,
                virtual_bytes: 800 * 1024
            })
        );
        assert_eq!(parse_status("Name:\tworker\nState:\tZ (zombie)\n"), None);
        assert_eq!(parse_status("VmRSS:\tmuch\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_memory_is_known_on_linux() {
        let memory = memory_of("self").expect("Linux tells");
        assert!(
            memory.resident_bytes > 100_000 && memory.peak_bytes >= memory.resident_bytes,
            "{memory:?}"
        );
    }
}
