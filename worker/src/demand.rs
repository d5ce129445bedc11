//! Where a step begins: in the smallest memory class that holds what its stage is estimated to take.
//!
//! An estimate that is wrong costs time and no result. One that is too low ends in a death of memory, after which the
//! work goes on in the next class; one that is too high uses a larger worker than was needed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pipeline::components::Components;
use pipeline::item::{Demand, FaultClass, Placement};
use pipeline::operate::Foresight;
use pipeline::spec::Weight;
use pipeline::stage::{Assignment, Committed, Found, Read, SourceFile, Stage};
use pipeline::{Manifest, MemoryClass, QueueName, RunItem, Spec, StageName, StepName};

use crate::attempt::Failure;
use crate::config::{self, ByteSize};
use crate::worker::Worker;

/// How much memory one attempt has in each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// The same for every stage: all pools are on this machine, and configured as this one is.
    Here([u64; MemoryClass::ALL.len()]),
    /// Each stage's pools are machines of their own.
    Listed(BTreeMap<QueueName, u64>),
}

impl Room {
    /// What the workers of these components have, with nothing else configured.
    pub fn of(components: &Components) -> Self {
        let mut room = BTreeMap::new();
        for (stage, component) in components {
            for &class in component.classes.keys() {
                let vcpus = component.fargate.as_ref().and_then(|f| f.vcpus.get(&class));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "Fargate has at most 16, and a part of one counts as one"
                )]
                let cores = vcpus.map_or(1, |vcpus| vcpus.max(1.0) as usize);
                if let Some(memory_bytes) = component.memory_bytes(class) {
                    let queue = QueueName {
                        stage: stage.clone(),
                        class,
                    };
                    room.insert(queue, config::limit_bytes(memory_bytes, cores, class));
                }
            }
        }
        Self::Listed(room)
    }

    /// How much an attempt of `stage` has in `class`, if that is known.
    pub fn bytes(&self, stage: &StageName, class: MemoryClass) -> Option<u64> {
        match self {
            Self::Here(bytes) => Some(bytes[class as usize]),
            Self::Listed(room) => {
                let queue = QueueName {
                    stage: stage.clone(),
                    class,
                };
                room.get(&queue).copied()
            }
        }
    }

    /// The smallest class that has room for `demand`, or else the largest there is; and why.
    fn place(&self, stage: &StageName, largest: MemoryClass, mut demand: Demand) -> Placement {
        let mut class = MemoryClass::Standard;
        let mut told = Vec::new();
        while let Some(has) = self.bytes(stage, class).filter(|has| demand.memory_bytes > *has) {
            told.push(format!("{class} has {}", ByteSize(has)));
            match class.next_up_to(largest) {
                Some(next) => class = next,
                None => break,
            }
        }
        if !told.is_empty() {
            demand.reason = format!("{}; {}", demand.reason, told.join(", "));
        }
        demand.reason = pipeline::item::clip_to(demand.reason, Demand::MAX_REASON_BYTES);
        Placement {
            class,
            demand: Some(demand),
        }
    }
}

/// Refuses an attempt that should not even begin here: it is estimated to take more memory than there is, and a larger class
/// would have more; or what it reads and writes has no room on the disk now.
pub fn check_room(
    worker: &Worker,
    queue: &QueueName,
    largest: MemoryClass,
    stage: &dyn Stage,
    assignment: &Assignment,
    reads: &[Read],
) -> Result<(), Failure> {
    let demand = stage.demand(assignment);
    if let Some(demand) = &demand {
        check_memory(worker, queue, largest, demand)?;
    }
    let estimated_bytes = demand.map_or(0, |demand| demand.scratch_bytes);
    check_scratch(worker, reads, &assignment.found, estimated_bytes)
}

fn check_memory(
    worker: &Worker,
    queue: &QueueName,
    largest: MemoryClass,
    demand: &Demand,
) -> Result<(), Failure> {
    let has = worker.capacity.memory_limit_bytes(queue.class);
    if demand.memory_bytes <= has {
        return Ok(());
    }
    let message = format!(
        "it is estimated to take {} of memory ({}), and has {} here",
        ByteSize(demand.memory_bytes),
        demand.reason,
        ByteSize(has)
    );
    if queue.class.next_up_to(largest).is_none() {
        tracing::warn!(stage = %queue, "{message}; it is tried all the same, as there is no larger class");
        return Ok(());
    }
    Err(Failure::new(FaultClass::Memory, message))
}

fn check_scratch(
    worker: &Worker,
    reads: &[Read],
    found: &Found,
    estimated_bytes: u64,
) -> Result<(), Failure> {
    let read_bytes = reads.iter().map(|read| read.artifact.size_bytes);
    // Files of this machine are read where they are.
    let is_fetched = |file: &&SourceFile| file.uri.contains("://");
    let sources = found.sources.values().flatten().filter(is_fetched);
    let least = read_bytes
        .chain(sources.map(|file| file.size_bytes))
        .fold(0, u64::saturating_add);
    if let Some(limit) = worker.capacity.scratch_limit_bytes.filter(|limit| least > *limit) {
        return Err(Failure::permanent(format!(
            "its inputs are {}, and may take {} of scratch space (scratch_limit)",
            ByteSize(least),
            ByteSize(limit)
        )));
    }
    let takes = estimated_bytes.max(least);
    match worker.scratch.free_bytes() {
        Ok(free) if takes > free => Err(Failure::new(
            FaultClass::Transient,
            format!(
                "its inputs and outputs are estimated to take {} of scratch space, and {} is free in {}",
                ByteSize(takes),
                ByteSize(free),
                worker.scratch.path().display()
            ),
        )),
        // Who cannot tell how much is free finds out by trying.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What `step` of `run` is estimated to take: the most of its branches, if it has any. `run` holds the manifests of the
/// steps before it, but for those of branches.
fn demand(run: &RunItem, spec: &Spec, step: &StepName) -> Option<Demand> {
    let work = run.steps.get(step)?;
    let stage = stages::find(&work.stage)?;
    let committed: BTreeMap<StepName, Committed> = run
        .steps_in_order()
        .take_while(|(name, _)| *name != step)
        .filter_map(|(name, before)| Some((name.clone(), Committed::One(before.manifest.clone()?))))
        .collect();
    let mut assignment = Assignment {
        run: run.id.clone(),
        step: step.clone(),
        branch: None,
        attempt: 0,
        spec: spec.clone(),
        committed,
        found: Found::default(),
    };
    if !work.is_fanned() {
        return stage.demand(&assignment);
    }
    let branches = (0..work.branches.unwrap_or(1)).filter_map(|ordinal| {
        assignment.branch = Some(ordinal);
        stage.demand(&assignment)
    });
    branches.max_by_key(|demand| demand.memory_bytes)
}

/// True if the step's work is done in child processes, whose memory is limited.
fn is_heavy(run: &RunItem, step: &StepName) -> bool {
    let kind = run
        .steps
        .get(step)
        .and_then(|work| pipeline::spec::kind(work.stage.as_str()));
    kind.is_some_and(|kind| kind.weight == Weight::Heavy)
}

/// Where the step after `step` begins, once that is committed with `manifest`, and has said into how many branches the next
/// one is fanned out.
pub async fn after(
    worker: &Worker,
    run: &RunItem,
    step: &StepName,
    manifest: &Manifest,
    branches: Option<u32>,
) -> Placement {
    // Most of what small stages cost would be the copy.
    let Some(next) = run.successor(step).filter(|next| is_heavy(run, next)).cloned() else {
        return Placement::default();
    };
    let mut run = run.clone();
    if let Some(own) = run.steps.get_mut(step) {
        own.manifest = Some(manifest.clone());
    }
    if let (Some(n), Some(next)) = (branches, run.steps.get_mut(&next)) {
        next.branches = Some(n);
    }
    worker.placement(&run, &next).await
}

#[async_trait]
impl Foresight for Worker {
    async fn placement(&self, run: &RunItem, step: &StepName) -> Placement {
        let Some(work) = run.steps.get(step) else {
            return Placement::default();
        };
        if !is_heavy(run, step) {
            return Placement::default();
        }
        // Whoever works on the step reads the same, and says what is wrong with it.
        let Ok(spec) = self.specs.get(&self.backend, self.scratch.path(), run.spec).await else {
            return Placement::default();
        };
        match demand(run, &spec, step) {
            Some(demand) => self.capacity.room.place(&work.stage, work.largest, demand),
            None => Placement::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn demand_of(memory_bytes: u64) -> Demand {
        Demand {
            memory_bytes,
            scratch_bytes: 0,
            reason: "so many rows".into(),
        }
    }

    #[test]
    fn the_smallest_class_that_has_room_is_taken_and_the_others_are_told() {
        let stage = StageName::new("train").expect("valid");
        let room = Room::Here([GIB, 2 * GIB, 4 * GIB]);
        let place = |bytes, largest| {
            let placed = room.place(&stage, largest, demand_of(bytes));
            (placed.class, placed.demand.expect("it is known").reason)
        };
        assert_eq!(
            place(GIB, MemoryClass::Xlarge),
            (MemoryClass::Standard, "so many rows".to_owned())
        );
        assert_eq!(
            place(GIB + 1, MemoryClass::Xlarge),
            (
                MemoryClass::Large,
                "so many rows; standard has 1024MiB".to_owned()
            )
        );
        let more_than_all = place(9 * GIB, MemoryClass::Large);
        assert_eq!(more_than_all.0, MemoryClass::Large);
        assert!(
            more_than_all
                .1
                .ends_with("standard has 1024MiB, large has 2048MiB"),
            "{}",
            more_than_all.1
        );
        assert_eq!(place(9 * GIB, MemoryClass::Xlarge).0, MemoryClass::Xlarge);
        let unknown = Room::Listed(BTreeMap::new()).place(&stage, MemoryClass::Large, demand_of(9 * GIB));
        assert_eq!(unknown.class, MemoryClass::Standard, "nobody knows better");
        let long = Demand {
            reason: "ü".repeat(300),
            ..demand_of(1)
        };
        let clipped = room
            .place(&stage, MemoryClass::Large, long)
            .demand
            .expect("it is known");
        assert!(clipped.reason.len() <= Demand::MAX_REASON_BYTES);
    }

    #[test]
    fn pools_of_a_list_have_what_their_tasks_have() {
        let text = "[train]\nclasses = { standard = \"4GiB\", large = \"16GiB\" }\n[train.fargate]\n\
                    vcpus = { standard = 2, large = 4 }\nmin_tasks = {}\nmax_tasks = {}\narchitecture = \"arm64\"\n\
                    spot_percent = 0\nacceptable_latency_seconds = 1\nstage_seconds = 1\n\
                    [explain]\nclasses = { standard = \"2GiB\" }\n";
        let room = Room::of(&pipeline::components::read(text).expect("a list"));
        let mib = |stage: &str, class| {
            let stage = StageName::new(stage).expect("valid");
            room.bytes(&stage, class).map(|bytes| bytes >> 20)
        };
        // 80 % of the task's memory, shared by as many attempts as it has cores; twice that in the next class.
        assert_eq!(mib("train", MemoryClass::Standard), Some(1638));
        assert_eq!(mib("train", MemoryClass::Large), Some(6553));
        assert_eq!(mib("explain", MemoryClass::Standard), Some(1638));
        assert_eq!(mib("explain", MemoryClass::Large), None);
    }
}
