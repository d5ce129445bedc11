//! Queues: at-least-once, unordered, with visibility, delay and a dead-letter queue each.

use std::time::Duration;

use async_trait::async_trait;

use crate::item::QueueName;
use crate::ports::PortResult;
use crate::time::Timestamp;

/// Messages to workers. Deliveries repeat and come in any order.
///
/// A delivered message is hidden from other receivers until its visibility ends; who wants it longer extends. It is
/// gone only after `ack` or `dead_letter`. After `MAX_RECEIVES` receives without either the backend moves it to
/// the dead-letter queue with the reason `receive_limit`. A queue that nobody has sent to is empty.
///
/// What was sent is stored durably when the answer comes: its sender then acknowledges what made it send. What the
/// other calls did to a delivery may be lost with the power; it is then delivered again.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages to one queue. The answer has one result per message, in order: a batch may fail partly.
    async fn send(&self, queue: &QueueName, messages: Vec<Outbound>) -> PortResult<Vec<PortResult<()>>>;

    /// Up to `max` messages, hidden from others for `visibility`. Waits up to `wait` for the first one; an empty
    /// answer is no error.
    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Delivery>>;

    /// True as soon as there may be a visible message, false if there was none for `at_most`. Takes nothing, so that
    /// pools which share their permits can wait without holding one. A backend that cannot tell without receiving
    /// says true at once; its [`Queue::receive`] then waits.
    async fn ready(&self, queue: &QueueName, at_most: Duration) -> bool;

    /// Hides a delivered message for `visibility` from now on. `LeaseLost` if it was delivered again since, or is gone.
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> PortResult<()>;

    /// Gives a message back, to be delivered again after `delay`. `LeaseLost` as in [`Queue::extend`].
    async fn release(&self, receipt: Receipt, delay: Duration) -> PortResult<()>;

    /// Removes a message for good. Removing one that is gone already is success.
    async fn ack(&self, receipt: Receipt) -> PortResult<()>;

    /// Moves a message to its queue's dead letters, with the reason. `LeaseLost` as in [`Queue::extend`].
    async fn dead_letter(&self, receipt: Receipt, reason: &str) -> PortResult<()>;

    /// How many messages there are, approximately where the backend can say no better.
    async fn depth(&self, queue: &QueueName) -> PortResult<Depth>;

    /// Up to `max` dead letters of a queue. On some backends listing hides them for a while: see
    /// [`Queue::listing_hides_for`].
    async fn list_dead(&self, queue: &QueueName, max: usize) -> PortResult<Vec<DeadLetter>>;

    /// Moves these dead letters back to their queue as new messages; how many were moved. Unknown ids are skipped.
    async fn redrive(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64>;

    /// Removes these dead letters for good; how many were removed. Unknown ids are skipped.
    async fn purge_dead(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64>;

    /// How long [`Queue::list_dead`] hides what it lists; zero where it does not.
    fn listing_hides_for(&self) -> Duration {
        Duration::ZERO
    }
}

impl dyn Queue {
    /// After how many receives a message becomes a dead letter by itself. Only alarms read the receive count; the
    /// protocol has budgets of its own.
    pub const MAX_RECEIVES: u32 = 1_000;
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Its text.
    pub body: String,
    /// How long it stays hidden at first.
    pub delay: Duration,
}

impl Outbound {
    /// A message that can be received at once.
    pub fn now(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            delay: Duration::ZERO,
        }
    }
}

/// A message that was received.
#[derive(Debug)]
pub struct Delivery {
    /// Its text, unread: one bad message never spoils its batch.
    pub body: String,
    /// The right to extend, release, acknowledge or bury it.
    pub receipt: Receipt,
    /// How many times it was received, this one included. For alarms only.
    pub receive_count: u32,
    /// When it was sent first, if the backend knows.
    pub sent_at: Option<Timestamp>,
}

/// The right over one delivery. It is spent once, so it cannot be copied.
#[derive(Debug)]
pub struct Receipt {
    queue: QueueName,
    token: String,
}

impl Receipt {
    /// Made by backends only: `token` is whatever they need to find the delivery again.
    pub fn new(queue: QueueName, token: impl Into<String>) -> Self {
        Self {
            queue,
            token: token.into(),
        }
    }

    /// Which queue the delivery came from.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// What the backend put in.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Delivered and neither acknowledged nor given back; on some backends also what was given back with a delay.
    pub in_flight: u64,
    /// Sent with a delay that is not over. Some backends count those here, too, that were given back with one.
    pub delayed: u64,
    /// Dead letters of this queue.
    pub dead: u64,
    /// How long the oldest visible message has been waiting, if the backend knows.
    pub oldest: Option<Duration>,
}

/// Names a dead letter within its queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub String);

/// A message that no run could absorb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name.
    pub id: DeadLetterId,
    /// Its text.
    pub body: String,
    /// Why it is here; `receive_limit` if the backend moved it by itself.
    pub reason: String,
    /// Since when, if the backend knows.
    pub dead_since: Option<Timestamp>,
    /// How many times it had been received.
    pub receive_count: u32,
}
