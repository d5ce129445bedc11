//! Guards as conditions. The differential test of the conformance suites holds that each is what
//! [`Guard::holds`] says.

use pipeline::guard::Guard;
use pipeline::item::{RunStatus, Slot, StepState};

use super::document::{self, NEXT_CHECK, PK, STEPS};
use super::expression::Aliases;
use crate::error::Fault;

/// All guards as one condition, which also asks that the item is there.
pub(crate) fn of(guards: &[Guard], aliases: &mut Aliases) -> Result<String, Fault> {
    let mut all = vec![format!("attribute_exists({})", aliases.name(PK))];
    for guard in guards {
        all.push(format!("({})", condition(guard, aliases)?));
    }
    Ok(all.join(" AND "))
}

/// The fields of a slot, by their aliases.
struct Fields<'a> {
    path: Vec<String>,
    aliases: &'a mut Aliases,
}

impl Fields<'_> {
    fn get(&mut self, field: &str) -> String {
        let path = self.path.iter().map(String::as_str).chain([field]);
        self.aliases.path(path)
    }

    /// True of every slot that is there.
    fn is_there(&mut self) -> String {
        format!("attribute_exists({})", self.get("stage"))
    }
}

fn condition(guard: &Guard, aliases: &mut Aliases) -> Result<String, Fault> {
    /// `field = value`, or another comparison.
    fn compare<T: serde::Serialize>(
        aliases: &mut Aliases,
        path: &str,
        by: &str,
        value: &T,
    ) -> Result<String, Fault> {
        Ok(format!("{path} {by} {}", aliases.value(value)?))
    }
    let of_slot = |slot: &Slot| document::slot(slot);
    let of_step = |step: &pipeline::StepName| vec![STEPS.to_owned(), step.to_string()];
    Ok(match guard {
        Guard::RunOpen => {
            let status = aliases.name("status");
            compare(aliases, &status, "=", &RunStatus::Open)?
        }
        Guard::NotSettled(slot) => {
            let state = Fields {
                path: of_slot(slot),
                aliases,
            }
            .get("state");
            let (pending, running) = (
                aliases.value(&StepState::Pending)?,
                aliases.value(&StepState::Running)?,
            );
            format!("{state} IN ({pending}, {running})")
        }
        Guard::Running(slot) => {
            let state = Fields {
                path: of_slot(slot),
                aliases,
            }
            .get("state");
            compare(aliases, &state, "=", &StepState::Running)?
        }
        Guard::AttemptIs(slot, attempt) => {
            let path = Fields {
                path: of_slot(slot),
                aliases,
            }
            .get("attempt");
            compare(aliases, &path, "=", attempt)?
        }
        Guard::OwnerIs(slot, owner) => {
            let path = Fields {
                path: of_slot(slot),
                aliases,
            }
            .get("owner");
            compare(aliases, &path, "=", owner)?
        }
        Guard::LeaseOver(slot, now) => {
            let mut fields = Fields {
                path: of_slot(slot),
                aliases,
            };
            let (is_there, until) = (fields.is_there(), fields.get("lease_until"));
            let is_over = compare(aliases, &until, "<=", now)?;
            format!("{is_there} AND (attribute_not_exists({until}) OR {is_over})")
        }
        Guard::PredecessorCommitted(step, None) => {
            let mut fields = Fields {
                path: of_step(step),
                aliases,
            };
            format!(
                "{} AND attribute_not_exists({})",
                fields.is_there(),
                fields.get("after")
            )
        }
        Guard::PredecessorCommitted(step, Some(before)) => {
            let after = Fields {
                path: of_step(step),
                aliases,
            }
            .get("after");
            let state = Fields {
                path: of_step(before),
                aliases,
            }
            .get("state");
            let is_after = compare(aliases, &after, "=", before)?;
            let is_committed = compare(aliases, &state, "=", &StepState::Committed)?;
            format!("{is_after} AND {is_committed}")
        }
        Guard::NotFanned(step) => {
            let mut fields = Fields {
                path: of_step(step),
                aliases,
            };
            format!(
                "{} AND attribute_not_exists({})",
                fields.is_there(),
                fields.get("min_succeeded")
            )
        }
        Guard::PoolIs(slot, stage, class) => {
            let mut fields = Fields {
                path: of_slot(slot),
                aliases,
            };
            let (stage_path, class_path) = (fields.get("stage"), fields.get("class"));
            let is_stage = compare(aliases, &stage_path, "=", stage)?;
            let is_class = compare(aliases, &class_path, "=", class)?;
            format!("{is_stage} AND {is_class}")
        }
        Guard::CrashBudgetLeft(slot) => crash_budget(slot, "<", aliases),
        Guard::CrashBudgetSpent(slot) => crash_budget(slot, ">=", aliases),
        Guard::ClassHolds(slot) => class_holds(slot, aliases)?,
        Guard::DoneFull(step) => {
            let branches = Fields {
                path: of_step(step),
                aliases,
            }
            .get("branches");
            count(&document::done(step), "=", &branches, aliases)?
        }
        Guard::EnoughSucceeded(step) => {
            let wanted = Fields {
                path: of_step(step),
                aliases,
            }
            .get("min_succeeded");
            count(&document::won(step), ">=", &wanted, aliases)?
        }
        Guard::TooFewSucceeded(step) => {
            let wanted = Fields {
                path: of_step(step),
                aliases,
            }
            .get("min_succeeded");
            count(&document::won(step), "<", &wanted, aliases)?
        }
        Guard::DeadlineOver(now) => {
            let deadline = aliases.name("deadline");
            compare(aliases, &deadline, "<=", now)?
        }
        Guard::NextCheckIs(at) => {
            let next_check = aliases.name(NEXT_CHECK);
            compare(aliases, &next_check, "=", at)?
        }
    })
}

fn crash_budget(slot: &Slot, by: &str, aliases: &mut Aliases) -> String {
    let mut spent = document::slot(slot);
    spent.extend(["spent".to_owned(), "crash".to_owned()]);
    let (spent, max) = (aliases.path(spent), aliases.path(["max", "crash"]));
    format!("{spent} {by} {max}")
}

/// Fewer than two unexplained deaths in this class, or no class above it. Classes are words, so their order is spelled
/// out.
fn class_holds(slot: &Slot, aliases: &mut Aliases) -> Result<String, Fault> {
    use pipeline::item::MemoryClass::{Large, Standard, Xlarge};
    let mut fields = Fields {
        path: document::slot(slot),
        aliases,
    };
    let is_there = fields.is_there();
    let (deaths, class, largest) = (fields.get("deaths"), fields.get("class"), fields.get("largest"));
    let two = aliases.value(&2)?;
    let [standard, large, xlarge] = [Standard, Large, Xlarge].map(|class| aliases.value(&class));
    let (standard, large, xlarge) = (standard?, large?, xlarge?);
    Ok(format!(
        "{is_there} AND NOT ({deaths} >= {two} AND (({class} = {standard} AND {largest} IN ({large}, {xlarge})) \
         OR ({class} = {large} AND {largest} = {xlarge})))"
    ))
}

/// The size of a set, which is none at all while it is empty, compared with a number that is there.
fn count(set: &str, by: &str, number: &str, aliases: &mut Aliases) -> Result<String, Fault> {
    let (set, zero) = (aliases.name(set), aliases.value(&0)?);
    Ok(format!(
        "attribute_exists({number}) AND ((attribute_exists({set}) AND size({set}) {by} {number}) \
         OR (attribute_not_exists({set}) AND {zero} {by} {number}))"
    ))
}
