//! This process's own figures, under the names that every Prometheus client library uses.

use std::time::Duration;

use prometheus::{Gauge, IntGauge, Registry};
use rustix::time::{ClockId, clock_gettime};

use crate::child::memory_of;

#[derive(Debug)]
pub(super) struct ProcessMetrics {
    resident: IntGauge,
    mapped: IntGauge,
    peak: IntGauge,
    cpu: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        const VALID: &str = "names are written here, and a test renders all of them";
        let bytes = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect(VALID);
            registry.register(Box::new(gauge.clone())).expect(VALID);
            gauge
        };
        let cpu =
            Gauge::new("process_cpu_seconds_total", "Processor time, of user and system.").expect(VALID);
        registry.register(Box::new(cpu.clone())).expect(VALID);
        Self {
            resident: bytes("process_resident_memory_bytes", "Resident memory."),
            mapped: bytes("process_virtual_memory_bytes", "Mapped memory."),
            peak: bytes(
                "process_resident_memory_peak_bytes",
                "The most resident memory so far.",
            ),
            cpu,
        }
    }

    /// Asks the system. Memory is known on Linux only; elsewhere it stays 0.
    pub(super) fn update(&self) {
        if let Some(memory) = memory_of("self") {
            let set = |gauge: &IntGauge, bytes: u64| gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            set(&self.resident, memory.resident_bytes);
            set(&self.mapped, memory.virtual_bytes);
            set(&self.peak, memory.peak_bytes);
        }
        if let Ok(used) = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)) {
            self.cpu.set(used.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_and_time_are_more_than_nothing() {
        let text = crate::metrics::Metrics::new().render();
        for name in [
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_cpu_seconds_total",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .expect(name);
            assert!(value.parse::<f64>().expect("a number") > 0.0, "{name} {value}");
        }
    }
}
