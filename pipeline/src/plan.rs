//! Plans: the ordered steps of a run, and the run's item at birth.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest::Sha256Digest;
use crate::id::{PipelineName, RunId, StageName, StepName};
use crate::item::{Budget, MAX_BRANCHES, MemoryClass, RunItem, RunStatus, StepItem};
use crate::time::Timestamp;

/// How often the sweeper looks at an open run, and the shortest time after which it sends a message again.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// The most steps a plan may have.
pub const MAX_STEPS: usize = 32;

/// Into how many branches a step is fanned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Branches {
    /// As many as the specification says.
    Known(u32),
    /// As many as the step before says in its outcome.
    FromPredecessor,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanStep {
    /// Its name, unique within the plan.
    pub step: StepName,
    /// Which pool works on it.
    pub stage: StageName,
    /// The largest memory class that stage is deployed in.
    pub largest: MemoryClass,
    /// Whether, and how, it is fanned out.
    pub branches: Option<Branches>,
    /// How many of its branches must succeed; 1 unless the specification says otherwise.
    pub min_succeeded: u32,
}

/// Why steps make no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to do.
    #[error("a plan needs at least one step")]
    Empty,
    /// More than [`MAX_STEPS`].
    #[error("a plan of {0} steps: at most {MAX_STEPS} are allowed")]
    TooLong(usize),
    /// Two steps have one name.
    #[error("step {0} stands in the plan twice; give each step a name of its own")]
    Twice(StepName),
    /// Nothing would join the branches.
    #[error("step {0} is fanned out and last: a step must follow that joins its branches")]
    FannedLast(StepName),
    /// Nothing says how many branches there are.
    #[error("step {0} is first, so no step before it can say how many branches it has; write a number")]
    FannedFirst(StepName),
    /// The step before has no one outcome that could say a number.
    #[error("step {0} takes its number of branches from step {1}, which is fanned out itself")]
    FannedTwice(StepName, StepName),
    /// None, or more than [`MAX_BRANCHES`].
    #[error("step {0} has {1} branches: 1 to {MAX_BRANCHES} are allowed")]
    BranchCount(StepName, u32),
    /// More than there are.
    #[error("step {0} wants {1} of its {2} branches to succeed; want at least 1 and at most all")]
    MinSucceeded(StepName, u32, u32),
}

/// The checked steps of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan(Vec<PlanStep>);

impl Plan {
    /// Checks the steps and makes a plan of them; all that is wrong with them otherwise.
    pub fn new(steps: Vec<PlanStep>) -> Result<Self, Vec<PlanError>> {
        let mut errors = Vec::new();
        if steps.is_empty() {
            errors.push(PlanError::Empty);
        }
        if steps.len() > MAX_STEPS {
            errors.push(PlanError::TooLong(steps.len()));
        }
        for (
            at,
            PlanStep {
                step,
                branches,
                min_succeeded,
                ..
            },
        ) in steps.iter().enumerate()
        {
            if steps[..at].iter().any(|s| s.step == *step) {
                errors.push(PlanError::Twice(step.clone()));
            }
            let Some(branches) = branches else { continue };
            if at + 1 == steps.len() {
                errors.push(PlanError::FannedLast(step.clone()));
            }
            let most = match branches {
                Branches::Known(n) => {
                    if !(1..=MAX_BRANCHES).contains(n) {
                        errors.push(PlanError::BranchCount(step.clone(), *n));
                    }
                    *n
                }
                Branches::FromPredecessor => {
                    match at.checked_sub(1).map(|before| &steps[before]) {
                        None => errors.push(PlanError::FannedFirst(step.clone())),
                        Some(before) if before.branches.is_some() => {
                            errors.push(PlanError::FannedTwice(step.clone(), before.step.clone()));
                        }
                        Some(_) => {}
                    }
                    MAX_BRANCHES
                }
            };
            if !(1..=most.max(1)).contains(min_succeeded) {
                errors.push(PlanError::MinSucceeded(step.clone(), *min_succeeded, most));
            }
        }
        if errors.is_empty() {
            Ok(Self(steps))
        } else {
            Err(errors)
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[PlanStep] {
        &self.0
    }
}

/// What a new run is made of, besides its plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Birth {
    /// The run's id.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The digest of its specification.
    pub spec: Sha256Digest,
    /// What each step may spend.
    pub max: Budget,
    /// When it is made.
    pub now: Timestamp,
    /// How long it may take, waiting included.
    pub deadline: Duration,
}

impl Birth {
    /// The run's item, with every step in it and the first one ready.
    pub fn item(self, plan: &Plan) -> RunItem {
        let mut steps = BTreeMap::new();
        let mut after = None;
        for PlanStep {
            step,
            stage,
            largest,
            branches,
            min_succeeded,
        } in plan.steps()
        {
            let mut work = StepItem::new(stage.clone(), after.replace(step.clone()), *largest);
            if work.after.is_none() {
                work.ready_at = Some(self.now);
            }
            if let Some(branches) = branches {
                work.min_succeeded = Some(*min_succeeded);
                if let Branches::Known(n) = branches {
                    work.branches = Some(*n);
                }
            }
            steps.insert(step.clone(), work);
        }
        RunItem {
            id: self.id,
            pipeline: self.pipeline,
            status: RunStatus::Open,
            reason: None,
            created_at: self.now,
            ended_at: None,
            deadline: self.now.plus(self.deadline),
            spec: self.spec,
            parent: None,
            trace: None,
            max: self.max,
            order: plan.steps().iter().map(|s| s.step.clone()).collect(),
            steps,
            done: BTreeMap::new(),
            lost: BTreeMap::new(),
            next_check: Some(self.now.plus(CHECK_INTERVAL.min(self.deadline))),
            registered: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Artifact, Manifest, Origin, TableShape};
    use crate::intake::Definition;
    use crate::item::{CacheNote, Demand, Fault, FaultClass, Measured, Requests};
    use crate::ports::{CacheEntry, Pause, Presence};

    fn step(name: &str, branches: Option<Branches>, min_succeeded: u32) -> PlanStep {
        PlanStep {
            step: StepName::new(name).expect("valid"),
            stage: StageName::new("noop").expect("valid"),
            largest: MemoryClass::Standard,
            branches,
            min_succeeded,
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let errors = Plan::new(vec![
            step("a", Some(Branches::FromPredecessor), 1),
            step("b", Some(Branches::Known(0)), 1),
            step("b", Some(Branches::Known(2)), 3),
            step("c", Some(Branches::FromPredecessor), 1),
        ])
        .expect_err("six mistakes");
        assert_eq!(errors.len(), 6, "{errors:?}");
        assert_eq!(Plan::new(Vec::new()), Err(vec![PlanError::Empty]));
        assert!(Plan::new((0..33).map(|i| step(&format!("s{i}"), None, 1)).collect()).is_err());
    }

    #[test]
    fn an_item_is_small_at_birth() {
        let plan = Plan::new((0..7).map(|i| step(&format!("step-{i}"), None, 1)).collect()).expect("valid");
        let item = Birth {
            id: RunId::new("flights-20261123-1a2b3c4d").expect("valid"),
            pipeline: PipelineName::new("flights").expect("valid"),
            spec: Sha256Digest::of(b""),
            max: Budget::DEFAULT_MAX,
            now: Timestamp(1_795_000_000_000),
            deadline: Duration::from_secs(7 * 86_400),
        }
        .item(&plan);
        let size = serde_json::to_vec(&item).expect("serialises").len();
        assert!(size <= 1024, "{size} bytes at birth");
        let back: RunItem =
            serde_json::from_slice(&serde_json::to_vec(&item).expect("serialises")).expect("reads back");
        assert_eq!(back, item);
    }

    /// Components are deployed one at a time: what a newer one stored is read by an older one.
    #[test]
    fn what_a_later_version_stored_is_read() {
        let mut item = serde_json::json!({
            "id": "r", "pipeline": "p", "status": "OPEN", "created_at": 1, "deadline": 2,
            "spec": Sha256Digest::of(b""), "max": Budget::DEFAULT_MAX, "order": ["s"],
            "steps": { "s": { "stage": "noop" } },
        });
        let plain: RunItem = serde_json::from_value(item.clone()).expect("this version's");
        let origin = serde_json::json!({ "run": "r", "step": "s", "attempt": 1, "new": 1 });
        let artifact = serde_json::json!({
            "name": "a", "sha256": Sha256Digest::of(b""), "size_bytes": 0, "new": 1,
            "table": { "rows": 1, "columns": 1, "decoded_bytes": 8, "new": 1 },
        });
        item["new"] = 1.into();
        item["max"]["new"] = 1.into();
        item["steps"]["s"] = serde_json::json!({
            "stage": "noop", "new": 1,
            "manifest": { "origin": origin, "artifacts": [artifact], "new": 1 },
            "measured": { "duration_ms": 1, "new": 1 },
            "demand": { "memory_bytes": 1, "scratch_bytes": 1, "reason": "", "new": 1 },
            "fault": { "class": "memory", "message": "", "attempt": 1, "at": 1, "new": 1 },
        });
        let cached = serde_json::json!({
            "manifest": item["steps"]["s"]["manifest"], "outcome": "advance", "parts": {}, "cached_at": 1, "new": 1,
        });
        serde_json::from_value::<CacheEntry>(cached).expect("what is cached");
        let worker = serde_json::json!({
            "worker": "w", "queues": [], "version": "2", "since": 1, "expires_at": 2, "new": 1,
        });
        serde_json::from_value::<Presence>(worker).expect("who is there");
        let pause = serde_json::json!({ "stage": "noop", "since": 1, "reason": "", "new": 1 });
        serde_json::from_value::<Pause>(pause).expect("what is paused");
        let named = serde_json::json!({ "name": "p", "text": "", "folder": "/", "applied_at": 1, "new": 1 });
        serde_json::from_value::<Definition>(named).expect("a pipeline by its name");
        let later: RunItem = serde_json::from_value(item).expect("a later version's");
        assert_eq!(later.id, plain.id);
        let step = later.steps.values().next().expect("there is one");
        assert!(
            step.manifest.is_some()
                && step.measured.is_some()
                && step.fault.is_some()
                && step.demand.is_some()
        );
    }

    /// Everything that can be in an item is, and as long as it can be; but for its branches, which have items of their own.
    #[test]
    fn an_item_stays_small_with_as_many_branches_as_there_may_be() {
        let name = |i: u32| format!("{i:0>64}");
        let fanned = |i: u32| (i == 3).then_some(Branches::Known(MAX_BRANCHES));
        let plan = Plan::new((0..8).map(|i| step(&name(i), fanned(i), 1)).collect()).expect("valid");
        let mut item = Birth {
            id: RunId::new(name(0)).expect("valid"),
            pipeline: PipelineName::new(name(0)).expect("valid"),
            spec: Sha256Digest::of(b""),
            max: Budget::DEFAULT_MAX,
            now: Timestamp(1_795_000_000_000),
            deadline: Duration::from_secs(7 * 86_400),
        }
        .item(&plan);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        item.trace = Some(parent.try_into().expect("valid"));
        for (i, work) in item.steps.values_mut().enumerate() {
            let fault = Fault::new(FaultClass::Permanent, "e".repeat(4096), u32::MAX, item.deadline);
            let origin = Origin {
                run: item.id.clone(),
                step: item.order[i].clone(),
                ordinal: MAX_BRANCHES - 1,
                attempt: u32::MAX,
            };
            let artifacts = (0..20).map(|n| Artifact {
                name: name(n).parse().expect("valid"),
                sha256: Sha256Digest::of(b""),
                size_bytes: u64::MAX,
                table: Some(TableShape {
                    rows: u64::MAX,
                    columns: u32::MAX,
                    decoded_bytes: u64::MAX,
                }),
            });
            work.manifest = Some(Manifest {
                origin,
                artifacts: artifacts.collect(),
            });
            work.fault = Some(fault);
            work.demand = Some(Demand {
                memory_bytes: u64::MAX,
                scratch_bytes: u64::MAX,
                reason: "r".repeat(Demand::MAX_REASON_BYTES),
            });
            work.measured = Some(Measured {
                duration_ms: u64::MAX,
                peak_memory_bytes: Some(u64::MAX),
                cached: true,
                cpu_ms: Some(u64::MAX),
                cache: Some(CacheNote::Miss {
                    differs: vec![name(0); CacheNote::MAX_DIFFERS],
                }),
                requests: Some(Requests {
                    queue: u32::MAX,
                    table_reads: u32::MAX,
                    table_writes: u32::MAX,
                    store_reads: u32::MAX,
                    store_writes: u32::MAX,
                }),
            });
        }
        let all: std::collections::BTreeSet<u32> = (0..MAX_BRANCHES).collect();
        let wide = item.order[3].clone();
        item.done.insert(wide.clone(), all.clone());
        item.lost.insert(wide, all);
        let size = serde_json::to_vec(&item).expect("serialises").len();
        assert!(size < 100 * 1024, "{size} bytes");
        let back: RunItem =
            serde_json::from_slice(&serde_json::to_vec(&item).expect("serialises")).expect("reads back");
        assert_eq!(back, item);
    }
}
