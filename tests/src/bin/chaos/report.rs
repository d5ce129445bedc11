//! What is said at the end.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::account::lines_about;
use crate::ground::Ground;
use crate::judge::Judged;
use crate::{Arguments, Place};

/// The lines of the log that are shown of a run, at most.
const LINES: usize = 60;
/// Of so many runs they are shown.
const RUNS: usize = 5;

/// See the module.
pub(crate) struct Report<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) ground: &'a Ground,
    pub(crate) judged: &'a Judged,
    /// Where log and stores are kept.
    pub(crate) kept: Option<&'a Path>,
}

impl Report<'_> {
    /// True if there was a nemesis.
    fn is_stormy(&self) -> bool {
        self.judged.account.times("kill") + self.judged.account.times("freeze") > 0
    }

    /// What is wrong though no invariant of the stores says so.
    pub(crate) fn needless(&self) -> Option<String> {
        let duplicates = self.judged.duplicates;
        (!self.is_stormy() && duplicates > 0)
            .then(|| format!("{duplicates} attempts were beyond one for each step, and nothing went wrong"))
    }

    /// True if everything is as it must be.
    pub(crate) fn is_right(&self) -> bool {
        let Judged {
            violations,
            lost,
            doubled,
            ..
        } = self.judged;
        violations.is_empty() && *lost == 0 && *doubled == 0 && self.needless().is_none()
    }

    /// Milliseconds that this part of the recoveries took at most; none if there were none.
    fn recovery_ms(&self, percent: usize) -> Option<u64> {
        let mut all = self.judged.account.recoveries_us.clone();
        all.sort_unstable();
        let last = all.len().checked_sub(1)?;
        let at = (all.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        Some(all[at] / 1000)
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let (judged, account) = (self.judged, &self.judged.account);
        let times = |act: &str| json!(account.times(act));
        vec![
            ("runs", json!(account.accepted.len())),
            ("attempts", json!(judged.attempts)),
            ("workers", times("start")),
            ("kills", times("kill")),
            ("kills_at_work", json!(account.killed_at_work)),
            ("zombies", times("freeze")),
            ("zombies_at_work", json!(account.frozen_at_work)),
            ("skews", json!(account.times("skew").div_ceil(2))),
            ("bursts_of_refusals", times("refuse")),
            ("bursts_of_resets", times("cut")),
            ("disk_full", times("fill")),
            ("endpoint_restarts", times("restart")),
            ("attempts_fenced_off", json!(account.fenced)),
            ("duplicates_removed", json!(judged.duplicates)),
            ("recoveries", json!(account.recoveries_us.len())),
            ("recovery_p50_ms", json!(self.recovery_ms(50))),
            ("recovery_p99_ms", json!(self.recovery_ms(99))),
            ("recovery_max_ms", json!(self.recovery_ms(100))),
            ("artifacts_checked", json!(judged.artifacts)),
            ("lost", json!(judged.lost)),
            ("doubled", json!(judged.doubled)),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let violations: Vec<Value> = self
            .judged
            .violations
            .iter()
            .map(|v| json!({ "invariant": v.invariant, "what": v.what }))
            .collect();
        let mut told = json!({
            "seed": self.arguments.seed(),
            "backend": self.arguments.backend.name(),
            "lease_ms": pipeline::time::millis(self.arguments.lease),
            "seconds": self.judged.account.took.as_secs_f64(),
            "ended": self.judged.ended,
            "skipped": self.ground.skipped,
            "violations": violations,
            "needless": self.needless(),
            "kept": self.kept,
        });
        for (name, value) in self.rows() {
            told[name] = value;
        }
        told
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.rows() {
            let value = if value.is_null() { json!("none") } else { value };
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            // A `String` takes everything.
            let _ = writeln!(text, "{:<22}{value:>10}", name.replace('_', " "));
        }
        let ended = &self.judged.ended;
        let ended: Vec<String> = ended.iter().map(|(status, n)| format!("{n} {status}")).collect();
        let _ = writeln!(
            text,
            "ended: {}\nseed {}, backend {}, lease {}, {:.0} s",
            ended.join(", "),
            self.arguments.seed(),
            self.arguments.backend.name(),
            humantime::format_duration(self.arguments.lease),
            self.judged.account.took.as_secs_f64()
        );
        for why in &self.ground.skipped {
            let _ = writeln!(text, "not tried: {why}");
        }
        if let Some(needless) = self.needless() {
            let _ = writeln!(text, "broken: {needless}");
        }
        self.tell_violations(&mut text);
        if let Some(kept) = self.kept {
            let _ = writeln!(text, "kept: {}", kept.display());
        }
        text
    }

    /// What was broken, and what the log says of those runs.
    fn tell_violations(&self, text: &mut String) {
        let violations = &self.judged.violations;
        for violation in violations {
            let _ = writeln!(text, "broken: {violation}");
        }
        let is_run = |word: &&str| {
            let accepted = &self.judged.account.accepted;
            accepted.iter().any(|run| run.as_str() == *word)
        };
        let words = violations.iter().flat_map(|v| v.what.split([' ', ':', ',', '"']));
        let runs: BTreeSet<&str> = words.filter(is_run).collect();
        for run in runs.iter().take(RUNS) {
            let _ = writeln!(text, "\nrun {run}:");
            for line in lines_about(&self.ground.history, run, LINES) {
                let _ = writeln!(text, "  {line}");
            }
        }
        if !violations.is_empty() {
            let _ = writeln!(text, "\nthe same blows again: {}", self.command());
        }
    }

    fn command(&self) -> String {
        let Arguments {
            runs,
            kills,
            backend,
            workers,
            ..
        } = self.arguments;
        let lease = humantime::format_duration(self.arguments.lease).to_string();
        format!(
            "make chaos BACKEND={} RUNS={runs} KILLS={kills} ARGS=\"--zombies {} --workers {workers} --lease {} --seed {}\"",
            backend.name(),
            self.arguments.zombies(),
            lease.replace(' ', ""),
            self.arguments.seed()
        )
    }
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}
