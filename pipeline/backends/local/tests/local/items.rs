//! Items that two handles change in turns. Each keeps what it stored last, and that is soon behind.

use pipeline::change::Change;
use pipeline::guard::Guard;
use pipeline::update::{Applied, GuardedUpdate};
use pipeline::{Item, RunItem, RunStatus, Timestamp};

use crate::host;

#[test]
fn what_a_handle_keeps_of_an_item_decides_nothing() {
    let folder = host::folder();
    host::block_on(async {
        let [ours, theirs] = [(); 2].map(|()| host::open(folder.path()).backend.runs);
        let run = host::world(&host::open(folder.path())).run_item();
        ours.create(&Item::Run(Box::new(run.clone())))
            .await
            .expect("created");
        let update =
            |guard: Guard, change| GuardedUpdate::run(&run.id, vec![Guard::RunOpen, guard], vec![change]);
        let any = || Guard::DeadlineOver(Timestamp(u64::MAX));
        let look_at = |at| Change::NextCheck(Timestamp(at));
        let done = |applied| match applied {
            Applied::Done(Item::Run(run)) => *run,
            other => panic!("{other:?}"),
        };
        let times = |run: &RunItem| (run.deadline, run.next_check);
        let (deadline, at) = (Timestamp, |at| Some(Timestamp(at)));

        let first = update(any(), look_at(1));
        done(ours.apply(&first).await.expect("applied"));
        let second = update(Guard::NextCheckIs(Timestamp(1)), look_at(2));
        done(theirs.apply(&second).await.expect("applied"));

        // By what we keep the guard holds, and the change would undo theirs.
        let third = update(any(), Change::Deadline(Timestamp(30)));
        let stored = done(ours.apply(&third).await.expect("applied"));
        assert_eq!(times(&stored), (deadline(30), at(2)));

        // By what they keep it does not hold, but it does.
        let fourth = update(Guard::DeadlineOver(Timestamp(30)), look_at(4));
        let stored = done(theirs.apply(&fourth).await.expect("applied"));
        assert_eq!(times(&stored), (deadline(30), at(4)));

        // By what we keep it holds, but it does not: the refusal shows what is stored.
        let fifth = update(Guard::NextCheckIs(Timestamp(2)), look_at(5));
        match ours.apply(&fifth).await.expect("answered") {
            Applied::Refused(Some(Item::Run(stored))) => assert_eq!(times(&stored), (deadline(30), at(4))),
            other => panic!("{other:?}"),
        }
        let end = Change::End {
            status: RunStatus::Cancelled,
            reason: None,
            now: Timestamp(6),
        };
        done(theirs.apply(&update(any(), end)).await.expect("applied"));
        match ours.apply(&update(any(), look_at(7))).await.expect("answered") {
            Applied::Refused(Some(Item::Run(stored))) => assert_eq!(stored.status, RunStatus::Cancelled),
            other => panic!("{other:?}"),
        }
    });
}
