//! Random items and random updates of them, for tests that compare one evaluation of guards and changes with another.
//!
//! Items are such as the protocol could leave: a running step was charged for its claim, sets of branches are not
//! empty. Updates have the changes that the protocol puts together, and any guards at all. Numbers are small, so that
//! guards hold about as often as not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::runs::manifest;
use super::step;
use crate::change::{Change, Charge};
use crate::digest::Sha256Digest;
use crate::guard::Guard;
use crate::id::{ModelName, Nonce, PipelineName, RunId, StageName, StepName};
use crate::item::{
    BranchItem, Budget, CacheNote, Fault, FaultClass, Item, ItemKey, Measured, MemoryClass, RunItem,
    RunStatus, Slot, StepItem, StepState,
};
use crate::registry::Registered;
use crate::time::Timestamp;
use crate::update::GuardedUpdate;

const STEPS: [&str; 3] = ["a", "b", "c"];

/// What is stored, and what is asked for.
#[derive(Debug, Clone)]
pub struct Situation {
    /// What is there, none if nothing is.
    pub stored: Option<Item>,
    /// What is asked for.
    pub update: GuardedUpdate,
}

impl Situation {
    /// The same of another run.
    #[must_use]
    pub fn of_run(mut self, run: &RunId) -> Self {
        match &mut self.stored {
            Some(Item::Run(item)) => item.id = run.clone(),
            Some(Item::Branch(item)) => item.run = run.clone(),
            None => {}
        }
        match &mut self.update.key {
            ItemKey::Run(id) | ItemKey::Branch(id, _, _) => *id = run.clone(),
        }
        if let Some(birth) = &mut self.update.birth {
            birth.run = run.clone();
        }
        self
    }
}

/// Any situation.
pub fn situation() -> impl Strategy<Value = Situation> {
    let of_run = (option::weighted(0.95, run_item()), run_changes(), guards(false)).prop_map(
        |(item, (mut needed, changes), guards)| {
            needed.extend(guards);
            Situation {
                stored: item.map(|run| Item::Run(Box::new(run))),
                update: GuardedUpdate {
                    key: ItemKey::Run(run_id()),
                    birth: None,
                    guards: needed,
                    changes,
                    register: None,
                },
            }
        },
    );
    let of_branch = (
        option::weighted(0.7, branch_item()),
        option::of(branch_item()),
        slot_changes(Slot::Branch),
        guards(true),
    )
        .prop_map(|(item, birth, (mut needed, changes), guards)| {
            needed.extend(guards);
            Situation {
                stored: item.map(|branch| Item::Branch(Box::new(branch))),
                update: GuardedUpdate {
                    key: ItemKey::Branch(run_id(), step("b"), 1),
                    birth: birth.map(Box::new),
                    guards: needed,
                    changes,
                    register: None,
                },
            }
        });
    prop_oneof![2 => of_run, 1 => of_branch]
}

fn run_id() -> RunId {
    RunId::new("run").expect("valid")
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..6u64).prop_map(Timestamp)
}

fn small() -> impl Strategy<Value = u32> {
    0..4u32
}

fn budget() -> impl Strategy<Value = Budget> {
    (small(), small(), small()).prop_map(|(crash, transient, memory)| Budget {
        crash,
        transient,
        memory,
    })
}

fn nonce() -> impl Strategy<Value = Nonce> {
    select(vec!["x", "y"]).prop_map(|text| Nonce::new(text).expect("valid"))
}

fn class() -> impl Strategy<Value = MemoryClass> {
    select(MemoryClass::ALL.to_vec())
}

fn stage() -> impl Strategy<Value = StageName> {
    select(vec!["s", "t"]).prop_map(|text| StageName::new(text).expect("valid"))
}

fn fault() -> impl Strategy<Value = Fault> {
    let classes = vec![
        FaultClass::Transient,
        FaultClass::Permanent,
        FaultClass::Memory,
        FaultClass::Crash,
        FaultClass::Interrupted,
    ];
    (select(classes), "[ -~ä]{0,12}", small(), time())
        .prop_map(|(class, message, attempt, at)| Fault::new(class, message, attempt, at))
}

fn measured() -> impl Strategy<Value = Measured> {
    let cache = prop_oneof![
        Just(CacheNote::Hit),
        Just(CacheNote::Off),
        vec("[a-z:]{1,9}", 0..3).prop_map(|differs| CacheNote::Miss { differs }),
    ];
    let sizes = (0..9u64, option::of(0..9u64), option::of(0..9u64));
    (sizes, option::of(cache)).prop_map(|((duration_ms, peak_memory_bytes, cpu_ms), cache)| Measured {
        duration_ms,
        peak_memory_bytes,
        cached: cache == Some(CacheNote::Hit),
        cpu_ms,
        cache,
    })
}

/// A step's fields; `after` and whether it is fanned out are for the caller to set.
fn work() -> impl Strategy<Value = StepItem> {
    let states = vec![
        StepState::Pending,
        StepState::Running,
        StepState::Running,
        StepState::Committed,
        StepState::Failed,
    ];
    let counts = (small(), small(), small(), budget());
    let times = (
        option::of(time()),
        option::of(time()),
        option::of(time()),
        option::of(time()),
    );
    let rest = (
        option::of(nonce()),
        option::of(fault()),
        option::of(measured()),
        option::of("[a-z.0-9]{1,5}"),
    );
    (stage(), (class(), class()), select(states), counts, times, rest).prop_map(
        |(stage, (class, largest), state, (attempt, deaths, resent, spent), times, rest)| {
            let mut work = StepItem::new(stage, None, largest);
            (work.class, work.state, work.resent) = (class, state, resent);
            (work.attempt, work.deaths, work.spent) = (attempt, deaths, spent);
            (work.lease_until, work.ready_at, work.started_at, work.ended_at) = times;
            (work.owner, work.fault, work.measured, work.version) = rest;
            if state == StepState::Running {
                work.attempt = work.attempt.max(1);
                work.deaths = work.deaths.max(1);
                work.spent.crash = work.spent.crash.max(1);
            }
            if state == StepState::Committed {
                work.manifest = Some(manifest(&run_id()));
            }
            work
        },
    )
}

fn ordinals() -> impl Strategy<Value = BTreeSet<u32>> {
    btree_set(0..4u32, 1..4)
}

fn sets() -> impl Strategy<Value = BTreeMap<StepName, BTreeSet<u32>>> {
    option::of(ordinals()).prop_map(|set| set.map(|set| (step("b"), set)).into_iter().collect())
}

/// Steps `a`, `b` and `c`, of which `b` may be fanned out.
fn run_item() -> impl Strategy<Value = RunItem> {
    let fan = option::of((option::of(1..4u32), 1..4u32));
    let statuses = [vec![RunStatus::Open; 4], RunStatus::ALL.to_vec()].concat();
    let ends = (
        option::of("[a-z ]{1,9}"),
        option::of(time()),
        option::of(time()),
        time(),
    );
    (
        vec(work(), STEPS.len()),
        fan,
        select(statuses),
        budget(),
        (sets(), sets()),
        ends,
    )
        .prop_map(
            |(works, fan, status, max, (done, lost), (reason, ended_at, next_check, deadline))| {
                let names: Vec<StepName> = STEPS.map(step).to_vec();
                let mut steps: BTreeMap<StepName, StepItem> = names.iter().cloned().zip(works).collect();
                for pair in names.windows(2) {
                    if let Some(work) = steps.get_mut(&pair[1]) {
                        work.after = Some(pair[0].clone());
                    }
                }
                if let Some((work, (branches, min_succeeded))) = steps.get_mut(&step("b")).zip(fan) {
                    (work.branches, work.min_succeeded) = (branches, Some(min_succeeded));
                }
                RunItem {
                    id: run_id(),
                    pipeline: PipelineName::new("random").expect("valid"),
                    status,
                    reason,
                    created_at: Timestamp(1),
                    ended_at,
                    deadline,
                    spec: Sha256Digest::of(b"spec"),
                    parent: None,
                    max,
                    order: names,
                    steps,
                    done,
                    lost,
                    next_check,
                    registered: None,
                }
            },
        )
}

fn branch_item() -> impl Strategy<Value = BranchItem> {
    (work(), budget()).prop_map(|(work, max)| BranchItem {
        run: run_id(),
        step: step("b"),
        ordinal: 1,
        max,
        work,
    })
}

/// Any guards: of steps that are there and of one that is not, of the right kind of item and of the other.
fn guards(of_branch: bool) -> impl Strategy<Value = Vec<Guard>> {
    let slots = if of_branch { 8 } else { 1 };
    let any_step = || select(vec!["a", "a", "b", "b", "c", "none"]).prop_map(step);
    let slot = move || prop_oneof![8 => any_step().prop_map(Slot::Step), slots * slots => Just(Slot::Branch)];
    let guard = prop_oneof![
        Just(Guard::RunOpen),
        slot().prop_map(Guard::NotSettled),
        slot().prop_map(Guard::Running),
        (slot(), small()).prop_map(|(s, n)| Guard::AttemptIs(s, n)),
        (slot(), nonce()).prop_map(|(s, n)| Guard::OwnerIs(s, n)),
        (slot(), time()).prop_map(|(s, t)| Guard::LeaseOver(s, t)),
        (any_step(), option::of(any_step())).prop_map(|(s, after)| Guard::PredecessorCommitted(s, after)),
        (slot(), stage(), class()).prop_map(|(s, stage, class)| Guard::PoolIs(s, stage, class)),
        slot().prop_map(Guard::CrashBudgetLeft),
        slot().prop_map(Guard::CrashBudgetSpent),
        slot().prop_map(Guard::ClassHolds),
        any_step().prop_map(Guard::DoneFull),
        any_step().prop_map(Guard::EnoughSucceeded),
        any_step().prop_map(Guard::TooFewSucceeded),
        time().prop_map(Guard::DeadlineOver),
        time().prop_map(Guard::NextCheckIs),
    ];
    vec(guard, 0..3)
}

/// Changes as the protocol puts them together, and the guards without which it never makes them.
type Changes = (Vec<Guard>, Vec<Change>);

/// Changes of one slot.
fn slot_changes(slot: Slot) -> impl Strategy<Value = Changes> {
    let s = move || slot.clone();
    let running = {
        let s = s.clone();
        move || vec![Guard::Running(s())]
    };
    let claim = (nonce(), time(), time()).prop_map({
        let s = s.clone();
        move |(owner, now, lease_until)| {
            let (slot, version) = (s(), "2".to_owned());
            let claim = Change::Claim {
                slot,
                owner,
                now,
                lease_until,
                version,
            };
            (vec![Guard::NotSettled(s())], vec![claim])
        }
    });
    let renew = time().prop_map({
        let (s, running) = (s.clone(), running.clone());
        move |lease_until| {
            (
                running(),
                vec![Change::Renew {
                    slot: s(),
                    lease_until,
                }],
            )
        }
    });
    let commit = (time(), measured()).prop_map({
        let (s, running) = (s.clone(), running.clone());
        move |(now, measured)| {
            let (slot, manifest) = (s(), manifest(&run_id()));
            (
                running(),
                vec![Change::Commit {
                    slot,
                    manifest,
                    now,
                    measured,
                }],
            )
        }
    });
    let charges = vec![Charge::Nothing, Charge::Transient, Charge::Memory, Charge::Crash];
    let release = (select(charges), fault(), time(), option::of(class())).prop_map({
        let (s, running) = (s.clone(), running.clone());
        move |(charge, fault, ready_at, larger)| {
            let mut changes = vec![Change::Release {
                slot: s(),
                charge,
                fault,
                ready_at,
            }];
            changes.extend(larger.map(|class| Change::Escalate { slot: s(), class }));
            (running(), changes)
        }
    });
    let fail = fault().prop_map({
        let s = s.clone();
        move |fault| (running(), vec![Change::Fail { slot: s(), fault }])
    });
    let escalate = class().prop_map(move |class| {
        (
            vec![Guard::NotSettled(s())],
            vec![Change::Escalate { slot: s(), class }],
        )
    });
    prop_oneof![claim, renew, commit, release, fail, escalate]
}

/// Changes of a run's item: of one step, of the step after it, and of the run as a whole.
fn run_changes() -> impl Strategy<Value = Changes> {
    let any_step = || select(STEPS.to_vec()).prop_map(step);
    let end = || {
        (
            select(RunStatus::ALL[1..].to_vec()),
            option::of("[a-z ]{1,9}"),
            time(),
        )
            .prop_map(|(status, reason, now)| Change::End { status, reason, now })
    };
    let ready = || {
        (any_step(), time(), class(), option::of(1..4u32)).prop_map(|(step, at, class, branches)| {
            Change::Ready {
                step,
                at,
                class,
                branches,
            }
        })
    };
    let registered = || {
        Just(Change::Registered(Registered {
            model: ModelName::new("model").expect("valid"),
            promoted: None,
            reason: "random".into(),
        }))
    };
    let after = prop_oneof![
        3 => Just(Vec::new()),
        2 => ready().prop_map(|change| vec![change]),
        1 => end().prop_map(|change| vec![change]),
        1 => (end(), registered()).prop_map(|(end, registered)| vec![end, registered]),
    ];
    // `Ready` of the slot's own step never comes with changes of that step.
    let of_slot = (select(vec![0, 1]), after).prop_flat_map(|(at, after)| {
        slot_changes(Slot::Step(step(STEPS[at]))).prop_map(move |(guards, mut changes)| {
            let is_other =
                |c: &Change| !matches!(c, Change::Ready { step, .. } if step.as_str() == STEPS[at]);
            changes.extend(after.iter().filter(|c| is_other(c)).cloned());
            (guards, changes)
        })
    });
    let join = (select(vec!["b", "c"]), small(), any::<bool>()).prop_map(|(name, ordinal, lost)| {
        let step = step(name);
        vec![Change::Join { step, ordinal, lost }]
    });
    let close = (time(), class()).prop_map(|(now, class)| {
        let (branches, at) = (None, now);
        vec![
            Change::CloseFanOut { step: step("b"), now },
            Change::Ready {
                step: step("c"),
                at,
                class,
                branches,
            },
        ]
    });
    let look = (time(), option::of(any_step())).prop_map(|(at, resent)| {
        let mut changes = vec![Change::NextCheck(at)];
        changes.extend(resent.map(Change::Resent));
        changes
    });
    let deadline = time().prop_map(|at| vec![Change::Deadline(at)]);
    let of_run = prop_oneof![join, close, look, deadline, end().prop_map(|change| vec![change])];
    prop_oneof![2 => of_slot, 1 => of_run.prop_map(|changes| (Vec::new(), changes))]
}
