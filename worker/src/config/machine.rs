//! What the machine has, for defaults.

use std::num::NonZero;
use std::path::PathBuf;

/// The resources that defaults follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// How many cores we may use.
    pub cores: usize,
    /// How much memory we may use, if that is known.
    pub memory_bytes: Option<u64>,
    /// The folder for temporary files.
    pub temp_dir: PathBuf,
}

impl Machine {
    /// The one that this process runs on, with the limits of its container.
    pub fn this() -> Self {
        let total = std::fs::read_to_string("/proc/meminfo")
            .ok()
            .as_deref()
            .and_then(total_bytes);
        Self {
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            memory_bytes: total.into_iter().chain(crate::child::cgroup_limit_bytes()).min(),
            temp_dir: std::env::temp_dir(),
        }
    }

    /// Memory for heavy attempts unless it is configured: 80 % of what there is; the rest is for us and the system.
    pub(super) fn default_budget_bytes(&self) -> u64 {
        /// Where the system does not tell (it does on Linux), a small machine's.
        const UNKNOWN: u64 = 4 * 1024 * 1024 * 1024;
        budget_bytes(self.memory_bytes.unwrap_or(UNKNOWN))
    }
}

pub(super) fn budget_bytes(machine_bytes: u64) -> u64 {
    machine_bytes / 10 * 8
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_total_only() {
        let text = "MemTotal:       24600000 kB\nMemFree:        1 kB\n";
        assert_eq!(total_bytes(text), Some(24_600_000 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::this();
        assert!(machine.cores >= 1);
        assert!(cfg!(not(target_os = "linux")) || machine.memory_bytes.is_some_and(|bytes| bytes > 64 << 20));
    }
}
