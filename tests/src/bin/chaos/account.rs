//! What the log alone tells: what was done to whom, what was committed how often, how soon work went on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pipeline::{RunId, Sha256Digest};
use serde_json::Value;
use sim::ledger::Declaration;
use sim::stores::Items;

use crate::history::{Entry, History, Phase};

/// A step of a run, or a branch of one, by its names.
pub(crate) type Work = (String, String, Option<u64>);

/// Work that somebody was at when he was hit.
struct Hit {
    at_us: u64,
    work: Work,
    attempt: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Account {
    /// Runs of which the driver was told that they are there.
    pub(crate) accepted: BTreeSet<RunId>,
    /// Runs that it wanted to be cancelled, and may have been.
    pub(crate) cancelled: BTreeSet<RunId>,
    /// What each specification declares.
    pub(crate) declared: BTreeMap<Sha256Digest, Declaration>,
    /// How often the nemesis did what.
    pub(crate) acts: BTreeMap<String, u64>,
    /// Of those that were killed, so many were at work.
    pub(crate) killed_at_work: u64,
    /// Of those that stood still for longer than a lease, so many were at work.
    pub(crate) frozen_at_work: u64,
    /// Attempts that had lost their right and recorded nothing.
    pub(crate) fenced: u64,
    /// The attempts that told of a commit.
    pub(crate) commits: BTreeMap<Work, Vec<u64>>,
    /// From the first line to the last.
    pub(crate) took: Duration,
    /// Microseconds from a blow to the next claim.
    pub(crate) recoveries_us: Vec<u64>,
    /// What each worker has claimed and not ended.
    held: BTreeMap<String, BTreeMap<Work, u64>>,
    hits: BTreeMap<String, Vec<Hit>>,
}

impl Account {
    /// Reads the log; what steps come after which is in the items.
    pub(crate) fn read(history: &History, items: &Items) -> Self {
        let mut account = Self::default();
        for entry in history.entries() {
            account.took = account.took.max(Duration::from_micros(entry.at_us));
            match entry.who.as_str() {
                "driver" => account.driver(&entry),
                "nemesis" => account.nemesis(&entry),
                "observer" => {}
                _ => account.worker(&entry, items),
            }
        }
        account
    }

    /// Only what the driver did.
    pub(crate) fn driver(&mut self, entry: &Entry) {
        let Ok(run) = RunId::new(&entry.target) else {
            return;
        };
        match (entry.op.as_str(), entry.is) {
            ("submit", Phase::Ok) => {
                let detail = |name: &str| entry.detail[name].clone();
                let spec = serde_json::from_value::<Sha256Digest>(detail("spec"));
                let declares = serde_json::from_value::<Option<Declaration>>(detail("declares"));
                if let (Ok(spec), Ok(Some(declares))) = (spec, declares) {
                    self.declared.insert(spec, declares);
                }
                self.accepted.insert(run);
            }
            ("resumed", Phase::Ok) => drop(self.accepted.insert(run)),
            ("cancel", Phase::Ok | Phase::Unknown) => drop(self.cancelled.insert(run)),
            _ => {}
        }
    }

    fn nemesis(&mut self, entry: &Entry) {
        if entry.is != Phase::Ok {
            return;
        }
        *self.acts.entry(entry.op.clone()).or_default() += 1;
        let held = match entry.op.as_str() {
            "kill" => self.held.remove(&entry.target).unwrap_or_default(),
            "freeze" => self.held.get(&entry.target).cloned().unwrap_or_default(),
            _ => return,
        };
        let count = if entry.op == "kill" {
            &mut self.killed_at_work
        } else {
            &mut self.frozen_at_work
        };
        *count += u64::from(!held.is_empty());
        for (work, attempt) in held {
            let at_us = entry.at_us;
            let hit = Hit { at_us, work, attempt };
            self.hits.entry(hit.work.0.clone()).or_default().push(hit);
        }
    }

    fn worker(&mut self, entry: &Entry, items: &Items) {
        let said = &entry.detail;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        if let Some(work) = said["text"].as_str().and_then(stopped_at) {
            // It may have claimed it, or only received its message.
            let held = self.held.entry(entry.who.clone()).or_default();
            held.entry(work).or_insert(0);
            return;
        }
        let work = (text("run.id"), text("step"), said["branch"].as_u64());
        let attempt = said["attempt"].as_u64().unwrap_or(0);
        match said["message"].as_str() {
            Some("claimed") => {
                self.went_on(&work, attempt, entry.at_us, items);
                let held = self.held.entry(entry.who.clone()).or_default();
                held.insert(work, attempt);
            }
            Some("attempt ended") => {
                if let Some(held) = self.held.get_mut(&entry.who) {
                    held.remove(&work);
                }
            }
            Some(said) if said.starts_with("lease lost, nothing recorded") => self.fenced += 1,
            Some("committed") => self.commits.entry(work).or_default().push(attempt),
            _ => {}
        }
    }

    /// Somebody claimed that: whoever was hit at it, or at something before it, needs nothing more.
    fn went_on(&mut self, work: &Work, attempt: u64, at_us: u64, items: &Items) {
        let Some(hits) = self.hits.get_mut(&work.0) else {
            return;
        };
        let order = RunId::new(&work.0).ok().and_then(|run| items.runs.get(&run));
        let place =
            |step: &str| order.and_then(|run| run.order.iter().position(|name| name.as_str() == step));
        hits.retain(|hit| {
            let is_again = hit.work == *work && attempt > hit.attempt;
            let is_later = place(&work.1) > place(&hit.work.1);
            // What comes after a branch waits for the others, too, and tells nothing of this one.
            if is_again || is_later && hit.work.2.is_none() {
                self.recoveries_us.push(at_us - hit.at_us);
            }
            !is_again && !is_later
        });
    }

    /// How often that was done.
    pub(crate) fn times(&self, act: &str) -> u64 {
        self.acts.get(act).copied().unwrap_or(0)
    }

    /// Work that told of more than one commit.
    pub(crate) fn doubled(&self) -> impl Iterator<Item = (&Work, &Vec<u64>)> {
        self.commits.iter().filter(|(_, attempts)| attempts.len() > 1)
    }
}

/// Reads `stopped at MOMENT of STEP[/BRANCH] of run RUN`.
fn stopped_at(text: &str) -> Option<Work> {
    let (_, rest) = text.strip_prefix("stopped at ")?.split_once(" of ")?;
    let (step, run) = rest.split_once(" of run ")?;
    let (step, branch) = match step.split_once('/') {
        None => (step, None),
        Some((step, branch)) => (step, branch.parse().ok()),
    };
    Some((run.trim().to_owned(), step.to_owned(), branch))
}

/// The lines that tell of a run, for people.
pub(crate) fn lines_about(history: &History, run: &str, most: usize) -> Vec<String> {
    let is_about = |entry: &Entry| {
        entry.target == run
            || entry.detail["text"]
                .as_str()
                .is_some_and(|text| text.ends_with(run))
    };
    let show = |entry: Entry| {
        let detail = match entry.detail {
            Value::Null => String::new(),
            detail if entry.op == "look" => look(&detail),
            detail => shown(&detail),
        };
        let seconds = entry.at_us / 1_000;
        format!(
            "{seconds:>8} ms  {} {} {:?} {detail}",
            entry.who, entry.op, entry.is
        )
    };
    let all: Vec<String> = history.entries().filter(is_about).map(show).collect();
    let left_out = all.len().saturating_sub(most);
    let mut lines: Vec<String> = all.into_iter().take(most).collect();
    if left_out > 0 {
        lines.push(format!("… and {left_out} more lines"));
    }
    lines
}

/// The fields that say what happened; not those that say where in the code.
fn shown(detail: &Value) -> String {
    let Some(fields) = detail.as_object() else {
        return detail.to_string();
    };
    let is_noise = |name: &str| matches!(name, "timestamp" | "level" | "target" | "run.id" | "stage");
    let fields = fields.iter().filter(|(name, _)| !is_noise(name));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
    fields.join(" ")
}

/// A run's item in a line: its status, and its steps with their attempts.
fn look(item: &Value) -> String {
    let steps = item["steps"].as_object().into_iter().flatten();
    let steps: Vec<String> = steps
        .map(|(name, step)| {
            let state = step["state"].as_str().unwrap_or("PENDING");
            format!("{name} {state} a{}", step["attempt"].as_u64().unwrap_or(0))
        })
        .collect();
    format!(
        "{}: {}",
        item["status"].as_str().unwrap_or("gone"),
        steps.join(", ")
    )
}
