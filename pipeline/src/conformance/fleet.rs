//! What [`Fleet`](crate::ports::Fleet) promises.

use std::time::Duration;

use super::World;
use crate::id::{RunId, StageName, WorkerId};
use crate::ports::{Pause, Presence};
use crate::time::Timestamp;

fn presence(world: &World, expires_in: Duration) -> Presence {
    let now = world.host.clock.now();
    Presence {
        worker: WorkerId::new(world.unique("worker")).expect("made of valid parts"),
        queues: vec!["train".into(), "train-large".into()],
        version: "0.1.0".into(),
        since: now,
        expires_at: now.plus(expires_in),
    }
}

async fn find(world: &World, worker: &WorkerId, now: Timestamp) -> Option<Presence> {
    let workers = world.backend.fleet.workers(now).await.expect("listed");
    workers.into_iter().find(|p| p.worker == *worker)
}

/// And later, if it says so again.
pub async fn a_worker_is_there_until_it_expires(world: &World) {
    let mut presence = presence(world, Duration::from_secs(60));
    world.backend.fleet.announce(&presence).await.expect("announced");
    assert_eq!(
        find(world, &presence.worker, presence.since).await,
        Some(presence.clone())
    );
    let at_the_end = presence.expires_at;
    assert_eq!(find(world, &presence.worker, at_the_end).await, None);
    presence.expires_at = at_the_end.plus(Duration::from_secs(60));
    world
        .backend
        .fleet
        .announce(&presence)
        .await
        .expect("announced again");
    assert_eq!(find(world, &presence.worker, at_the_end).await, Some(presence));
}

/// At once; leaving twice is no error.
pub async fn a_worker_that_left_is_gone(world: &World) {
    let (one, other) = (
        presence(world, Duration::from_secs(60)),
        presence(world, Duration::from_secs(60)),
    );
    for presence in [&one, &other] {
        world.backend.fleet.announce(presence).await.expect("announced");
    }
    for _ in 0..2 {
        world.backend.fleet.leave(&one.worker).await.expect("left");
    }
    assert_eq!(find(world, &one.worker, one.since).await, None);
    assert_eq!(find(world, &other.worker, other.since).await, Some(other));
}

/// A later pause replaces an earlier one.
pub async fn a_pause_lasts_until_it_is_ended(world: &World) {
    let fleet = &world.backend.fleet;
    let stage = StageName::new(world.unique("stage")).expect("made of valid parts");
    assert!(!fleet.unpause(&stage).await.expect("answered"), "there was none");
    for reason in ["broken upstream", "still broken"] {
        let pause = Pause {
            stage: stage.clone(),
            since: world.host.clock.now(),
            reason: reason.into(),
        };
        fleet.pause(&pause).await.expect("paused");
        let pauses = fleet.pauses().await.expect("listed");
        let ours: Vec<&Pause> = pauses.iter().filter(|p| p.stage == stage).collect();
        assert_eq!(ours, [&pause]);
    }
    assert!(fleet.unpause(&stage).await.expect("answered"));
    let pauses = fleet.pauses().await.expect("listed");
    assert!(pauses.iter().all(|p| p.stage != stage));
    assert!(
        !fleet.unpause(&stage).await.expect("answered"),
        "it was ended before"
    );
}

/// By run and step, oldest first, whoever wrote them.
pub async fn stored_logs_are_read_by_run_and_step(world: &World) {
    let fleet = &world.backend.fleet;
    let (run, other) = (world.run_id(), world.run_id());
    let line = |run: &RunId, step: &str, at: u32| {
        format!(
            r#"{{"timestamp":"2026-11-25T00:00:0{at}Z","message":"Käse","run.id":"{run}","step":"{step}"}}"#
        )
    };
    let worker = |name: &str| WorkerId::new(world.unique(name)).expect("made of valid parts");
    let store = async |worker: &WorkerId, run: &RunId, lines: &[String]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let now = world.host.clock.now();
        fleet.store_logs(worker, run, &text, now).await.expect("stored");
    };
    let (one, two) = (worker("one"), worker("two"));
    store(&one, &run, &[line(&run, "first", 1), line(&run, "first", 4)]).await;
    store(&two, &run, &[line(&run, "last", 3)]).await;
    store(&one, &run, &[line(&run, "last", 5)]).await;
    store(&two, &other, &[line(&other, "first", 2)]).await;
    let read = async |step: Option<&str>, max| {
        let step = step.map(super::step);
        fleet.read_logs(&run, step.as_ref(), max).await.expect("read")
    };
    let [l1, l3, l4, l5] =
        [("first", 1), ("last", 3), ("first", 4), ("last", 5)].map(|(s, at)| line(&run, s, at));
    assert_eq!(read(None, 10).await, [l1.clone(), l3, l4.clone(), l5.clone()]);
    assert_eq!(read(Some("first"), 10).await, [l1, l4]);
    assert_eq!(read(None, 1).await, [l5]);
}

/// Of a run that nobody wrote about.
pub async fn no_logs_are_no_error(world: &World) {
    let lines = world.backend.fleet.read_logs(&world.run_id(), None, 10).await;
    assert_eq!(lines.expect("answered"), Vec::<String>::new());
}
