//! What must be at the end, when nothing goes wrong any more.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeline::id::RunId;
use pipeline::item::RunStatus;
use pipeline::ports::Queue;
use pipeline::{Envelope, Timestamp};

use super::{Ledger, shown};
use crate::stores::{Items, Stores};

/// What whoever made the world knows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Runs whose submission was answered with success.
    pub accepted: BTreeSet<RunId>,
    /// Texts of messages that no run can absorb.
    pub bad_messages: BTreeSet<String>,
    /// How long after its deadline a run may be open.
    pub grace: Duration,
    /// When the faults were over.
    pub quiet_since: Timestamp,
    /// A run whose deadline is later than so long after that must not be ended by it.
    pub ample: Option<Duration>,
    /// How long after that a run may be open, if nothing but redeliveries drives it on.
    pub without_sweeper: Option<Duration>,
}

/// Runs that ought to have ended by `now`, and why.
pub fn overdue(items: &Items, expected: &Expected, now: Timestamp) -> Vec<(&'static str, String)> {
    let open = items.runs.values().filter(|run| run.status == RunStatus::Open);
    open.filter_map(|run| {
        let last = match expected.without_sweeper {
            None => run.deadline.max(expected.quiet_since).plus(expected.grace),
            Some(patience) => expected.quiet_since.plus(patience),
        };
        let at = run.frontier().map_or_else(String::new, |(step, work)| {
            format!(", at step {step}, which is {:?}", work.state)
        });
        let rule = if expected.without_sweeper.is_some() {
            "L2"
        } else {
            "L1"
        };
        (now > last).then(|| {
            let what = format!("run {} is open at {now} (deadline {}){at}", run.id, run.deadline);
            (rule, what)
        })
    })
    .collect()
}

/// True if the run failed and no step of it did: it was its deadline that ended it.
fn is_overdue(run: &pipeline::RunItem) -> bool {
    let mut steps = run.steps.values();
    run.status == RunStatus::Failed && !steps.any(|step| step.state == pipeline::StepState::Failed)
}

impl Stores {
    /// Judges what is stored once every run has ended and every message ought to be gone.
    pub fn judge_ending(&mut self, expected: &Expected) {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for id in &expected.accepted {
            if !self.items.runs.contains_key(id) {
                found.push(("L1", format!("run {id} was accepted, and is nowhere")));
            }
        }
        for run in self.items.runs.values().filter(|run| is_overdue(run)) {
            let ample = expected.ample.map(|ample| expected.quiet_since.plus(ample));
            if ample.is_some_and(|ample| run.deadline > ample) {
                let at = run.frontier().map_or("none", |(step, _)| step.as_str());
                let what = format!("run {} stood at step {at} until its deadline, for hours", run.id);
                found.push(("L3", what));
            }
        }
        for (run, step, branch, work) in self.items.committed() {
            let place = (run.clone(), step.clone(), branch);
            for artifact in work.manifest.iter().flat_map(|manifest| manifest.references()) {
                if let Err(e) = self.artifacts.read(&artifact) {
                    found.push(("I2", format!("{} is committed, and {e}", shown(&place))));
                }
            }
        }
        for (queue, letter) in self.queues.all_dead() {
            let is_limit = letter.reason == "receive_limit" && letter.receives < <dyn Queue>::MAX_RECEIVES;
            if letter.reason.is_empty() || is_limit {
                found.push(("Q1", format!("{queue}: {} is dead for no reason", letter.body)));
            }
            if !expected.bad_messages.contains(&letter.body) {
                let (body, reason) = (&letter.body, &letter.reason);
                found.push((
                    "Q1",
                    format!("{queue}: {body} is dead, and a run could absorb it: {reason}"),
                ));
            }
        }
        for (queue, message) in self.queues.all() {
            let (body, receives) = (&message.body, message.receives);
            found.push((
                "W2",
                format!("{queue}: {body} is still there, received {receives} times"),
            ));
        }
        self.judge_registry(&mut found);
        for (invariant, what) in found {
            self.ledger.broken(invariant, what);
        }
    }

    /// Versions and positions follow from runs that succeeded, or from people.
    fn judge_registry(&self, found: &mut Vec<(&'static str, String)>) {
        for (model, id) in self.models.versions.keys() {
            let run = self.items.runs.get(id);
            let is_told = run.is_some_and(|run| {
                run.status == RunStatus::Succeeded
                    && run.registered.as_ref().is_some_and(|r| r.model == *model)
            });
            if !is_told {
                found.push((
                    "P1",
                    format!("model {model} has version {id}, of which no run tells"),
                ));
            }
        }
        for run in self.items.runs.values() {
            let Some(registered) = &run.registered else {
                continue;
            };
            let is_there = self
                .models
                .versions
                .contains_key(&(registered.model.clone(), run.id.clone()));
            let moved = self.ledger.promotions.values().any(|by| *by == run.id);
            if !is_there || moved != registered.promoted.is_some() {
                found.push((
                    "P1",
                    format!("run {} tells of {registered:?}, which is not so", run.id),
                ));
            }
        }
        for ((model, alias), positions) in &self.models.aliases {
            for position in positions {
                let revision = position.alias.revision;
                let key = (model.clone(), alias.clone(), revision);
                let by_run = self.ledger.promotions.get(&key) == Some(&position.alias.version);
                if !by_run && !self.ledger.by_hand.contains(&key) {
                    found.push((
                        "P1",
                        format!(
                            "{model} {alias} has revision {revision}, which no commit and no person made"
                        ),
                    ));
                }
            }
        }
    }
}

impl Ledger {
    /// How often the most frequent message about one run was sent, and its text.
    pub fn most_sent(&self) -> Option<(&str, u32)> {
        let about_runs = self.sent.iter().filter(|(body, _)| Envelope::parse(body).is_ok());
        about_runs
            .map(|(body, times)| (body.as_str(), *times))
            .max_by_key(|(_, times)| *times)
    }
}
