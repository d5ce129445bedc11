//! What [`Fleet`](crate::ports::Fleet) promises.

use std::time::Duration;

use super::World;
use crate::id::{StageName, WorkerId};
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

/// Of a run that nobody wrote about.
pub async fn no_logs_are_no_error(world: &World) {
    let lines = world.backend.fleet.read_logs(&world.run_id(), None, 10).await;
    assert_eq!(lines.expect("answered"), Vec::<String>::new());
}
