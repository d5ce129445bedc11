//! The ledger: watches every change of the stores, keeps its own account of it, and tells what must not be.
//!
//! Nothing here asks a guard. What is compared is what the items say before and after, and what the ledger itself has
//! counted.

mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pipeline::change::{Change, Charge};
use pipeline::id::{AliasName, ModelName, Nonce, RunId, StepName};
use pipeline::item::{BranchItem, FaultClass, Item, RunItem, RunStatus, Slot, StepItem, StepState};
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
    /// Crashes that are charged and were not given back.
    crash: u32,
    /// The same within the present class.
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
                crash: step.spent.crash,
                deaths: step.deaths,
                result: step.manifest.clone(),
                was_committed: step.state == StepState::Committed,
            },
        );
    }

    /// A version was registered, in the transaction that leaves the run like that.
    pub(crate) fn registered(&mut self, declared: &Declared, run: Option<&RunItem>) {
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
        let seen = self.declared.get(&run.spec).cloned();
        let wanted = (moved.model.clone(), moved.name.clone(), moved.revision - 1);
        if seen.as_ref() != Some(&wanted) {
            self.broken(
                "P1",
                format!(
                    "run {id} promotes over revision {}, and was told of {seen:?}",
                    wanted.2
                ),
            );
        }
        if self.promotions.values().any(|other| *other == id) {
            self.broken("P1", format!("run {id} promotes twice"));
        }
        self.promotions
            .insert((moved.model, moved.name, moved.revision), id);
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
        if let (Some(Item::Run(then)), Item::Run(now)) = (before, after) {
            if then.status != RunStatus::Open && then != now {
                self.broken(
                    "I5",
                    format!("run {} was {} and changed to {}", now.id, then.status, now.status),
                );
            }
            self.judge_run(items, now);
        }
        for change in &update.changes {
            self.judge_change(items, artifacts, process, update, change, before, after);
        }
        let max = after.max();
        for (place, step) in steps_of(after) {
            let spent = step.spent;
            if spent.crash > max.crash || spent.transient > max.transient || spent.memory > max.memory {
                self.broken("I6", format!("{} has spent {spent:?} of {max:?}", shown(&place)));
            }
            let account = self.accounts.entry(place.clone()).or_default().clone();
            let says = (step.attempt, spent.crash, step.deaths);
            if says != (account.claims, account.crash, account.deaths) {
                self.broken(
                    "I6",
                    format!(
                        "{} says attempt, crashes and deaths in its class are {says:?}, and they are {:?}",
                        shown(&place),
                        (account.claims, account.crash, account.deaths)
                    ),
                );
                self.accounts.entry(place.clone()).or_default().claims = step.attempt;
            }
            if account.was_committed
                && (step.state != StepState::Committed || step.manifest != account.result)
            {
                self.broken("I1", format!("{} was committed, and is another", shown(&place)));
            }
        }
    }

    fn judge_run(&mut self, items: &Items, run: &RunItem) {
        if run.status == RunStatus::Succeeded {
            for (name, step) in &run.steps {
                if step.state != StepState::Committed {
                    self.broken(
                        "I4",
                        format!("run {} succeeded and {name} is {:?}", run.id, step.state),
                    );
                }
            }
        }
        let needs_reason = !matches!(run.status, RunStatus::Open | RunStatus::Succeeded);
        if needs_reason && run.reason.as_deref().is_none_or(str::is_empty) {
            self.broken("Q2", format!("run {} is {} for no reason", run.id, run.status));
        }
        for (name, step) in run.steps.iter().filter(|(_, step)| step.is_fanned()) {
            if step.state == StepState::Committed {
                let branches = items.branches_of(&run.id, Some(name));
                let committed = branches
                    .iter()
                    .filter(|b| b.work.state == StepState::Committed)
                    .count();
                let settled = branches.iter().filter(|b| b.work.state.is_settled()).count();
                let want = step.min_succeeded.unwrap_or(1) as usize;
                if settled < step.branches.unwrap_or(0) as usize || committed < want {
                    self.broken(
                        "I3",
                        format!(
                            "{name} of run {} is closed with {settled} branches settled and {committed} committed",
                            run.id
                        ),
                    );
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a change is judged by is all of this"
    )]
    fn judge_change(
        &mut self,
        items: &Items,
        artifacts: &Artifacts,
        process: ProcessId,
        update: &GuardedUpdate,
        change: &Change,
        before: Option<&Item>,
        after: &Item,
    ) {
        let give_back = |ledger: &mut Self, slot: &Slot| {
            let place = place_of(after, slot);
            let account = ledger.accounts.entry(place.clone()).or_default();
            if account.crash == 0 || account.deaths == 0 {
                let what = format!("{} gives back a death that was not charged", shown(&place));
                ledger.broken("I6", what);
            } else {
                account.crash -= 1;
                account.deaths -= 1;
            }
        };
        match change {
            Change::Claim { slot, .. } => {
                let place = place_of(after, slot);
                let account = self.accounts.entry(place.clone()).or_default();
                account.claims += 1;
                account.crash += 1;
                account.deaths += 1;
                let run = items.runs.get(&place.0);
                let is_early = run.is_none_or(|run| {
                    let mut earlier = run.steps_in_order().take_while(|(name, _)| **name != place.1);
                    earlier.any(|(_, step)| step.state != StepState::Committed)
                });
                if is_early {
                    self.broken(
                        "I3",
                        format!("{} starts before its inputs are there", shown(&place)),
                    );
                }
            }
            Change::Commit {
                slot,
                manifest,
                measured,
                ..
            } => {
                give_back(self, slot);
                let place = place_of(after, slot);
                let account = self.accounts.entry(place.clone()).or_default();
                let is_second = std::mem::replace(&mut account.was_committed, true);
                account.result = Some(manifest.clone());
                let attempt = account.claims;
                if is_second {
                    self.broken("I1", format!("{} is committed a second time", shown(&place)));
                }
                let origin = &manifest.origin;
                if !measured.cached
                    && (&origin.run, &origin.step, origin.attempt) != (&place.0, &place.1, attempt)
                {
                    self.broken(
                        "I1",
                        format!(
                            "{}, attempt {attempt}: commits what {origin:?} wrote",
                            shown(&place)
                        ),
                    );
                }
                for artifact in manifest.references() {
                    if let Err(e) = artifacts.read(&artifact) {
                        self.broken("I2", format!("{} is committed, and {e}", shown(&place)));
                    }
                }
                let held = before
                    .and_then(|item| item.slot(slot))
                    .and_then(|work| work.owner.as_ref());
                if let Some(owner) = held.or_else(|| owner_of(update)) {
                    self.late_commit(&owner.clone(), update);
                }
            }
            Change::Release { slot, charge, .. } => {
                if *charge != Charge::Crash {
                    give_back(self, slot);
                }
            }
            Change::Fail { slot, fault } => {
                // A fanned-out step that fails was never claimed: its branches were.
                let is_fanned = after.slot(slot).is_some_and(StepItem::is_fanned);
                if fault.class != FaultClass::Crash && !is_fanned {
                    give_back(self, slot);
                }
            }
            Change::Escalate { slot, .. } => {
                let place = place_of(after, slot);
                self.accounts.entry(place.clone()).or_default().deaths = 0;
                if after.slot(slot).is_some_and(|work| work.owner.is_some()) {
                    self.broken(
                        "I6",
                        format!(
                            "{} moves on, and process {} still holds it",
                            shown(&place),
                            process.0
                        ),
                    );
                }
            }
            Change::Renew { .. }
            | Change::Ready { .. }
            | Change::Join { .. }
            | Change::CloseFanOut { .. }
            | Change::End { .. }
            | Change::NextCheck(_)
            | Change::Resent(_)
            | Change::Deadline(_)
            | Change::Registered(_) => {}
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
