//! What [`RunStore::apply`](crate::ports::RunStore::apply) promises: the verdict and the result of
//! [`GuardedUpdate::evaluate`], on the item as it is at that moment, once.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::runs::{create, create_run};
use super::strategies::{Situation, situation};
use super::{World, step};
use crate::change::Change;
use crate::envelope::Hint;
use crate::guard::Guard;
use crate::id::{Nonce, StageName};
use crate::item::{Item, ItemKey, MemoryClass, QueueName, RunItem, RunStatus, Slot, StepState};
use crate::protocol::{Claimant, Work, claim_branch};
use crate::time::Timestamp;
use crate::update::{Applied, GuardedUpdate};

/// How many random situations each backend is put into.
const SITUATIONS: u32 = 512;

pub(super) async fn apply(world: &World, update: &GuardedUpdate) -> Applied {
    world.backend.runs.apply(update).await.expect("answered")
}

pub(super) fn claimant(owner: usize) -> Claimant {
    Claimant {
        queue: QueueName {
            stage: StageName::new("noop").expect("valid"),
            class: MemoryClass::Standard,
        },
        owner: Nonce::new(format!("owner-{owner}")).expect("valid"),
        version: "1".into(),
    }
}

pub(super) fn work(run: &RunItem, name: &str, branch: Option<u32>) -> Work {
    Work::of(&Hint {
        run: run.id.clone(),
        step: step(name),
        after: None,
        branch,
        traceparent: None,
    })
}

/// An item that is not there has nothing to say.
pub async fn an_update_of_nothing_is_refused(world: &World) {
    let run = world.run_id();
    let unguarded = GuardedUpdate::run(&run, Vec::new(), vec![Change::NextCheck(Timestamp(1))]);
    assert_eq!(apply(world, &unguarded).await, Applied::Refused(None));
    let branch = GuardedUpdate {
        key: ItemKey::Branch(run.clone(), step("fan"), 0),
        ..unguarded
    };
    assert_eq!(apply(world, &branch).await, Applied::Refused(None));
    assert_eq!(world.backend.runs.load(&run).await.expect("answered"), None);
}

/// Each of them, on an item of which it holds and on one of which it does not.
pub async fn every_guard_holds_and_refuses(world: &World) {
    let first = || Slot::Step(step("first"));
    let owner = |n: usize| claimant(n).owner;
    let noop = || claimant(0).queue.stage;
    // `first` runs in its third attempt and its crash budget is spent; `fan` has three branches, settled, one lost.
    let mut run = world.run_item();
    run.next_check = Some(Timestamp(500));
    run.deadline = Timestamp(1_000);
    let work = run.steps.get_mut(&step("first")).expect("there");
    work.state = StepState::Running;
    work.attempt = 3;
    work.owner = Some(owner(1));
    work.lease_until = Some(Timestamp(100));
    work.spent.crash = 3;
    work.deaths = 2;
    let fan = run.steps.get_mut(&step("fan")).expect("there");
    fan.branches = Some(3);
    fan.min_succeeded = Some(2);
    run.done.insert(step("fan"), BTreeSet::from([0, 1, 2]));
    run.lost.insert(step("fan"), BTreeSet::from([2]));
    // The same, ended and with everything else the other way round.
    let mut other = RunItem {
        id: world.run_id(),
        ..run.clone()
    };
    other.status = RunStatus::Cancelled;
    other.next_check = None;
    other.deadline = Timestamp(2_000);
    let work = other.steps.get_mut(&step("first")).expect("there");
    work.state = StepState::Committed;
    work.attempt = 4;
    work.owner = None;
    work.lease_until = Some(Timestamp(101));
    work.class = MemoryClass::Large;
    work.spent.crash = 2;
    work.deaths = 0;
    other.done.insert(step("fan"), BTreeSet::from([0, 2]));
    create_run(world, &run).await;
    create_run(world, &other).await;

    let on_run = [
        Guard::RunOpen,
        Guard::NotSettled(first()),
        Guard::Running(first()),
        Guard::AttemptIs(first(), 3),
        Guard::OwnerIs(first(), owner(1)),
        Guard::LeaseOver(first(), Timestamp(100)),
        Guard::PoolIs(first(), noop(), MemoryClass::Standard),
        Guard::CrashBudgetSpent(first()),
        Guard::DoneFull(step("fan")),
        Guard::EnoughSucceeded(step("fan")),
        Guard::DeadlineOver(Timestamp(1_000)),
        Guard::NextCheckIs(Timestamp(500)),
    ];
    let on_other = [
        Guard::PredecessorCommitted(step("fan"), Some(step("first"))),
        Guard::CrashBudgetLeft(first()),
        Guard::ClassHolds(first()),
        Guard::TooFewSucceeded(step("fan")),
        Guard::LeaseOver(Slot::Step(step("fan")), Timestamp(0)),
        Guard::PredecessorCommitted(step("first"), None),
        Guard::NotFanned(step("first")),
    ];
    let on_neither = [
        Guard::PredecessorCommitted(step("fan"), None),
        Guard::PredecessorCommitted(step("last"), Some(step("fan"))),
        Guard::NotFanned(step("fan")),
        Guard::NotSettled(Slot::Branch),
        Guard::NotSettled(Slot::Step(step("none"))),
        Guard::DoneFull(step("first")),
        Guard::EnoughSucceeded(step("first")),
        Guard::TooFewSucceeded(step("none")),
        Guard::OwnerIs(first(), owner(2)),
    ];
    let cases = (on_run.into_iter().map(|g| (g, &run)))
        .chain(on_other.into_iter().map(|g| (g, &other)))
        .chain(
            on_neither
                .into_iter()
                .flat_map(|g| [(g.clone(), &run), (g, &other)]),
        );
    for (guard, holder) in cases {
        for stored in [&run, &other] {
            let item = Item::Run(Box::new(stored.clone()));
            // Whether the table above is right is for the guard itself to say; that backends agree is the point.
            let holds = guard.holds(&item);
            assert!(holds || stored.id != holder.id || is_never(&guard), "{guard:?}");
            // A change that changes nothing, so that the next guard meets the same item.
            let unchanged = vec![Change::Deadline(stored.deadline)];
            let update = GuardedUpdate::run(&stored.id, vec![guard.clone()], unchanged);
            let want = if holds {
                Applied::Done(item)
            } else {
                Applied::Refused(Some(item))
            };
            assert_eq!(apply(world, &update).await, want, "{guard:?}");
        }
    }
    for run in [run, other] {
        assert_eq!(
            world.backend.runs.load(&run.id).await.expect("answered"),
            Some(run)
        );
    }
}

/// The guards of the table that hold of none of its items.
fn is_never(guard: &Guard) -> bool {
    match guard {
        Guard::PredecessorCommitted(step, after) => {
            step.as_str() == "last" || (step.as_str() == "fan" && after.is_none())
        }
        Guard::NotSettled(slot) => *slot != Slot::Step(step("first")),
        Guard::DoneFull(step) | Guard::EnoughSucceeded(step) | Guard::TooFewSucceeded(step) => {
            step.as_str() != "fan"
        }
        Guard::NotFanned(step) => step.as_str() == "fan",
        Guard::OwnerIs(_, owner) => owner.as_str() == "owner-2",
        _ => false,
    }
}

/// A run whose step `fan` is ready, in `n` branches.
pub(super) async fn fanned_out(world: &World, n: u32) -> RunItem {
    let mut run = world.run_item();
    run.steps.get_mut(&step("first")).expect("there").state = StepState::Committed;
    let fan = run.steps.get_mut(&step("fan")).expect("there");
    fan.branches = Some(n);
    fan.ready_at = Some(Timestamp(1));
    create_run(world, &run).await;
    run
}

pub(super) fn branch_claim(world: &World, run: &RunItem, ordinal: u32, owner: usize) -> GuardedUpdate {
    let work = work(run, "fan", Some(ordinal));
    let now = world.host.clock.now();
    claim_branch(
        run,
        &work,
        Some(&step("first")),
        &claimant(owner),
        now,
        Duration::from_secs(60),
    )
    .expect("the run has nothing against it")
}

/// A first claim makes the item; a refused one makes none; a later one is judged by what is stored.
pub async fn a_branch_is_born_by_its_first_claim(world: &World) {
    let run = fanned_out(world, 2).await;
    let claim = branch_claim(world, &run, 0, 1);
    let mut refused = claim.clone();
    refused.guards.push(Guard::Running(Slot::Branch));
    assert_eq!(apply(world, &refused).await, Applied::Refused(None));
    let branches = world
        .backend
        .runs
        .load_branches(&run.id, None)
        .await
        .expect("loaded");
    assert_eq!(branches, [], "a refused birth left an item");

    let Applied::Done(Item::Branch(born)) = apply(world, &claim).await else {
        panic!("the first claim was refused");
    };
    assert_eq!((born.work.attempt, born.work.state), (1, StepState::Running));
    let branches = world
        .backend
        .runs
        .load_branches(&run.id, Some(&step("fan")))
        .await;
    assert_eq!(branches.expect("loaded"), [(*born).clone()]);
    let second = apply(world, &branch_claim(world, &run, 0, 2)).await;
    assert_eq!(
        second,
        Applied::Refused(Some(Item::Branch(born))),
        "its lease is live"
    );
}

/// The differential test: random items, random updates, and each time the very verdict and the very item of
/// [`GuardedUpdate::evaluate`]. A failure is shown in its simplest form.
pub async fn any_update_of_any_item_has_the_verdict_of_evaluate(world: &World) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..SITUATIONS {
        let mut tree = situation()
            .new_tree(&mut runner)
            .expect("nothing is filtered out");
        match differs(world, tree.current()).await {
            Ok(true) => done += 1,
            Ok(false) => refused += 1,
            Err(first) => {
                let mut simplest = first;
                for _ in 0..200 {
                    if !tree.simplify() {
                        break;
                    }
                    match differs(world, tree.current()).await {
                        Err(simpler) => simplest = simpler,
                        Ok(_) if tree.complicate() => {}
                        Ok(_) => break,
                    }
                }
                panic!("{simplest}");
            }
        }
    }
    assert!(
        done > SITUATIONS / 10 && refused > SITUATIONS / 10,
        "{done} done, {refused} refused"
    );
}

/// Puts the backend into the situation; whether the update was done, or how the backend differs.
async fn differs(world: &World, situation: Situation) -> Result<bool, String> {
    let Situation { stored, update } = situation.of_run(&world.run_id());
    if let Some(item) = &stored {
        create(world, item).await;
    }
    let (want, left) = match update.evaluate(stored.clone()) {
        Ok(item) => (Applied::Done(item.clone()), Some(item)),
        Err(stored) => (Applied::Refused(stored.clone()), stored),
    };
    let got = apply(world, &update).await;
    let found = load(world, &update.key).await;
    world
        .backend
        .runs
        .remove(update.key.run())
        .await
        .expect("removed");
    if got == want && found == left {
        return Ok(matches!(want, Applied::Done(_)));
    }
    Err(format!(
        "stored: {stored:#?}\nupdate: {update:#?}\nwanted: {want:#?}\nand then stored: {left:#?}\n\
         answered: {got:#?}\nand then stored: {found:#?}"
    ))
}

async fn load(world: &World, key: &ItemKey) -> Option<Item> {
    let runs = &world.backend.runs;
    match key {
        ItemKey::Run(run) => {
            let found = runs.load(run).await.expect("loaded");
            found.map(|run| Item::Run(Box::new(run)))
        }
        ItemKey::Branch(run, step, ordinal) => {
            let branches = runs.load_branches(run, Some(step)).await.expect("loaded");
            let found = branches.into_iter().find(|b| b.ordinal == *ordinal);
            found.map(|branch| Item::Branch(Box::new(branch)))
        }
    }
}
