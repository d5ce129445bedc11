//! Queues: messages, and what is dead of them.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::QueueName;
use pipeline::Timestamp;
use pipeline::ports::{
    DeadLetter, DeadLetterId, Delivery, Depth, ErrorKind, Outbound, PortResult, Queue, Receipt,
};

use super::error;
use crate::random::Seeded;

/// How long a delivered message can be hidden, however often that is extended: SQS has that limit.
const MOST_HIDDEN: Duration = Duration::from_secs(12 * 3600);

/// A message that is neither acknowledged nor dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its text.
    pub body: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From when it can be received.
    pub visible_at: Timestamp,
    /// How many times it was received.
    pub receives: u32,
    /// When it was received last.
    pub received_at: Timestamp,
    /// True while a receiver has it.
    pub is_held: bool,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its text.
    pub body: String,
    /// Why it is here.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// How many times it had been received.
    pub receives: u32,
}

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    messages: BTreeMap<QueueName, BTreeMap<u64, Message>>,
    dead: BTreeMap<QueueName, BTreeMap<u64, Letter>>,
    last_id: u64,
}

impl Queues {
    /// Adds a message.
    pub fn send(&mut self, queue: &QueueName, message: Outbound, now: Timestamp) {
        let visible_at = now.plus(message.delay);
        self.last_id += 1;
        let message = Message {
            body: message.body,
            sent_at: now,
            visible_at,
            receives: 0,
            received_at: now,
            is_held: false,
        };
        let messages = self.messages.entry(queue.clone()).or_default();
        messages.insert(self.last_id, message);
    }

    /// When the first message of the queue is, was or becomes visible.
    pub fn next_due(&self, queue: &QueueName) -> Option<Timestamp> {
        let messages = self.messages.get(queue)?;
        messages.values().map(|message| message.visible_at).min()
    }

    /// Takes up to `max` messages that are visible, in an order that `order` draws.
    pub fn take(
        &mut self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        now: Timestamp,
        order: &Seeded,
    ) -> Vec<Delivery> {
        let Some(messages) = self.messages.get_mut(queue) else {
            return Vec::new();
        };
        let is_visible = |message: &Message| message.visible_at <= now;
        let mut visible: Vec<u64> = messages
            .iter()
            .filter(|(_, message)| is_visible(message))
            .map(|(id, _)| *id)
            .collect();
        let mut deliveries = Vec::new();
        while deliveries.len() < max && !visible.is_empty() {
            let at = order.below(u64::try_from(visible.len()).unwrap_or(u64::MAX));
            let id = visible.swap_remove(usize::try_from(at).unwrap_or(0));
            let Some(message) = messages.get_mut(&id) else {
                continue;
            };
            if message.receives >= <dyn Queue>::MAX_RECEIVES {
                let letter = Letter {
                    body: message.body.clone(),
                    reason: "receive_limit".to_owned(),
                    since: now,
                    receives: message.receives,
                };
                messages.remove(&id);
                self.dead.entry(queue.clone()).or_default().insert(id, letter);
                continue;
            }
            message.receives += 1;
            message.received_at = now;
            message.is_held = true;
            message.visible_at = now.plus(visibility);
            deliveries.push(Delivery {
                body: message.body.clone(),
                receipt: Receipt::new(queue.clone(), format!("{id}-{}", message.receives)),
                receive_count: message.receives,
                sent_at: Some(message.sent_at),
            });
        }
        deliveries
    }

    /// The message of the delivery, if that is its last one.
    fn held(&mut self, queue: &QueueName, token: &str) -> PortResult<Option<(u64, &mut Message)>> {
        let parsed = token
            .split_once('-')
            .and_then(|(id, receives)| Some((id.parse().ok()?, receives.parse::<u32>().ok()?)));
        let (id, receives) = parsed.ok_or_else(|| error(ErrorKind::Invalid, "this is no receipt"))?;
        let messages = self.messages.get_mut(queue);
        let message = messages.and_then(|messages| messages.get_mut(&id));
        Ok(message
            .filter(|message| message.is_held && message.receives == receives)
            .map(|message| (id, message)))
    }

    fn still_held(&mut self, queue: &QueueName, token: &str) -> PortResult<(u64, &mut Message)> {
        let lost = || error(ErrorKind::LeaseLost, "it was delivered again since, or is gone");
        self.held(queue, token)?.ok_or_else(lost)
    }

    /// Hides a delivered message until then.
    pub fn extend(&mut self, queue: &QueueName, token: &str, until: Timestamp) -> PortResult<()> {
        let (_, message) = self.still_held(queue, token)?;
        if until > message.received_at.plus(MOST_HIDDEN) {
            return Err(error(
                ErrorKind::Invalid,
                "it can be hidden for twelve hours in all",
            ));
        }
        message.visible_at = until;
        Ok(())
    }

    /// Gives a delivered message back, to be received from then on.
    pub fn release(&mut self, queue: &QueueName, token: &str, at: Timestamp) -> PortResult<()> {
        let (_, message) = self.still_held(queue, token)?;
        message.visible_at = at;
        message.is_held = false;
        Ok(())
    }

    /// Removes a delivered message for good; a stale receipt removes nothing.
    pub fn ack(&mut self, queue: &QueueName, token: &str) -> PortResult<()> {
        if let Some((id, _)) = self.held(queue, token)? {
            let messages = self.messages.get_mut(queue);
            messages.and_then(|messages| messages.remove(&id));
        }
        Ok(())
    }

    /// Moves a delivered message to the dead letters.
    pub fn bury(&mut self, queue: &QueueName, token: &str, reason: &str, now: Timestamp) -> PortResult<()> {
        let (id, message) = self.still_held(queue, token)?;
        let letter = Letter {
            body: message.body.clone(),
            reason: reason.to_owned(),
            since: now,
            receives: message.receives,
        };
        let messages = self.messages.get_mut(queue);
        messages.and_then(|messages| messages.remove(&id));
        self.dead.entry(queue.clone()).or_default().insert(id, letter);
        Ok(())
    }

    /// How many messages there are.
    pub fn depth(&self, queue: &QueueName, now: Timestamp) -> Depth {
        let mut depth = Depth {
            dead: self.dead.get(queue).map_or(0, |dead| dead.len() as u64),
            ..Depth::default()
        };
        for message in self.messages.get(queue).into_iter().flat_map(BTreeMap::values) {
            match (message.visible_at <= now, message.is_held) {
                (true, _) => {
                    depth.visible += 1;
                    depth.oldest = depth.oldest.max(Some(now.since(message.visible_at)));
                }
                (false, true) => depth.in_flight += 1,
                (false, false) => depth.delayed += 1,
            }
        }
        depth
    }

    /// The dead letters of a queue.
    pub fn list_dead(&self, queue: &QueueName, max: usize) -> Vec<DeadLetter> {
        let letters = self.dead.get(queue).into_iter().flatten().take(max);
        letters
            .map(|(id, letter)| DeadLetter {
                id: DeadLetterId(id.to_string()),
                body: letter.body.clone(),
                reason: letter.reason.clone(),
                dead_since: Some(letter.since),
                receive_count: letter.receives,
            })
            .collect()
    }

    /// Adds a dead letter that is found elsewhere.
    pub fn add_dead(&mut self, queue: &QueueName, letter: Letter) {
        self.last_id += 1;
        let letters = self.dead.entry(queue.clone()).or_default();
        letters.insert(self.last_id, letter);
    }

    /// Takes dead letters away; those that there were.
    pub fn take_dead(&mut self, queue: &QueueName, ids: &[DeadLetterId]) -> Vec<Letter> {
        let Some(dead) = self.dead.get_mut(queue) else {
            return Vec::new();
        };
        let ids = ids.iter().filter_map(|id| id.0.parse::<u64>().ok());
        ids.filter_map(|id| dead.remove(&id)).collect()
    }

    /// Loses messages that were sent, held or not: queues are purged, and made anew.
    pub fn lose(&mut self, is_lost: impl Fn(&QueueName, &Message) -> bool) {
        for (queue, messages) in &mut self.messages {
            messages.retain(|_, message| !is_lost(queue, message));
        }
    }

    /// Every message of every queue.
    pub fn all(&self) -> impl Iterator<Item = (&QueueName, &Message)> {
        let queues = self.messages.iter();
        queues.flat_map(|(queue, messages)| messages.values().map(move |message| (queue, message)))
    }

    /// Every dead letter of every queue.
    pub fn all_dead(&self) -> impl Iterator<Item = (&QueueName, &Letter)> {
        let queues = self.dead.iter();
        queues.flat_map(|(queue, letters)| letters.values().map(move |letter| (queue, letter)))
    }
}
