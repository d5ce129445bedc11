//! The ledger: watches every change of the stores, keeps its own account of it, and tells what must not be.
//!
//! Nothing here asks a guard. What is compared is what the items say before and after, and what the ledger itself has
//! counted. Whoever cannot watch every change of real stores shows it what is seen of them now and then.

mod changes;
mod ending;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pipeline::change::Change;
use pipeline::id::{AliasName, ModelName, Nonce, RunId, StepName};
use pipeline::item::{BranchItem, Budget, Item, RunItem, RunStatus, Slot, StepItem, StepState};
use pipeline::update::Declared;
use pipeline::{GuardedUpdate, Manifest, Sha256Digest};

pub use ending::{Expected, overdue};

use crate::executor::ProcessId;
use crate::stores::{Artifacts, Items};

/// What was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, as ARCHITECTURE.md names it.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// One step, or one branch of it.
pub(crate) type Place = (RunId, StepName, Option<u32>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Account {
    claims: u32,
    /// What was charged and not given back.
    spent: Budget,
    /// Crashes of the present class.
    deaths: u32,
    result: Option<Manifest>,
    was_committed: bool,
}

/// A promotion that a specification declares: the model, the alias, and the revision that it was told of.
pub type Declaration = (ModelName, AliasName, u64);

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    violations: Vec<Violation>,
    accounts: BTreeMap<Place, Account>,
    /// Claims whose renewal was refused.
    gone: BTreeSet<Nonce>,
    /// What each specification declares, as whoever wrote it says.
    declared: BTreeMap<Sha256Digest, Declaration>,
    /// Which run moved which alias to which revision.
    promotions: BTreeMap<(ModelName, AliasName, u64), RunId>,
    /// Positions that people made.
    by_hand: BTreeSet<(ModelName, AliasName, u64)>,
    registrations: BTreeMap<RunId, u32>,
    sent: BTreeMap<String, u32>,
}

impl Ledger {
    /// What was broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Adds one.
    pub fn broken(&mut self, invariant: &'static str, what: impl Into<String>) {
        // The first few tell what there is to be told.
        if self.violations.len() < 20 {
            let what = what.into();
            self.violations.push(Violation { invariant, what });
        }
    }

    /// Remembers what runs of that specification may promote.
    pub fn declares(&mut self, spec: Sha256Digest, declaration: Declaration) {
        self.declared.insert(spec, declaration);
    }

    /// Remembers that a person moved an alias.
    pub fn moved_by_hand(&mut self, model: &ModelName, alias: &AliasName, revision: u64) {
        self.by_hand.insert((model.clone(), alias.clone(), revision));
    }

    /// How often a message of that text was sent.
    pub fn times_sent(&self, body: &str) -> u32 {
        self.sent.get(body).copied().unwrap_or(0)
    }

    pub(crate) fn sent(&mut self, body: &str) {
        *self.sent.entry(body.to_owned()).or_default() += 1;
    }

    pub(crate) fn refused(&mut self, update: &GuardedUpdate) {
        if is_commit(update)
            && let Some(owner) = owner_of(update)
        {
            self.late_commit(owner, update);
        }
    }

    /// A worker has heard that its renewal was refused.
    pub(crate) fn renewal_was_refused(&mut self, update: &GuardedUpdate) {
        self.gone.extend(owner_of(update).cloned());
    }

    fn late_commit(&mut self, owner: &Nonce, update: &GuardedUpdate) {
        if self.gone.contains(owner) {
            let work = update.key.run();
            self.broken(
                "W1",
                format!("run {work}: claim {owner} was told that it is over, and went on to commit"),
            );
        }
    }

    /// An item was made.
    pub(crate) fn created(&mut self, items: &Items, item: &Item) {
        match item {
            Item::Run(run) => {
                for (name, step) in &run.steps {
                    self.take_over(
                        items,
                        run.parent.as_ref(),
                        (run.id.clone(), name.clone(), None),
                        step,
                    );
                }
                if run.status != RunStatus::Open {
                    self.broken("I5", format!("run {} is born as {}", run.id, run.status));
                }
            }
            Item::Branch(branch) => {
                let BranchItem {
                    run,
                    step,
                    ordinal,
                    work,
                    ..
                } = &**branch;
                self.take_over(items, None, (run.clone(), step.clone(), Some(*ordinal)), work);
            }
        }
    }

    fn take_over(&mut self, items: &Items, parent: Option<&RunId>, place: Place, step: &StepItem) {
        if let Some(parent) = parent.and_then(|parent| items.runs.get(parent))
            && step.state == StepState::Committed
        {
            let then = parent
                .steps
                .get(&place.1)
                .map(|then| (then.state, &then.manifest));
            if then != Some((StepState::Committed, &step.manifest)) {
                self.broken(
                    "I1",
                    format!("{} takes over what was not committed", shown(&place)),
                );
            }
        }
        self.accounts.insert(
            place,
            Account {
                claims: step.attempt,
                spent: step.spent,
                deaths: step.deaths,
                result: step.manifest.clone(),
                was_committed: step.state == StepState::Committed,
            },
        );
    }

    /// A version was registered, in the transaction that leaves the run like that. `present` is the revision that the
    /// alias had before.
    pub(crate) fn registered(&mut self, declared: &Declared, run: Option<&RunItem>, present: u64) {
        let id = declared.version.run.clone();
        let times = self.registrations.entry(id.clone()).or_default();
        *times += 1;
        let times = *times;
        if times > 1 {
            self.broken("P1", format!("run {id} registers for the {times}th time"));
        }
        let Some(run) = run else {
            return self.broken("P1", format!("run {id} registers, and is no run"));
        };
        if run.status != RunStatus::Succeeded {
            self.broken("P1", format!("run {id} registers and is {}", run.status));
        }
        let Some(moved) = declared.moved_alias() else {
            return;
        };
        self.promoted(run, &moved, present);
    }

    /// An update was applied.
    pub(crate) fn updated(
        &mut self,
        items: &Items,
        artifacts: &Artifacts,
        process: ProcessId,
        update: &GuardedUpdate,
        before: Option<&Item>,
        after: &Item,
    ) {
        self.judge_run_change(items, before, after);
        for change in &update.changes {
            self.judge_change(items, artifacts, process, update, change, before, after);
        }
        let max = after.max();
        for (place, step) in steps_of(after) {
            let spent = step.spent;
            self.judge_spent(&place, step, max);
            let account = self.accounts.entry(place.clone()).or_default().clone();
            let says = (step.attempt, spent, step.deaths);
            if says != (account.claims, account.spent, account.deaths) {
                self.broken(
                    "I6",
                    format!(
                        "{} says that its attempt, what it spent and its deaths in this class are {says:?}, and they are {:?}",
                        shown(&place),
                        (account.claims, account.spent, account.deaths)
                    ),
                );
                self.accounts.entry(place.clone()).or_default().claims = step.attempt;
            }
            self.judge_result(&place, step);
        }
    }
}

fn is_commit(update: &GuardedUpdate) -> bool {
    update.changes.iter().any(|c| matches!(c, Change::Commit { .. }))
}

/// The claim that an update is fenced by.
fn owner_of(update: &GuardedUpdate) -> Option<&Nonce> {
    update.guards.iter().find_map(|guard| match guard {
        pipeline::guard::Guard::OwnerIs(_, owner) => Some(owner),
        _ => None,
    })
}

fn place_of(item: &Item, slot: &Slot) -> Place {
    match (item, slot) {
        (Item::Branch(branch), _) => (branch.run.clone(), branch.step.clone(), Some(branch.ordinal)),
        (Item::Run(run), Slot::Step(step)) => (run.id.clone(), step.clone(), None),
        (Item::Run(run), Slot::Branch) => unreachable!("a change of run {} speaks of a branch", run.id),
    }
}

fn steps_of(item: &Item) -> Vec<(Place, &StepItem)> {
    match item {
        Item::Branch(branch) => vec![(place_of(item, &Slot::Branch), &branch.work)],
        Item::Run(run) => run
            .steps
            .iter()
            .map(|(name, step)| ((run.id.clone(), name.clone(), None), step))
            .collect(),
    }
}

pub(crate) fn shown(place: &Place) -> String {
    match place {
        (run, step, None) => format!("run {run} step {step}"),
        (run, step, Some(ordinal)) => format!("run {run} step {step}/{ordinal}"),
    }
}
