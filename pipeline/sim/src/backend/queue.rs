//! Queues.

use std::time::Duration;

use async_trait::async_trait;
use pipeline::ports::{
    DeadLetter, DeadLetterId, Delivery, Depth, ErrorKind, Outbound, PortError, PortResult, Queue, Receipt,
};
use pipeline::{Envelope, QueueName};

use crate::fault::{Call, Fault};
use crate::world::{Link, Topic, done};

#[async_trait]
impl Queue for Link {
    async fn send(&self, queue: &QueueName, messages: Vec<Outbound>) -> PortResult<Vec<PortResult<()>>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let fault = self.draw(Call::Send);
        let queue = queue.clone();
        let about: Vec<String> = messages.iter().map(|message| brief(&message.body)).collect();
        let detail = format!("{queue} {}", about.join(", "));
        let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        let unlucky = (fault == Some(Fault::Partial)).then(|| self.world.seeded.below(count));
        let delay = self.long();
        let deed = move |stores: &mut crate::stores::Stores, now| {
            let mut answers = Vec::new();
            for (at, mut message) in (0u64..).zip(messages) {
                if unlucky == Some(at) {
                    let message = "this message was not taken";
                    answers.push(Err(PortError::new(ErrorKind::Unavailable, message)));
                    continue;
                }
                answers.push(Ok(()));
                match fault {
                    Some(Fault::Vanishes) => continue,
                    Some(Fault::Doubled) => stores.send(&queue, message.clone(), now),
                    Some(Fault::Delayed) => message.delay += delay,
                    _ => {}
                }
                stores.send(&queue, message, now);
            }
            Ok(answers)
        };
        self.call_with(Call::Send, detail, fault, done, deed).await
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Delivery>> {
        let simulation = &self.world.simulation;
        let give_up = simulation.now().saturating_add(wait);
        while max > 0 && self.wait_until_due(queue, give_up).await {
            let (queue, world) = (queue.clone(), self.world.clone());
            let tell = |deliveries: &Vec<Delivery>| {
                let shown: Vec<String> = deliveries
                    .iter()
                    .map(|delivery| format!("{} #{}", brief(&delivery.body), delivery.receive_count))
                    .collect();
                shown.join(", ")
            };
            let fault = self.draw(Call::Receive);
            // What upstream systems posted is theirs to send again, if it is lost.
            let vanishes = fault == Some(Fault::Vanishes) && queue.stage.as_str() != pipeline::intake::QUEUE;
            let deed = move |stores: &mut crate::stores::Stores, now| {
                let taken = stores.queues.take(&queue, max, visibility, now, &world.seeded);
                for delivery in taken.iter().filter(|_| vanishes) {
                    stores.queues.ack(&queue, delivery.receipt.token())?;
                }
                Ok(taken)
            };
            let taken = self
                .call_with(Call::Receive, String::new(), fault, tell, deed)
                .await?;
            // If it is empty, somebody else was faster.
            if !taken.is_empty() || simulation.now() >= give_up {
                return Ok(taken);
            }
        }
        Ok(Vec::new())
    }

    async fn ready(&self, queue: &QueueName, at_most: Duration) -> bool {
        if !self.world.can_tell {
            return true;
        }
        let give_up = self.world.simulation.now().saturating_add(at_most);
        self.wait_until_due(queue, give_up).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> PortResult<()> {
        let (queue, token, detail) = parts(receipt);
        self.call(Call::Extend, detail, done, move |stores, now| {
            stores.queues.extend(&queue, &token, now.plus(visibility))
        })
        .await
    }

    async fn release(&self, receipt: Receipt, delay: Duration) -> PortResult<()> {
        let (queue, token, detail) = parts(&receipt);
        let detail = format!("{detail} for {delay:?}");
        self.call(Call::Release, detail, done, move |stores, now| {
            stores.queues.release(&queue, &token, now.plus(delay))?;
            stores.woken_queues.push(queue);
            Ok(())
        })
        .await
    }

    async fn ack(&self, receipt: Receipt) -> PortResult<()> {
        let (queue, token, detail) = parts(&receipt);
        self.call(Call::Ack, detail, done, move |stores, _| {
            stores.queues.ack(&queue, &token)
        })
        .await
    }

    async fn dead_letter(&self, receipt: Receipt, reason: &str) -> PortResult<()> {
        let (queue, token, detail) = parts(&receipt);
        let reason = reason.to_owned();
        let detail = format!("{detail}: {reason}");
        self.call(Call::DeadLetter, detail, done, move |stores, now| {
            stores.queues.bury(&queue, &token, &reason, now)
        })
        .await
    }

    async fn depth(&self, queue: &QueueName) -> PortResult<Depth> {
        let (queue, detail) = (queue.clone(), queue.to_string());
        self.call(Call::Depth, detail, done, move |stores, now| {
            Ok(stores.queues.depth(&queue, now))
        })
        .await
    }

    async fn list_dead(&self, queue: &QueueName, max: usize) -> PortResult<Vec<DeadLetter>> {
        let (queue, detail) = (queue.clone(), format!("list-dead {queue}"));
        self.call(Call::Rare, detail, done, move |stores, _| {
            Ok(stores.queues.list_dead(&queue, max))
        })
        .await
    }

    async fn redrive(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let (queue, ids, detail) = (queue.clone(), ids.to_vec(), format!("redrive {queue}"));
        self.call(Call::Rare, detail, done, move |stores, now| {
            let letters = stores.queues.take_dead(&queue, &ids);
            let moved = letters.len() as u64;
            for letter in letters {
                stores.send(&queue, Outbound::now(letter.body), now);
            }
            Ok(moved)
        })
        .await
    }

    async fn purge_dead(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let (queue, ids, detail) = (queue.clone(), ids.to_vec(), format!("purge-dead {queue}"));
        self.call(Call::Rare, detail, done, move |stores, _| {
            Ok(stores.queues.take_dead(&queue, &ids).len() as u64)
        })
        .await
    }
}

impl Link {
    /// True as soon as a message of the queue is visible, false if there was none until `give_up`.
    async fn wait_until_due(&self, queue: &QueueName, give_up: Duration) -> bool {
        let world = &self.world;
        loop {
            let (due, now) = (world.stores().queues.next_due(queue), world.now());
            if due.is_some_and(|due| due <= now) {
                return true;
            }
            let left = give_up.saturating_sub(world.simulation.now());
            if left.is_zero() {
                return false;
            }
            let until_due = due.map_or(Duration::MAX, |due| due.since(now));
            world.wait(Topic::Queue(queue.clone()), left.min(until_due)).await;
        }
    }
}

fn parts(receipt: &Receipt) -> (QueueName, String, String) {
    let (queue, token) = (receipt.queue().clone(), receipt.token().to_owned());
    let detail = format!("{queue} {token}");
    (queue, token, detail)
}

/// A message in a few characters.
fn brief(body: &str) -> String {
    match Envelope::parse(body) {
        Ok(hint) => {
            let branch = hint
                .branch
                .map_or_else(String::new, |ordinal| format!("/{ordinal}"));
            format!("{}:{}{branch}", hint.run, hint.step)
        }
        Err(_) => body.chars().take(60).collect(),
    }
}
