//! What was measured, as a table for people or as JSON, together with what it means.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Options;
use crate::fleet::Durability;

/// Who worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Fleetline(Durability),
    /// A peer, and how it was set up.
    Peer(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleetline(Durability::Full) => f.pad("fleetline, full (fsync)"),
            Self::Fleetline(Durability::Normal) => f.pad("fleetline, normal"),
            Self::Peer(name) => f.pad(name),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One measurement of throughput.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Throughput {
    pub(crate) who: Who,
    pub(crate) processes: usize,
    pub(crate) runs: u32,
    pub(crate) stages_per_second: f64,
    pub(crate) submitted_per_second: Option<f64>,
    /// Of all worker processes together, their start included.
    pub(crate) cpu_seconds: Option<f64>,
    /// Of the largest worker process.
    pub(crate) peak_memory_bytes: Option<u64>,
    /// What the store takes on disk, or in memory where that is the store.
    pub(crate) stored_bytes: Option<u64>,
    /// Attempts beyond the first one of each step.
    pub(crate) repeated: u32,
}

/// One measurement of hand-offs, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Handoff {
    durability: Durability,
    processes: usize,
    handoffs: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Of one whole run, from the submission until the end is known to who submitted it.
    run_p50_ms: f64,
}

impl Handoff {
    pub(crate) fn new(
        durability: Durability,
        processes: usize,
        waits: Vec<Duration>,
        runs: Vec<Duration>,
    ) -> Self {
        let sorted = |times: Vec<Duration>| {
            let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let (waits, runs) = (sorted(waits), sorted(runs));
        Self {
            durability,
            processes,
            handoffs: waits.len(),
            p50_ms: quantile(&waits, 50),
            p99_ms: quantile(&waits, 99),
            max_ms: quantile(&waits, 100),
            run_p50_ms: quantile(&runs, 50),
        }
    }
}

/// How long one command takes to answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StartUp {
    pub(crate) command: String,
    pub(crate) milliseconds: f64,
}

/// How large one binary is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Size {
    pub(crate) binary: &'static str,
    pub(crate) size_bytes: u64,
}

/// The largest that the producer may be.
const PRODUCER_MAX_BYTES: u64 = 15 * 1024 * 1024;

/// The nearest-rank quantile of sorted figures; zero if there are none.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The middle one; zero if there are none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    quantile(&figures, 50)
}

/// Everything that was measured, round by round.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip)]
    options: Options,
    steps: u32,
    permits: u32,
    throughput: Vec<Throughput>,
    handoff: Vec<Handoff>,
    start_up: Vec<StartUp>,
    sizes: Vec<Size>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            steps: options.steps,
            permits: options.permits,
            throughput: Vec::new(),
            handoff: Vec::new(),
            start_up: Vec::new(),
            sizes: Vec::new(),
        }
    }

    pub(crate) fn throughput(&mut self, measured: Throughput) {
        eprintln!(
            "  {}, {} process(es): {:.0} stages/s",
            measured.who, measured.processes, measured.stages_per_second
        );
        self.throughput.push(measured);
    }

    pub(crate) fn handoff(&mut self, measured: Handoff) {
        eprintln!(
            "  hand-off, {}: p50 {:.3} ms",
            measured.durability.as_str(),
            measured.p50_ms
        );
        self.handoff.push(measured);
    }

    pub(crate) fn start_up(&mut self, measured: Vec<StartUp>) {
        self.start_up.extend(measured);
    }

    pub(crate) fn sizes(&mut self, measured: Vec<Size>) {
        self.sizes = measured;
    }

    fn throughput_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:38} {:>9} {:>6} {:>9} {:>6} {:>8} {:>9} {:>10} {:>9}",
            "THROUGHPUT",
            "PROCESSES",
            "RUNS",
            "STAGES/S",
            "RATIO",
            "CPU S",
            "CPU µs/ST",
            "PEAK MIB",
            "STORE MIB"
        )?;
        for rows in groups(&self.throughput, |row| (row.who.to_string(), row.processes)) {
            let row = rows[0];
            let middle =
                |figure: &dyn Fn(&Throughput) -> f64| median(rows.iter().map(|row| figure(row)).collect());
            let rate = middle(&|row| row.stages_per_second);
            let ours = self.throughput.iter().filter(|other| {
                other.who == Who::Fleetline(Durability::Full) && other.processes == row.processes
            });
            let ours = median(ours.map(|other| other.stages_per_second).collect());
            let stages = f64::from(row.runs) * f64::from(self.steps);
            let cpu = row
                .cpu_seconds
                .map(|_| middle(&|row| row.cpu_seconds.unwrap_or(0.0)));
            writeln!(
                f,
                "{:38} {:>9} {:>6} {:>9.0} {:>6.2} {:>8} {:>9} {:>10} {:>9}{}",
                row.who,
                row.processes,
                row.runs,
                rate,
                rate / ours,
                or_dash(cpu.map(|seconds| format!("{seconds:.1}"))),
                or_dash(cpu.map(|seconds| format!("{:.0}", seconds * 1e6 / stages))),
                or_dash(row.peak_memory_bytes.map(mib)),
                or_dash(row.stored_bytes.map(mib)),
                match rows.iter().map(|row| row.repeated).max() {
                    None | Some(0) => String::new(),
                    Some(most) => format!("  ({most} attempts were repeated)"),
                }
            )?;
        }
        Ok(())
    }

    fn handoff_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:38} {:>9} {:>9} {:>8} {:>8} {:>8} {:>12}",
            "HAND-OFF, idle fleet", "PROCESSES", "HAND-OFFS", "P50 MS", "P99 MS", "MAX MS", "RUN P50 MS"
        )?;
        for rows in groups(&self.handoff, |row| (row.durability.as_str(), row.processes)) {
            let middle =
                |figure: &dyn Fn(&Handoff) -> f64| median(rows.iter().map(|row| figure(row)).collect());
            writeln!(
                f,
                "{:38} {:>9} {:>9} {:>8.3} {:>8.3} {:>8.3} {:>12.3}",
                Who::Fleetline(rows[0].durability),
                rows[0].processes,
                rows[0].handoffs,
                middle(&|row| row.p50_ms),
                middle(&|row| row.p99_ms),
                rows.iter().map(|row| row.max_ms).fold(0.0, f64::max),
                middle(&|row| row.run_p50_ms),
            )?;
        }
        Ok(())
    }

    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rounds, .. } = self.options;
        writeln!(
            f,
            "
Throughput: a backlog of runs of {} steps that do nothing is submitted first; then the worker processes start, each
with {} attempts at once. Measured from the first claim to the last commit; CPU and peak memory (of the largest process)
are the workers', their start included. RATIO is to fleetline, full, with as many processes. Every run is checked to
have succeeded. Hand-off: one run after another in an idle fleet, from the commit of a step to the claim of the next,
both known to a worker, by the microseconds in their logs. Medians of {rounds} round(s), of {} starts for commands; the
largest of all for MAX.",
            self.steps,
            self.permits,
            crate::start_up::TIMES,
        )?;
        if self.throughput.iter().any(|row| matches!(row.who, Who::Peer(_))) {
            f.write_str(PEER_IS)?;
        }
        Ok(())
    }
}

const PEER_IS: &str = "\
Celery: the same number of steps as a chain of tasks that do nothing, submitted first, over a Redis of its own on
loopback; a process is a worker with a pool of one (`prefork`, so two system processes: one that talks to Redis and one
that works). `fast`: tasks are acknowledged before they run and leave no result, so a killed worker loses them.
`careful`: acknowledged after they ran, results stored, as fleetline's steps are. In memory, a loss of power loses
everything; `everysec` syncs to disk once a second; fleetline, full, syncs before every answer. What Celery does not do
at all: it checks no claim against the run's state, so a task may run twice, and two results may both count. CPU is of
workers and Redis together, memory of the largest process.
";

/// The rows that have the same key, in the order in which keys came first.
fn groups<T, K: PartialEq>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<Vec<&T>> {
    let mut groups: Vec<(K, Vec<&T>)> = Vec::new();
    for row in rows {
        let own = key(row);
        match groups.iter_mut().find(|(known, _)| *known == own) {
            Some((_, group)) => group.push(row),
            None => groups.push((own, vec![row])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn mib(size_bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mib = size_bytes as f64 / (1024.0 * 1024.0);
    format!("{mib:.1}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.options.json {
            let json = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
            return f.write_str(&json);
        }
        self.throughput_table(f)?;
        self.handoff_table(f)?;
        writeln!(f, "\n{:38} {:>9}", "START-UP", "MS")?;
        for rows in groups(&self.start_up, |row| row.command.clone()) {
            let middle = median(rows.iter().map(|row| row.milliseconds).collect());
            writeln!(f, "{:38} {middle:>9.1}", rows[0].command)?;
        }
        writeln!(f, "\n{:38} {:>9}", "SIZE", "MIB")?;
        for Size { binary, size_bytes } in &self.sizes {
            let is_too_large = *binary == "producer" && *size_bytes > PRODUCER_MAX_BYTES;
            let remark = if is_too_large {
                "  TOO LARGE: more than 15"
            } else {
                ""
            };
            writeln!(f, "{binary:38} {:>9}{remark}", mib(*size_bytes))?;
        }
        self.explain(f)
    }
}
