//! What many lives came to.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sim::fault::{Call, Coverage, Fault};
use sim::ledger::Violation;

use crate::Counts;
use crate::life::Verdict;

/// Of so many seeds it is shown what they broke.
const MOST_SHOWN: usize = 10;

/// See the module.
pub(crate) struct Report {
    from: u64,
    threads: usize,
    started: Instant,
    shown: Duration,
    seeds: u64,
    attempts: u64,
    processes: u64,
    virtual_time: Duration,
    ended: Counts,
    coverage: Coverage,
    /// What was broken by which seeds.
    pub(crate) broken: Vec<(u64, Vec<Violation>)>,
    lines: Vec<String>,
    hash: u64,
}

impl Report {
    /// Of lives from that seed on.
    #[allow(
        clippy::disallowed_methods,
        reason = "how long the simulation itself takes is real time"
    )]
    pub(crate) fn new(from: u64, threads: usize) -> Self {
        Self {
            from,
            threads,
            started: Instant::now(),
            shown: Duration::ZERO,
            seeds: 0,
            attempts: 0,
            processes: 0,
            virtual_time: Duration::ZERO,
            ended: Counts::new(),
            coverage: Coverage::default(),
            broken: Vec::new(),
            lines: Vec::new(),
            hash: 0,
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "how long the simulation itself takes is real time"
    )]
    fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Adds one life.
    pub(crate) fn add(&mut self, seed: u64, verdict: Verdict, is_same: bool) {
        self.seeds += 1;
        self.attempts += verdict.attempts;
        self.processes += verdict.processes;
        self.virtual_time += verdict.virtual_time;
        self.coverage.add(&verdict.coverage);
        // Whatever the order in which threads end.
        self.hash ^= verdict.hash;
        for (status, count) in verdict.ended {
            *self.ended.entry(status).or_default() += count;
        }
        let mut violations = verdict.violations;
        if !is_same {
            violations.push(Violation {
                invariant: "determinism",
                what: "a second life of the same seed was another".to_owned(),
            });
        }
        if !violations.is_empty() {
            self.broken.push((seed, violations));
        }
        self.lines = verdict.lines;
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let seeds = self.seeds as f64;
        seeds / self.took().as_secs_f64().max(0.001)
    }

    /// Tells people now and then how far it is.
    pub(crate) fn progress(&mut self, runs: u64, is_json: bool) {
        let took = self.took();
        if is_json || took < self.shown + Duration::from_secs(2) {
            return;
        }
        self.shown = took;
        let mut errors = std::io::stderr();
        let end = if errors.is_terminal() { "\r" } else { "\n" };
        // Whoever reads it may be gone.
        let _ = write!(
            errors,
            "{} of {runs} seeds, {:.0} seeds/s, {} with broken invariants{end}",
            self.seeds,
            self.rate(),
            self.broken.len()
        );
    }

    /// Writes it.
    pub(crate) fn show(&self, is_json: bool, coverage: bool, trace: bool) {
        let text = match is_json {
            true => format!("{:#}\n", self.json()),
            false => self.text(coverage, trace),
        };
        // Whoever reads it may be gone.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn json(&self) -> Value {
        let faults: serde_json::Map<String, Value> = Fault::ALL
            .iter()
            .map(|fault| (fault.to_string(), json!(self.coverage.total(*fault))))
            .collect();
        let calls: serde_json::Map<String, Value> = Call::ALL
            .iter()
            .map(|call| (call.to_string(), json!(self.coverage.calls(*call))))
            .collect();
        let missing: Vec<String> = self
            .coverage
            .missing()
            .iter()
            .map(|(call, fault)| format!("{call}: {fault}"))
            .collect();
        let broken: Vec<Value> = self
            .broken
            .iter()
            .take(MOST_SHOWN)
            .map(|(seed, violations)| {
                let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
                json!({ "seed": seed, "violations": violations, "replay": replay(*seed) })
            })
            .collect();
        json!({
            "from": self.from,
            "seeds": self.seeds,
            "seconds": self.took().as_secs_f64(),
            "seeds_per_second": self.rate(),
            "threads": self.threads,
            "virtual_hours": self.virtual_time.as_secs_f64() / 3600.0,
            "attempts": self.attempts,
            "processes": self.processes,
            "runs": self.ended,
            "calls": calls,
            "faults": faults,
            "never_drawn": missing,
            "hash": format!("{:016x}", self.hash),
            "broken_seeds": self.broken.len(),
            "violations": broken,
        })
    }

    fn text(&self, coverage: bool, trace: bool) -> String {
        let mut text = String::new();
        if trace {
            text.push_str(&self.lines.join("\n"));
            text.push('\n');
        }
        if coverage {
            text.push_str(&self.table());
        }
        let ended: Vec<String> = self
            .ended
            .iter()
            .map(|(status, n)| format!("{n} {status}"))
            .collect();
        let faults: Vec<String> = Fault::ALL
            .iter()
            .map(|fault| format!("{fault} {}", self.coverage.total(*fault)))
            .collect();
        text.push_str(&format!(
            "{} seeds from {} in {:.1} s on {} threads: {:.0} seeds/s\n{:.0} hours of the fleet, {} processes, {} attempts; runs: {}\nfaults: {}\nhash {:016x}\n",
            self.seeds,
            self.from,
            self.took().as_secs_f64(),
            self.threads,
            self.rate(),
            self.virtual_time.as_secs_f64() / 3600.0,
            self.processes,
            self.attempts,
            ended.join(", "),
            faults.join(", "),
            self.hash,
        ));
        for (seed, violations) in self.broken.iter().take(MOST_SHOWN) {
            text.push_str(&format!("\nseed {seed}:\n"));
            for violation in violations {
                text.push_str(&format!("  {violation}\n"));
            }
            text.push_str(&format!("  replay: {}\n", replay(*seed)));
        }
        text.push_str(&format!("seeds with broken invariants: {}\n", self.broken.len()));
        text
    }

    /// A line for each call, a column for each fault; a dot where that cannot be.
    fn table(&self) -> String {
        let mut text = format!("{:<16}{:>10}", "call", "calls");
        for fault in Fault::ALL {
            text.push_str(&format!("{fault:>14}"));
        }
        text.push('\n');
        for call in Call::ALL {
            text.push_str(&format!("{call:<16}{:>10}", self.coverage.calls(*call)));
            for fault in Fault::ALL {
                match call.may(*fault) {
                    true => text.push_str(&format!("{:>14}", self.coverage.of(*call, *fault))),
                    false => text.push_str(&format!("{:>14}", ".")),
                }
            }
            text.push('\n');
        }
        text
    }
}

fn replay(seed: u64) -> String {
    format!("make simulate SEED={seed}")
}
