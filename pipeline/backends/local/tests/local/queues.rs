//! What the queues promise beyond their suite.

use std::time::Duration;

use pipeline::ports::{Outbound, Queue, Receipt};

use crate::host;

/// The thousand and first receive finds it among the dead letters.
#[test]
fn a_message_received_too_often_becomes_a_dead_letter() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        let (queue, name) = (&local.backend.queue, &world.queues[0]);
        queue
            .send(name, vec![Outbound::now("poison")])
            .await
            .expect("sent");
        for count in 1..=<dyn Queue>::MAX_RECEIVES {
            let received = queue
                .receive(name, 1, Duration::ZERO, Duration::from_secs(1))
                .await;
            let received = received.expect("received");
            assert_eq!(
                received.iter().map(|d| d.receive_count).collect::<Vec<_>>(),
                [count]
            );
        }
        let received = queue.receive(name, 1, Duration::ZERO, Duration::ZERO).await;
        assert!(received.expect("received").is_empty());
        let letters = queue.list_dead(name, 10).await.expect("listed");
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].reason, "receive_limit");
        assert_eq!(letters[0].receive_count, <dyn Queue>::MAX_RECEIVES);
    });
}

/// A text from elsewhere speaks for no message.
#[test]
fn a_forged_receipt_is_an_error() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        for token in ["", "1", "a-b", "1-1-1", "99999999999999999999-1"] {
            let receipt = Receipt::new(world.queues[0].clone(), token);
            let error = local.backend.queue.ack(receipt).await.expect_err(token);
            assert_eq!(error.kind(), pipeline::ports::ErrorKind::Invalid);
        }
    });
}

/// The id of a message that is gone is not given again: an old receipt must not speak for a new message.
#[test]
fn ids_are_used_once() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        let (queue, name) = (&local.backend.queue, &world.queues[0]);
        let mut tokens = std::collections::BTreeSet::new();
        for _ in 0..10 {
            queue.send(name, vec![Outbound::now("x")]).await.expect("sent");
            let minute = Duration::from_secs(60);
            let mut received = queue.receive(name, 1, minute, minute).await.expect("received");
            let delivery = received.pop().expect("one");
            assert!(tokens.insert(delivery.receipt.token().to_owned()));
            queue.ack(delivery.receipt).await.expect("acknowledged");
        }
    });
}
