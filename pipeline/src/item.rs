//! The items that hold the truth: one per run, and one per branch of a fanned-out step.
//!
//! Components are deployed one at a time, so workers of two versions share a run: what is stored may hold fields of a
//! later version, and they are not looked at. Messages and specifications are strict instead, as somebody outside wrote
//! them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::artifact::Manifest;
use crate::digest::Sha256Digest;
use crate::envelope::TraceParent;
use crate::id::{Nonce, PipelineName, RunId, StageName, StepName};
use crate::time::Timestamp;

pub use crate::demand::{Demand, Placement};
pub use crate::fault::{Budget, Fault, FaultClass, MAX_MESSAGE_BYTES, clip, clip_to};
pub use crate::measured::{CacheNote, Measured, RequestKind, Requests};
pub use crate::queue_name::{MemoryClass, QueueName};
pub use crate::status::{RunStatus, StepState};

/// The most branches one step may have: it bounds the `done` sets of the run's item.
pub const MAX_BRANCHES: u32 = 256;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One step of a run, or one branch of a fanned-out step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepItem {
    /// Which pool works on it. Fixed at birth.
    pub stage: StageName,
    /// The step before it in the plan, none for the first. Fixed at birth; here beside the plan's order so that a
    /// claim can be guarded by "predecessor committed" in one conditional update without reading the run first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<StepName>,
    /// The largest memory class its stage is deployed in. Fixed at birth.
    #[serde(default, skip_serializing_if = "is_default")]
    pub largest: MemoryClass,
    /// How many branches it is fanned out into: fixed at birth, or set by its predecessor's commit; none for a
    /// step that is not fanned out (or whose number is not known yet: see `fanned`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<u32>,
    /// How many branches must succeed; none for a step that is not fanned out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_succeeded: Option<u32>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: StepState,
    /// How many times it was claimed. It only grows: it is the fence, and a part of every artifact's key.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Which claim holds the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Nonce>,
    /// Until when the owner has the right to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// Since when it could be worked on; none until its predecessor is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// In which class's queue its message is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub class: MemoryClass,
    /// What it was estimated to take when its predecessor was committed; none if there was nothing to estimate it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// Unexplained deaths in this class.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deaths: u32,
    /// How often the sweeper sent its message again since it was last claimed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resent: u32,
    /// Spent failures.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: Budget,
    /// What it wrote; set by its commit, and none for a fanned-out step, whose branches have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The version of the component that claimed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was claimed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What was measured of the attempt that committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

impl StepItem {
    /// A step as it is at birth.
    pub fn new(stage: StageName, after: Option<StepName>, largest: MemoryClass) -> Self {
        Self {
            stage,
            after,
            largest,
            branches: None,
            min_succeeded: None,
            state: StepState::Pending,
            attempt: 0,
            owner: None,
            lease_until: None,
            ready_at: None,
            class: MemoryClass::Standard,
            demand: None,
            deaths: 0,
            resent: 0,
            spent: Budget::default(),
            manifest: None,
            fault: None,
            version: None,
            started_at: None,
            ended_at: None,
            measured: None,
        }
    }

    /// True if this step's work is done in branches, known in number or not yet.
    pub fn is_fanned(&self) -> bool {
        self.min_succeeded.is_some()
    }

    /// The queue in which its message belongs.
    pub fn queue(&self) -> QueueName {
        QueueName {
            stage: self.stage.clone(),
            class: self.class,
        }
    }

    /// True if nobody has the right to work on it at `now`.
    pub fn lease_is_over(&self, now: Timestamp) -> bool {
        self.lease_until.is_none_or(|until| until <= now)
    }

    /// True if it died twice in its class without a known cause, and there is a larger class to try.
    pub fn wants_larger_class(&self) -> bool {
        self.deaths >= 2 && self.class < self.largest
    }
}

/// The truth about one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunItem {
    /// Which run.
    pub id: RunId,
    /// Of which pipeline.
    pub pipeline: PipelineName,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it ended, for every end but success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it fails if it is still open.
    pub deadline: Timestamp,
    /// The digest of its specification's canonical form, which is stored under
    /// [`crate::ArtifactKey::Spec`].
    pub spec: Sha256Digest,
    /// The run that this one resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// The span of whoever asked for it, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// What each step may spend.
    pub max: Budget,
    /// The plan: step names in their order.
    pub order: Vec<StepName>,
    /// Every step of the plan.
    pub steps: BTreeMap<StepName, StepItem>,
    /// Settled branches by step. A step is absent until its first branch is settled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub done: BTreeMap<StepName, BTreeSet<u32>>,
    /// Those of `done` that failed for good.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<StepName, BTreeSet<u32>>,
    /// When the sweeper looks at it next; only open runs have it, which makes the index of open runs sparse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Timestamp>,
    /// The version of a model that its last commit registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<crate::registry::Registered>,
}

impl RunItem {
    /// The steps in the plan's order.
    pub fn steps_in_order(&self) -> impl Iterator<Item = (&StepName, &StepItem)> {
        self.order
            .iter()
            .filter_map(|name| self.steps.get_key_value(name))
    }

    /// The first step that is not committed: where the run is at.
    pub fn frontier(&self) -> Option<(&StepName, &StepItem)> {
        self.steps_in_order()
            .find(|(_, step)| step.state != StepState::Committed)
    }

    /// The step after `step` in the plan.
    pub fn successor(&self, step: &StepName) -> Option<&StepName> {
        let at = self.order.iter().position(|name| name == step)?;
        self.order.get(at + 1)
    }

    /// How many branches of `step` are settled.
    pub fn done_count(&self, step: &StepName) -> u32 {
        self.done
            .get(step)
            .map_or(0, |set| u32::try_from(set.len()).unwrap_or(u32::MAX))
    }

    /// How many branches of `step` failed for good.
    pub fn lost_count(&self, step: &StepName) -> u32 {
        self.lost
            .get(step)
            .map_or(0, |set| u32::try_from(set.len()).unwrap_or(u32::MAX))
    }
}

/// The truth about one branch of a fanned-out step; made by its first claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BranchItem {
    /// Of which run.
    pub run: RunId,
    /// Of which step.
    pub step: StepName,
    /// Which branch, from 0.
    pub ordinal: u32,
    /// What it may spend; a copy of the run's.
    pub max: Budget,
    /// Its state.
    pub work: StepItem,
}

/// Names one item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    /// A run's item.
    Run(RunId),
    /// A branch's item.
    Branch(RunId, StepName, u32),
}

impl ItemKey {
    /// Whose item it is.
    pub fn run(&self) -> &RunId {
        match self {
            Self::Run(run) | Self::Branch(run, _, _) => run,
        }
    }
}

/// Any item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// A run's item.
    Run(Box<RunItem>),
    /// A branch's item.
    Branch(Box<BranchItem>),
}

/// Which step's fields within an item a guard or a change speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A step of a run's item.
    Step(StepName),
    /// The only work of a branch's item.
    Branch,
}

impl Item {
    /// The key under which it is stored.
    pub fn key(&self) -> ItemKey {
        match self {
            Self::Run(run) => ItemKey::Run(run.id.clone()),
            Self::Branch(branch) => ItemKey::Branch(branch.run.clone(), branch.step.clone(), branch.ordinal),
        }
    }

    /// The run's item, if it is one.
    pub fn as_run(&self) -> Option<&RunItem> {
        match self {
            Self::Run(run) => Some(run),
            Self::Branch(_) => None,
        }
    }

    /// The run's item, if it is one.
    pub fn into_run(self) -> Option<RunItem> {
        match self {
            Self::Run(run) => Some(*run),
            Self::Branch(_) => None,
        }
    }

    /// The step fields that `slot` names, if this item has them.
    pub fn slot(&self, slot: &Slot) -> Option<&StepItem> {
        match (self, slot) {
            (Self::Run(run), Slot::Step(step)) => run.steps.get(step),
            (Self::Branch(branch), Slot::Branch) => Some(&branch.work),
            _ => None,
        }
    }

    /// The step fields that `slot` names, if this item has them.
    pub fn slot_mut(&mut self, slot: &Slot) -> Option<&mut StepItem> {
        match (self, slot) {
            (Self::Run(run), Slot::Step(step)) => run.steps.get_mut(step),
            (Self::Branch(branch), Slot::Branch) => Some(&mut branch.work),
            _ => None,
        }
    }

    /// What a step of this item may spend.
    pub fn max(&self) -> Budget {
        match self {
            Self::Run(run) => run.max,
            Self::Branch(branch) => branch.max,
        }
    }
}
