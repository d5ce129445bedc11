//! What [`Queue`](crate::ports::Queue) promises of messages that no run could absorb.

use super::World;
use super::queue::{LONG, NONE, copy, depth, receive, receive_one, send};
use crate::ports::DeadLetterId;

pub(super) async fn bury(world: &World, body: &str, reason: &str) {
    send(world, body).await;
    let delivery = receive_one(world, LONG).await;
    let buried = world.backend.queue.dead_letter(delivery.receipt, reason).await;
    buried.expect("buried");
}

/// Q1: every dead letter carries a reason.
pub async fn a_dead_letter_keeps_its_body_and_reason(world: &World) {
    bury(world, "poison", "message is not a JSON object: „x“").await;
    assert!(
        receive(world, LONG, NONE).await.is_empty(),
        "it is delivered no more"
    );
    world.eventually(1, async || depth(world).await.dead).await;
    let letters = world
        .backend
        .queue
        .list_dead(&world.queues[0], 10)
        .await
        .expect("listed");
    let [letter] = letters.as_slice() else {
        panic!("one letter is wanted: {letters:?}");
    };
    assert_eq!(letter.body, "poison");
    assert_eq!(letter.reason, "message is not a JSON object: „x“");
    assert!(letter.receive_count >= 1);
    let others = world
        .backend
        .queue
        .list_dead(&world.queues[1], 10)
        .await
        .expect("listed");
    assert!(others.is_empty(), "each queue has dead letters of its own");
}

/// With a new count of receives, and out of reach of the receipts of its first life.
pub async fn a_redriven_letter_is_a_new_message(world: &World) {
    let (queue, [name, _]) = (&world.backend.queue, &world.queues);
    send(world, "second life").await;
    let delivery = receive_one(world, LONG).await;
    let old = copy(&delivery.receipt);
    queue
        .dead_letter(delivery.receipt, "too early")
        .await
        .expect("buried");
    let letters = queue.list_dead(name, 10).await.expect("listed");
    let mut ids: Vec<DeadLetterId> = letters.into_iter().map(|l| l.id).collect();
    ids.push(DeadLetterId("no such letter".into()));
    assert_eq!(queue.redrive(name, &ids).await.expect("redriven"), 1);
    let delivery = receive_one(world, LONG).await;
    assert_eq!(
        (delivery.body.as_str(), delivery.receive_count),
        ("second life", 1)
    );
    world.eventually(0, async || depth(world).await.dead).await;
    if world.refuses_stale_receipts {
        queue.ack(old).await.expect("a success that removes nothing");
        assert_eq!(depth(world).await.in_flight, 1);
    }
    assert_eq!(queue.redrive(name, &ids).await.expect("nothing is left"), 0);
}

/// Those that are named, and no others.
pub async fn purged_letters_are_gone(world: &World) {
    let (queue, [name, _]) = (&world.backend.queue, &world.queues);
    bury(world, "one", "first").await;
    bury(world, "two", "second").await;
    let letters = queue.list_dead(name, 10).await.expect("listed");
    assert_eq!(letters.len(), 2, "{letters:?}");
    let first = letters
        .iter()
        .find(|l| l.reason == "first")
        .expect("listed")
        .id
        .clone();
    let unknown = DeadLetterId("no such letter".into());
    assert_eq!(
        queue.purge_dead(name, &[first, unknown]).await.expect("purged"),
        1
    );
    world.eventually(1, async || depth(world).await.dead).await;
    assert!(receive(world, LONG, NONE).await.is_empty());
}
