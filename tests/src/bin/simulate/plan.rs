//! What runs do: specifications, as a seed draws them.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::id::{AliasName, ModelName, PipelineName, StepName};
use pipeline::plan::Branches;
use pipeline::spec::{
    Crash, CrashHow, FanOut, Flaky, FlakyHow, Noop, RegisterParams, Retry, Spec, StageParams, Step,
};
use sim::Seeded;
use sim::ledger::Declaration;

/// The stages that have no effects but on their runs.
pub(crate) const STAGES: [&str; 4] = ["noop", "flaky", "crash", "fan-out"];

/// The one model that runs register, so that they meet.
pub(crate) fn model() -> ModelName {
    ModelName::new("model").expect("a valid name")
}

/// The alias that they move.
pub(crate) fn alias() -> AliasName {
    AliasName::new("champion").expect("a valid name")
}

/// A specification of the pipeline, as the seed draws it.
pub(crate) fn spec(seeded: &Seeded, pipeline: &str, deadline: Duration) -> Spec {
    let mut steps = Vec::new();
    let length = seeded.between(1, 3);
    for n in 0..length {
        steps.push(step(&format!("s{n}"), work(seeded), None, 1));
    }
    if seeded.chance(2, 5) {
        fan_out(seeded, &mut steps);
    }
    if seeded.chance(1, 2) || steps.last().is_none_or(|last| last.branches.is_some()) {
        steps.push(step("last", last(seeded), None, 1));
    }
    if seeded.chance(1, 10) {
        let at = usize::try_from(seeded.below(steps.len() as u64)).unwrap_or(0);
        if steps[at].branches.is_none() {
            steps[at].params = StageParams::Noop(Noop {
                halt: Some("the data says no".to_owned()),
                write_bytes: Some(8),
                register: None,
            });
        }
    }
    Spec {
        pipeline: PipelineName::new(pipeline).expect("a valid name"),
        description: None,
        deadline,
        seed: seeded.below(1_000),
        retry: Retry {
            crash: u32::try_from(seeded.between(1, 6)).unwrap_or(1),
            transient: u32::try_from(seeded.between(1, 12)).unwrap_or(0),
            memory: u32::try_from(seeded.between(0, 4)).unwrap_or(0),
        },
        parameters: BTreeMap::new(),
        refresh: Vec::new(),
        steps,
    }
}

/// What runs of the specification may promote.
pub(crate) fn declaration(spec: &Spec) -> Option<Declaration> {
    let last = spec.steps.last()?;
    match &last.params {
        StageParams::Noop(Noop {
            register: Some(register),
            ..
        }) => Some((
            register.model.clone(),
            register.alias.clone()?,
            register.expected_revision,
        )),
        _ => None,
    }
}

fn fan_out(seeded: &Seeded, steps: &mut Vec<Step>) {
    let branches = u32::try_from(seeded.between(1, 4)).unwrap_or(1);
    let min_succeeded = u32::try_from(seeded.between(1, u64::from(branches))).unwrap_or(1);
    let fanned = match seeded.chance(1, 2) {
        true => Branches::Known(branches),
        false => {
            let says = StageParams::FanOut(FanOut { branches });
            steps.push(step("how-many", says, None, 1));
            Branches::FromPredecessor
        }
    };
    let mut params = work(seeded);
    if let StageParams::Flaky(flaky) = &mut params {
        flaky.only_branches = (0..branches).filter(|_| seeded.chance(1, 2)).collect();
    }
    steps.push(step("fan", params, Some(fanned), min_succeeded));
}

fn step(name: &str, params: StageParams, branches: Option<Branches>, min_succeeded: u32) -> Step {
    Step {
        step: StepName::new(name).expect("a valid name"),
        params,
        branches,
        min_succeeded,
        time_limit: None,
    }
}

fn writes(seeded: &Seeded) -> StageParams {
    let write_bytes = seeded.chance(3, 4).then(|| seeded.below(40));
    StageParams::Noop(Noop {
        write_bytes,
        halt: None,
        register: None,
    })
}

fn work(seeded: &Seeded) -> StageParams {
    let attempts = u32::try_from(seeded.between(1, 3)).unwrap_or(1);
    match seeded.below(10) {
        0..6 => writes(seeded),
        6 => StageParams::Crash(Crash {
            how: CrashHow::Panic,
            attempts,
        }),
        n => StageParams::Flaky(Flaky {
            attempts,
            how: match n {
                7 if seeded.chance(1, 2) => FlakyHow::Panic,
                7 => FlakyHow::Memory,
                8 if seeded.chance(1, 5) => FlakyHow::Permanent,
                _ => FlakyHow::Transient,
            },
            only_branches: Vec::new(),
        }),
    }
}

fn last(seeded: &Seeded) -> StageParams {
    if seeded.chance(1, 3) {
        return writes(seeded);
    }
    StageParams::Noop(Noop {
        write_bytes: Some(seeded.between(1, 40)),
        halt: None,
        register: Some(RegisterParams {
            model: model(),
            alias: seeded.chance(4, 5).then(alias),
            expected_revision: seeded.below(3),
        }),
    })
}
