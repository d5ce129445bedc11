//! Random items and random updates of them, for tests that compare one evaluation of guards and changes with another.
//!
//! Items are such as the protocol could leave: a running step was charged for its claim, sets of branches are not
//! empty. Updates have the changes that the protocol puts together, and any guards at all. Numbers are small, so that
//! guards hold about as often as not.

mod asked;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use self::asked::{guards, run_changes, slot_changes};
use super::runs::manifest;
use super::step;
use crate::change::{Change, Charge};
use crate::digest::Sha256Digest;
use crate::guard::Guard;
use crate::id::{ModelName, Nonce, PipelineName, RunId, StageName, StepName};
use crate::item::{
    BranchItem, Budget, CacheNote, Demand, Fault, FaultClass, Item, ItemKey, Measured, MemoryClass, Requests,
    RunItem, RunStatus, Slot, StepItem, StepState,
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

fn demand() -> impl Strategy<Value = Demand> {
    (0..1u64 << 40, 0..9u64, "[a-z ]{0,9}").prop_map(|(memory_bytes, scratch_bytes, reason)| Demand {
        memory_bytes,
        scratch_bytes,
        reason,
    })
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
    let requests = (0..3u32, 0..3u32).prop_map(|(queue, store_reads)| Requests {
        queue,
        store_reads,
        ..Requests::default()
    });
    (sizes, option::of(cache), option::of(requests)).prop_map(|(sizes, cache, requests)| {
        let (duration_ms, peak_memory_bytes, cpu_ms) = sizes;
        Measured {
            duration_ms,
            peak_memory_bytes,
            cached: cache == Some(CacheNote::Hit),
            cpu_ms,
            cache,
            requests,
        }
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

/// Only what is settled can be lost.
fn losses(
    done: &BTreeMap<StepName, BTreeSet<u32>>,
    mut lost: BTreeMap<StepName, BTreeSet<u32>>,
) -> BTreeMap<StepName, BTreeSet<u32>> {
    lost.retain(|step, lost| {
        lost.retain(|n| done.get(step).is_some_and(|done| done.contains(n)));
        !lost.is_empty()
    });
    lost
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
                let lost = losses(&done, lost);
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
                    trace: None,
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
