//! What is asked for: guards, and changes of slots and runs.

use super::*;

/// Any guards: of steps that are there and of one that is not, of the right kind of item and of the other.
pub(super) fn guards(of_branch: bool) -> impl Strategy<Value = Vec<Guard>> {
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
        any_step().prop_map(Guard::NotFanned),
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
pub(super) type Changes = (Vec<Guard>, Vec<Change>);

/// Changes of one slot.
pub(super) fn slot_changes(slot: Slot) -> impl Strategy<Value = Changes> {
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
pub(super) fn run_changes() -> impl Strategy<Value = Changes> {
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
        (
            any_step(),
            time(),
            class(),
            option::of(demand()),
            option::of(1..4u32),
        )
            .prop_map(|(step, at, class, demand, branches)| Change::Ready {
                step,
                at,
                class,
                demand,
                branches,
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
    let close = (time(), class(), option::of(demand())).prop_map(|(now, class, demand)| {
        let (branches, at) = (None, now);
        vec![
            Change::CloseFanOut { step: step("b"), now },
            Change::Ready {
                step: step("c"),
                at,
                class,
                demand,
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
