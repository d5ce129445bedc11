//! Changes as one update expression. The differential test of the conformance suites holds that the result is what
//! [`Change::apply`] makes.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use pipeline::change::{Change, Charge};
use pipeline::item::{FaultClass, Slot, StepState};
use pipeline::time::Timestamp;
use serde::Serialize;

use super::document::{self, NEXT_CHECK};
use super::expression::Aliases;
use crate::error::Fault;

/// What happens to one attribute. An expression may name a path once only, so changes that follow each other on the same
/// one are put together before.
#[derive(Debug, Clone, PartialEq)]
enum Operation {
    Set(AttributeValue),
    Remove,
    /// To a number.
    Add(i64),
    /// To a set, one member.
    Insert(u32),
}

/// Operations by path.
#[derive(Debug, Default)]
struct Operations(BTreeMap<Vec<String>, Operation>);

impl Operations {
    fn set<T: Serialize>(&mut self, path: Vec<String>, value: &T) -> Result<(), Fault> {
        self.0.insert(path, Operation::Set(document::value(value)?));
        Ok(())
    }

    fn remove(&mut self, path: Vec<String>) {
        self.0.insert(path, Operation::Remove);
    }

    fn set_or_remove<T: Serialize>(&mut self, path: Vec<String>, value: Option<&T>) -> Result<(), Fault> {
        match value {
            Some(value) => self.set(path, value)?,
            None => self.remove(path),
        }
        Ok(())
    }

    fn add(&mut self, path: Vec<String>, number: i64) -> Result<(), Fault> {
        let before = self.0.remove(&path);
        let sum = match before {
            None => Operation::Add(number),
            Some(Operation::Add(n)) => Operation::Add(n + number),
            Some(Operation::Set(AttributeValue::N(n))) => {
                let n: i64 = n.parse().map_err(|_| Fault::Stored(format!("{n} is no count")))?;
                Operation::Set(AttributeValue::N((n + number).to_string()))
            }
            Some(other) => return Err(Fault::Stored(format!("{other:?} is nothing to add {number} to"))),
        };
        self.0.insert(path, sum);
        Ok(())
    }
}

/// All changes as one update expression.
pub(crate) fn of(changes: &[Change], aliases: &mut Aliases) -> Result<String, Fault> {
    let mut operations = Operations::default();
    for change in changes {
        collect(change, &mut operations)?;
    }
    let (mut set, mut remove, mut add) = (Vec::new(), Vec::new(), Vec::new());
    for (path, operation) in operations.0 {
        let path = aliases.path(path);
        match operation {
            Operation::Set(value) => set.push(format!("{path} = {}", aliases.attribute(value))),
            Operation::Remove => remove.push(path),
            // Counts are always there, so this fails on a document that another program made.
            Operation::Add(number) if number < 0 => {
                set.push(format!(
                    "{path} = {path} - {}",
                    aliases.value(&number.unsigned_abs())?
                ));
            }
            Operation::Add(number) => set.push(format!("{path} = {path} + {}", aliases.value(&number)?)),
            Operation::Insert(member) => {
                let member = AttributeValue::Ns(vec![member.to_string()]);
                add.push(format!("{path} {}", aliases.attribute(member)));
            }
        }
    }
    let clauses = [("SET", set), ("REMOVE", remove), ("ADD", add)];
    let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
    let clauses: Vec<String> = clauses
        .map(|(keyword, parts)| format!("{keyword} {}", parts.join(", ")))
        .collect();
    Ok(clauses.join(" "))
}

fn collect(change: &Change, to: &mut Operations) -> Result<(), Fault> {
    let top = |name: &str| vec![name.to_owned()];
    match change {
        Change::Claim {
            slot,
            owner,
            now,
            lease_until,
            version,
        } => {
            to.set(field(slot, "state"), &StepState::Running)?;
            to.add(field(slot, "attempt"), 1)?;
            to.add(crash(slot), 1)?;
            to.add(field(slot, "deaths"), 1)?;
            to.set(field(slot, "resent"), &0)?;
            to.set(field(slot, "owner"), owner)?;
            to.set(field(slot, "lease_until"), lease_until)?;
            to.set(field(slot, "started_at"), now)?;
            to.set(field(slot, "version"), version)
        }
        Change::Renew { slot, lease_until } => to.set(field(slot, "lease_until"), lease_until),
        Change::Commit {
            slot,
            manifest,
            now,
            measured,
        } => {
            settle(slot, StepState::Committed, *now, to)?;
            give_crash_back(slot, to)?;
            to.set(field(slot, "manifest"), manifest)?;
            to.set(field(slot, "measured"), measured)
        }
        Change::Release {
            slot,
            charge,
            fault,
            ready_at,
        } => {
            let_go(slot, to)?;
            to.set(field(slot, "ready_at"), ready_at)?;
            to.set(field(slot, "fault"), fault)?;
            let charged = match charge {
                Charge::Crash => return Ok(()),
                Charge::Nothing => None,
                Charge::Transient => Some("transient"),
                Charge::Memory => Some("memory"),
            };
            give_crash_back(slot, to)?;
            match charged {
                Some(class) => to.add(spent(slot, class), 1),
                None => Ok(()),
            }
        }
        Change::Fail { slot, fault } => {
            settle(slot, StepState::Failed, fault.at, to)?;
            if fault.class != FaultClass::Crash {
                give_crash_back(slot, to)?;
            }
            to.set(field(slot, "fault"), fault)
        }
        Change::Escalate { slot, class } => {
            let_go(slot, to)?;
            to.set(field(slot, "class"), class)?;
            to.set(field(slot, "deaths"), &0)
        }
        Change::Ready {
            step,
            at,
            class,
            demand,
            branches,
        } => {
            let slot = Slot::Step(step.clone());
            to.set(field(&slot, "ready_at"), at)?;
            to.set(field(&slot, "class"), class)?;
            to.set_or_remove(field(&slot, "demand"), demand.as_ref())?;
            match branches {
                Some(n) => to.set(field(&slot, "branches"), n),
                None => Ok(()),
            }
        }
        Change::Join { step, ordinal, lost } => {
            let insert = Operation::Insert(*ordinal);
            to.0.insert(top(&document::done(step)), insert.clone());
            if !lost {
                to.0.insert(top(&document::won(step)), insert);
            }
            Ok(())
        }
        Change::CloseFanOut { step, now } => {
            let slot = Slot::Step(step.clone());
            to.set(field(&slot, "state"), &StepState::Committed)?;
            to.set(field(&slot, "ended_at"), now)
        }
        Change::End { status, reason, now } => {
            to.set(top("status"), status)?;
            to.set_or_remove(top("reason"), reason.as_ref())?;
            to.set(top("ended_at"), now)?;
            to.remove(top(NEXT_CHECK));
            Ok(())
        }
        Change::NextCheck(at) => to.set(top(NEXT_CHECK), at),
        Change::Resent(step) => to.add(field(&Slot::Step(step.clone()), "resent"), 1),
        Change::Deadline(at) => to.set(top("deadline"), at),
        Change::Registered(registered) => to.set(top("registered"), registered),
    }
}

fn field(slot: &Slot, name: &str) -> Vec<String> {
    let mut path = document::slot(slot);
    path.push(name.to_owned());
    path
}

fn spent(slot: &Slot, class: &str) -> Vec<String> {
    let mut path = field(slot, "spent");
    path.push(class.to_owned());
    path
}

fn crash(slot: &Slot) -> Vec<String> {
    spent(slot, "crash")
}

/// Nobody holds it, and it may be claimed.
fn let_go(slot: &Slot, to: &mut Operations) -> Result<(), Fault> {
    to.set(field(slot, "state"), &StepState::Pending)?;
    to.remove(field(slot, "owner"));
    to.remove(field(slot, "lease_until"));
    Ok(())
}

fn settle(slot: &Slot, state: StepState, now: Timestamp, to: &mut Operations) -> Result<(), Fault> {
    to.set(field(slot, "state"), &state)?;
    to.remove(field(slot, "owner"));
    to.remove(field(slot, "lease_until"));
    to.set(field(slot, "ended_at"), &now)
}

/// Only work that runs gives back, and it was charged when it was claimed: neither count goes below nothing.
fn give_crash_back(slot: &Slot, to: &mut Operations) -> Result<(), Fault> {
    to.add(crash(slot), -1)?;
    to.add(field(slot, "deaths"), -1)
}
