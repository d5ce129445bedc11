//! What [`Queue`] promises.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join, join_all};

use super::World;
use super::dead_letters::bury;
use crate::id::StageName;
use crate::item::{MemoryClass, QueueName};
use crate::ports::{Delivery, Depth, ErrorKind, Outbound, Queue, Receipt};

pub(super) const NONE: Duration = Duration::ZERO;
const SHORT: Duration = Duration::from_secs(2);
pub(super) const LONG: Duration = Duration::from_secs(60);
/// Long enough for what is due to come, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn send(world: &World, body: &str) {
    send_to(world, &world.queues[0], vec![Outbound::now(body)]).await;
}

async fn send_to(world: &World, queue: &QueueName, messages: Vec<Outbound>) {
    let count = messages.len();
    let sent = world.backend.queue.send(queue, messages).await.expect("sent");
    assert_eq!(sent.len(), count, "one answer for each message");
    for one in sent {
        one.expect("each was sent");
    }
}

pub(super) async fn receive(world: &World, visibility: Duration, wait: Duration) -> Vec<Delivery> {
    let [queue, _] = &world.queues;
    let received = world.backend.queue.receive(queue, 10, visibility, wait).await;
    received.expect("received")
}

/// The one message that is there.
pub(super) async fn receive_one(world: &World, visibility: Duration) -> Delivery {
    let mut received = receive(world, visibility, PATIENCE).await;
    assert_eq!(received.len(), 1, "{received:?}");
    received.pop().expect("there is one")
}

pub(super) async fn depth(world: &World) -> Depth {
    let [queue, _] = &world.queues;
    world.backend.queue.depth(queue).await.expect("counted")
}

pub(super) fn copy(receipt: &Receipt) -> Receipt {
    Receipt::new(receipt.queue().clone(), receipt.token())
}

/// Sent, received, acknowledged, gone; acknowledged again, still a success.
pub async fn messages_are_received_and_acknowledged(world: &World) {
    let before = world.host.clock.now();
    send(world, "hello").await;
    let delivery = receive_one(world, LONG).await;
    assert_eq!(delivery.body, "hello");
    assert_eq!(delivery.receive_count, 1);
    if let Some(sent_at) = delivery.sent_at {
        let off = sent_at.since(before).max(before.since(sent_at));
        assert!(off < PATIENCE, "sent {off:?} from when it was sent");
    }
    let again = copy(&delivery.receipt);
    world
        .backend
        .queue
        .ack(delivery.receipt)
        .await
        .expect("acknowledged");
    assert!(receive(world, LONG, NONE).await.is_empty());
    world
        .backend
        .queue
        .ack(again)
        .await
        .expect("acknowledging what is gone is success");
    world
        .eventually(Depth::default(), async || depth(world).await)
        .await;
}

/// Not a byte of a body changes.
pub async fn bodies_come_back_as_they_were(world: &World) {
    let bodies = [
        r#"{"version":"1","quote":"\"","backslash":"\\"}"#.to_owned(),
        "line\nline\ttab".to_owned(),
        "Käse, 味噌, 🧀".to_owned(),
        " spaces around ".to_owned(),
        "x".repeat(crate::envelope::MAX_MESSAGE_BYTES),
    ];
    for body in &bodies {
        send(world, body).await;
        let delivery = receive_one(world, LONG).await;
        assert_eq!(&delivery.body, body);
        world
            .backend
            .queue
            .ack(delivery.receipt)
            .await
            .expect("acknowledged");
    }
}

/// Hidden at once, redelivered when the visibility is over.
pub async fn a_delivery_hides_its_message_until_its_visibility_ends(world: &World) {
    send(world, "again").await;
    let first = receive_one(world, SHORT).await;
    assert!(receive(world, SHORT, NONE).await.is_empty(), "it is hidden");
    let (second, waited) = world.timed(receive_one(world, LONG)).await;
    assert_eq!((second.body.as_str(), second.receive_count), ("again", 2));
    assert!(waited >= Duration::from_millis(500), "it came after {waited:?}");
    assert_eq!(first.body, second.body);
    world
        .backend
        .queue
        .ack(second.receipt)
        .await
        .expect("acknowledged");
}

/// A heartbeat keeps what its visibility alone would not.
pub async fn extending_keeps_a_message_hidden(world: &World) {
    send(world, "mine").await;
    let delivery = receive_one(world, SHORT).await;
    world
        .backend
        .queue
        .extend(&delivery.receipt, LONG)
        .await
        .expect("extended");
    let others = receive(world, LONG, Duration::from_secs(4)).await;
    assert!(others.is_empty(), "{others:?}");
    world
        .backend
        .queue
        .ack(delivery.receipt)
        .await
        .expect("acknowledged");
}

/// A release without a delay is a redelivery at once; one with a delay waits.
pub async fn a_released_message_comes_back_after_its_delay(world: &World) {
    send(world, "later").await;
    let first = receive_one(world, LONG).await;
    world
        .backend
        .queue
        .release(first.receipt, NONE)
        .await
        .expect("released");
    let second = receive_one(world, LONG).await;
    assert_eq!(second.receive_count, 2);
    world
        .backend
        .queue
        .release(second.receipt, SHORT)
        .await
        .expect("released");
    assert!(
        receive(world, LONG, NONE).await.is_empty(),
        "the delay is not over"
    );
    let third = receive_one(world, LONG).await;
    assert_eq!((third.body.as_str(), third.receive_count), ("later", 3));
}

/// Hidden at first, there in the end.
pub async fn a_message_sent_with_a_delay_waits_for_it(world: &World) {
    let delayed = Outbound {
        body: "delayed".into(),
        delay: SHORT,
    };
    send_to(world, &world.queues[0], vec![delayed]).await;
    assert!(
        receive(world, LONG, NONE).await.is_empty(),
        "the delay is not over"
    );
    assert_eq!(receive_one(world, LONG).await.body, "delayed");
}

/// Who was overtaken can neither keep, nor give back, nor bury, nor remove the message.
pub async fn a_stale_receipt_has_no_power(world: &World) {
    if !world.refuses_stale_receipts {
        return;
    }
    let queue = &world.backend.queue;
    send(world, "overtaken").await;
    let stale = receive_one(world, Duration::from_secs(1)).await.receipt;
    let holder = receive_one(world, LONG).await;
    let refused = [
        queue.extend(&stale, LONG).await,
        queue.release(copy(&stale), NONE).await,
        queue.dead_letter(copy(&stale), "not mine").await,
    ];
    for (action, result) in ["extend", "release", "dead_letter"].iter().zip(refused) {
        let error = result.expect_err(action);
        assert_eq!(error.kind(), ErrorKind::LeaseLost, "{action}: {error}");
    }
    queue.ack(stale).await.expect("a success that removes nothing");
    let now = depth(world).await;
    assert_eq!((now.in_flight, now.visible, now.dead), (1, 0, 0));
    queue
        .extend(&holder.receipt, LONG)
        .await
        .expect("the holder keeps its right");
    let gone = copy(&holder.receipt);
    queue.ack(holder.receipt).await.expect("acknowledged");
    let error = queue.extend(&gone, LONG).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::LeaseLost, "{error}");
}

/// More than one service's batch, and no message lost or doubled.
pub async fn every_message_of_a_large_batch_arrives_once(world: &World) {
    let bodies: BTreeSet<String> = (0..25).map(|i| format!("message {i}")).collect();
    send_to(
        world,
        &world.queues[0],
        bodies.iter().map(Outbound::now).collect(),
    )
    .await;
    let mut seen = Vec::new();
    while seen.len() < bodies.len() {
        let received = receive(world, LONG, PATIENCE).await;
        assert!(
            (1..=10).contains(&received.len()),
            "{} of at most 10",
            received.len()
        );
        for delivery in received {
            seen.push(delivery.body);
            world
                .backend
                .queue
                .ack(delivery.receipt)
                .await
                .expect("acknowledged");
        }
    }
    assert_eq!(seen.len(), bodies.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), bodies);
    let nothing = world.backend.queue.send(&world.queues[0], Vec::new()).await;
    assert!(nothing.expect("an empty batch is no error").is_empty());
}

/// While visibilities last, no message is with two receivers.
pub async fn concurrent_receivers_share_the_messages(world: &World) {
    let messages = (0..40).map(|i| Outbound::now(format!("message {i}"))).collect();
    send_to(world, &world.queues[0], messages).await;
    let receivers = (0..8).map(|_| async {
        let mut bodies = Vec::new();
        loop {
            let received = receive(world, LONG, Duration::from_secs(1)).await;
            if received.is_empty() {
                return bodies;
            }
            bodies.extend(received.into_iter().map(|d| d.body));
        }
    });
    let bodies: Vec<String> = join_all(receivers).await.into_iter().flatten().collect();
    assert_eq!(bodies.len(), 40);
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), 40);
}

/// Visible, in flight, delayed, dead.
pub async fn depth_counts_each_message_once(world: &World) {
    let (queue, [name, _]) = (&world.backend.queue, &world.queues);
    bury(world, "dead", "for the count").await;
    send(world, "in flight").await;
    let held = receive_one(world, LONG).await;
    let delayed = Outbound {
        body: "delayed".into(),
        delay: LONG,
    };
    send_to(
        world,
        name,
        vec![Outbound::now("visible"), delayed, Outbound::now("visible")],
    )
    .await;
    let counts = async || {
        let d = queue.depth(name).await.expect("counted");
        (d.visible, d.in_flight, d.delayed, d.dead)
    };
    world.eventually((2, 1, 1, 1), counts).await;
    world.pass(1).await;
    let oldest = depth(world).await.oldest;
    assert!(
        oldest.is_none_or(|age| age >= Duration::from_secs(1) && age < LONG),
        "the oldest visible message waits for {oldest:?}"
    );
    queue.release(held.receipt, LONG).await.expect("released");
    // Whether what was given back with a delay counts as delayed or as in flight still is the backend's.
    let counts = async || {
        let (visible, in_flight, delayed, dead) = counts().await;
        (visible, in_flight + delayed, dead)
    };
    world.eventually((2, 2, 1), counts).await;
}

/// A receiver that waits hears of a message at once, not at its next look.
pub async fn a_long_poll_is_woken_by_a_send(world: &World) {
    let (delivery, took) = world
        .timed(async {
            let sending = async {
                world.pass(1).await;
                send(world, "wake up").await;
            };
            join(receive_one(world, LONG), sending).await.0
        })
        .await;
    assert_eq!(delivery.body, "wake up");
    assert!(
        took < Duration::from_secs(3),
        "received {took:?} after the wait began"
    );
}

/// So does it of a message that was given back.
pub async fn a_long_poll_is_woken_by_a_release(world: &World) {
    send(world, "not for me").await;
    let held = receive_one(world, LONG).await;
    let releasing = async {
        world.pass(1).await;
        world
            .backend
            .queue
            .release(held.receipt, NONE)
            .await
            .expect("released");
    };
    let ((delivery, ()), took) = world.timed(join(receive_one(world, LONG), releasing)).await;
    assert_eq!(delivery.receive_count, 2);
    assert!(
        took < Duration::from_secs(3),
        "received {took:?} after the wait began"
    );
}

/// Not before, and not much after.
pub async fn an_empty_queue_answers_after_the_wait(world: &World) {
    let (received, took) = world.timed(receive(world, LONG, SHORT)).await;
    assert!(received.is_empty());
    assert!(
        took >= Duration::from_millis(1_900) && took < PATIENCE,
        "{took:?}"
    );
}

/// A message that may be there is never denied. A backend that cannot tell says true always.
pub async fn ready_says_true_once_there_is_a_message(world: &World) {
    let (queue, [name, _]) = (&world.backend.queue, &world.queues);
    let can_tell = !queue.ready(name, NONE).await;
    let sending = async {
        world.pass(1).await;
        send(world, "ready").await;
    };
    let ((ready, took), ()) = join(world.timed(queue.ready(name, PATIENCE)), sending).await;
    assert!(ready);
    assert!(
        took < Duration::from_secs(3),
        "ready {took:?} after the wait began"
    );
    assert!(queue.ready(name, NONE).await, "looking takes nothing");
    receive_one(world, LONG).await;
    if can_tell {
        assert!(!queue.ready(name, Duration::from_secs(1)).await, "it is hidden");
    }
}

/// What is sent to one is not received from another.
pub async fn queues_are_separate(world: &World) {
    send_to(world, &world.queues[1], vec![Outbound::now("elsewhere")]).await;
    assert!(receive(world, LONG, NONE).await.is_empty());
    let there = world
        .backend
        .queue
        .receive(&world.queues[1], 10, LONG, PATIENCE)
        .await;
    assert_eq!(there.expect("received").len(), 1);
}

/// A queue that nobody has heard of is no error.
pub async fn an_unknown_queue_is_empty(world: &World) {
    let queue: &dyn Queue = &*world.backend.queue;
    let unknown = QueueName {
        stage: StageName::new(world.unique("nowhere")).expect("made of valid parts"),
        class: MemoryClass::Large,
    };
    let received = queue.receive(&unknown, 10, LONG, NONE).await.expect("no error");
    assert!(received.is_empty());
    assert_eq!(queue.depth(&unknown).await.expect("no error"), Depth::default());
    assert!(queue.list_dead(&unknown, 10).await.expect("no error").is_empty());
}
