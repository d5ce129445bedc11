//! What [`RunStore::apply`](crate::ports::RunStore::apply) promises to many at once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use super::runs::create_run;
use super::updates::{apply, branch_claim, claimant, fanned_out, work};
use super::{World, step};
use crate::change::Change;
use crate::guard::Guard;
use crate::item::{Item, MAX_BRANCHES, Slot, StepState};
use crate::protocol::{claim, join_branch};
use crate::time::Timestamp;
use crate::update::{Applied, GuardedUpdate};

/// I1's foundation: however many try, one gets the lease, and all others are told who has it.
pub async fn one_of_a_thousand_claims_wins(world: &World) {
    let run = world.run_item();
    create_run(world, &run).await;
    let now = world.host.clock.now();
    let claims: Vec<GuardedUpdate> = (0..1_000)
        .map(|i| {
            claim(
                &work(&run, "first", None),
                None,
                &claimant(i),
                now,
                Duration::from_secs(600),
            )
        })
        .collect();
    let answers = join_all(claims.iter().map(|c| apply(world, c))).await;
    let won = one_winner(&answers);
    let work = won.slot(&Slot::Step(step("first"))).expect("there");
    assert_eq!((work.attempt, work.spent.crash), (1, 1));
    let stored = world
        .backend
        .runs
        .load(&run.id)
        .await
        .expect("loaded")
        .map(|r| Item::Run(Box::new(r)));
    assert_eq!(stored.as_ref(), Some(&won));
}

/// Checks that one update was done and that all others were refused with what it left; gives that.
fn one_winner(answers: &[Applied]) -> Item {
    let winners: Vec<&Item> = answers
        .iter()
        .filter_map(|answer| match answer {
            Applied::Done(item) => Some(item),
            Applied::Refused(_) | Applied::AliasMoved(_) => None,
        })
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("{} winners", winners.len());
    };
    for answer in answers {
        match answer {
            Applied::Done(_) => {}
            Applied::Refused(Some(item)) => assert_eq!(item, *winner),
            other => panic!("neither won nor lost: {other:?}"),
        }
    }
    (*winner).clone()
}

/// The same where there is nothing to lock yet.
pub async fn one_of_a_hundred_births_wins(world: &World) {
    let run = fanned_out(world, 1).await;
    let claims: Vec<_> = (0..100).map(|i| branch_claim(world, &run, 0, i)).collect();
    let answers = join_all(claims.iter().map(|c| apply(world, c))).await;
    let won = one_winner(&answers);
    assert_eq!(won.slot(&Slot::Branch).map(|work| work.attempt), Some(1));
}

/// Every branch of the widest fan-out joins, some of them twice: all are there, and one sees that it is the last.
pub async fn racing_joins_lose_nothing(world: &World) {
    let run = fanned_out(world, MAX_BRANCHES).await;
    let twice = (0..MAX_BRANCHES).chain(0..32);
    let joins: Vec<GuardedUpdate> = twice
        .map(|ordinal| {
            let state = if ordinal % 10 == 0 {
                StepState::Failed
            } else {
                StepState::Committed
            };
            join_branch(&work(&run, "fan", Some(ordinal)), ordinal, state)
        })
        .collect();
    let answers = join_all(joins.iter().map(|j| apply(world, j))).await;
    let mut counts = BTreeSet::new();
    for answer in answers {
        let Applied::Done(Item::Run(run)) = answer else {
            panic!("a join was refused: {answer:?}");
        };
        counts.insert(run.done_count(&step("fan")));
    }
    assert_eq!(
        counts,
        (1..=MAX_BRANCHES).collect(),
        "each join shows at one moment of its own"
    );
    let stored = world
        .backend
        .runs
        .load(&run.id)
        .await
        .expect("loaded")
        .expect("there");
    assert_eq!(stored.done_count(&step("fan")), MAX_BRANCHES);
    assert_eq!(stored.lost_count(&step("fan")), MAX_BRANCHES.div_ceil(10));
}

/// A compare-and-swap: of those who saw the same, one goes on.
pub async fn racing_sweepers_move_the_next_check_once(world: &World) {
    let run = world.run_item();
    create_run(world, &run).await;
    let seen = run.next_check.expect("an open run has one");
    let looks: Vec<GuardedUpdate> = (1..=50)
        .map(|i| {
            let guards = vec![Guard::RunOpen, Guard::NextCheckIs(seen)];
            let changes = vec![
                Change::NextCheck(Timestamp(seen.0 + i)),
                Change::Resent(step("first")),
            ];
            GuardedUpdate::run(&run.id, guards, changes)
        })
        .collect();
    let answers = join_all(looks.iter().map(|l| apply(world, l))).await;
    let won = one_winner(&answers);
    assert_eq!(
        won.slot(&Slot::Step(step("first"))).map(|work| work.resent),
        Some(1)
    );
}
