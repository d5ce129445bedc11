//! Queues in one table.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::item::QueueName;
use pipeline::ports::{
    DeadLetter, DeadLetterId, Delivery, Depth, ErrorKind, Outbound, PortError, PortResult, Queue, Receipt,
};
use pipeline::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::error::Fault;
use crate::messages::{Message, Token, due};
use crate::wake::Topic;
use crate::writer::{OnDisk, Writes};
use crate::{Store, integer, number};

/// How often a receiver that waits looks by itself, should a wake-up get lost.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The queues. A queue is there as soon as something is sent to it, and an unknown one is empty.
pub(crate) struct Queues(pub(crate) Arc<Store>);

#[async_trait]
impl Queue for Queues {
    async fn send(&self, queue: &QueueName, messages: Vec<Outbound>) -> PortResult<Vec<PortResult<()>>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let (queue, now) = (queue.clone(), self.0.host.clock.now());
        let writes = if messages.len() == 1 {
            Writes::One
        } else {
            Writes::Several
        };
        let sent = messages.len();
        self.0
            .writer
            .run_with(OnDisk::BeforeAnswered, "send messages", writes, move |tx| {
                let mut insert = tx.prepare_cached(
                    "INSERT INTO message (queue, body, sent_at, visible_at) VALUES (?1, ?2, ?3, ?4)",
                )?;
                let name = queue.to_string();
                for Outbound { body, delay } in messages {
                    insert.execute(params![name, body, integer(now.0), integer(now.plus(delay).0)])?;
                }
                drop(insert);
                tx.wake(Topic::queue(&queue));
                Ok(())
            })
            .await?;
        // One transaction: all or none.
        Ok((0..sent).map(|_| Ok(())).collect())
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Delivery>> {
        let clock = &self.0.host.clock;
        let give_up = clock.monotonic().saturating_add(wait);
        while max > 0 && self.wait_until_due(queue, give_up).await? {
            let taken = self.take(queue, max, visibility).await?;
            // If it is empty, somebody else was faster.
            if !taken.is_empty() || clock.monotonic() >= give_up {
                return Ok(taken);
            }
        }
        Ok(Vec::new())
    }

    async fn ready(&self, queue: &QueueName, at_most: Duration) -> bool {
        let give_up = self.0.host.clock.monotonic().saturating_add(at_most);
        // A failure is for the receive that follows to tell.
        self.wait_until_due(queue, give_up).await.unwrap_or(true)
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> PortResult<()> {
        let until = self.0.host.clock.now().plus(visibility);
        self.hold(
            OnDisk::Later,
            "extend a delivery",
            receipt,
            move |tx, token| {
                tx.prepare_cached(
                    "UPDATE message SET visible_at = ?3 WHERE id = ?1 AND receives = ?2 AND state = 1",
                )?
                .execute(params![token.id, token.receives, integer(until.0)])
            },
            false,
        )
        .await
    }

    async fn release(&self, receipt: Receipt, delay: Duration) -> PortResult<()> {
        let at = self.0.host.clock.now().plus(delay);
        self.hold(
            OnDisk::Later,
            "release a delivery",
            &receipt,
            move |tx, token| {
                tx.prepare_cached(
                    "UPDATE message SET visible_at = ?3, state = 0 WHERE id = ?1 AND receives = ?2 AND state = 1",
                )?
                .execute(params![token.id, token.receives, integer(at.0)])
            },
            true,
        )
        .await
    }

    /// A receipt that is stale, because the message was delivered again since, removes nothing and is a success
    /// nevertheless: the later delivery finds the work settled, and acknowledges it.
    async fn ack(&self, receipt: Receipt) -> PortResult<()> {
        let token = Token::of(&receipt)?;
        self.0
            .writer
            .run_with(OnDisk::Later, "acknowledge a delivery", Writes::One, move |tx| {
                tx.prepare_cached("DELETE FROM message WHERE id = ?1 AND receives = ?2 AND state = 1")?
                    .execute(params![token.id, token.receives])?;
                Ok(())
            })
            .await
    }

    async fn dead_letter(&self, receipt: Receipt, reason: &str) -> PortResult<()> {
        let (reason, now) = (reason.to_owned(), self.0.host.clock.now());
        self.hold(
            OnDisk::BeforeSeen,
            "bury a message",
            &receipt,
            move |tx, token| {
                tx.prepare_cached(
                    "UPDATE message SET state = 2, reason = ?3, dead_since = ?4
                     WHERE id = ?1 AND receives = ?2 AND state = 1",
                )?
                .execute(params![token.id, token.receives, reason, integer(now.0)])
            },
            false,
        )
        .await
    }

    async fn depth(&self, queue: &QueueName) -> PortResult<Depth> {
        let now = self.0.host.clock.now();
        self.0.readers.read("count messages", |db| {
            let mut alive = db.prepare_cached(
                "SELECT count(*) FILTER (WHERE visible_at <= ?2),
                        count(*) FILTER (WHERE visible_at > ?2 AND state = 1),
                        count(*) FILTER (WHERE visible_at > ?2 AND state = 0),
                        min(visible_at)
                 FROM message WHERE queue = ?1 AND state < 2",
            )?;
            let mut dead =
                db.prepare_cached("SELECT count(*) FROM message WHERE queue = ?1 AND state = 2")?;
            let name = queue.to_string();
            let dead: i64 = dead.query_row([&name], |row| row.get(0))?;
            let depth = alive.query_row(params![name, integer(now.0)], |row| {
                let oldest: Option<i64> = row.get(3)?;
                let oldest = oldest.map(|at| Timestamp(number(at)));
                Ok(Depth {
                    visible: number(row.get(0)?),
                    in_flight: number(row.get(1)?),
                    delayed: number(row.get(2)?),
                    dead: number(dead),
                    oldest: oldest.filter(|at| *at <= now).map(|at| now.since(at)),
                })
            })?;
            Ok(depth)
        })
    }

    async fn list_dead(&self, queue: &QueueName, max: usize) -> PortResult<Vec<DeadLetter>> {
        self.0.readers.read("list dead letters", |db| {
            let mut select = db.prepare_cached(
                "SELECT id, body, reason, dead_since, receives FROM message
                 WHERE queue = ?1 AND state = 2 ORDER BY id LIMIT ?2",
            )?;
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            let rows = select.query_map(params![queue.to_string(), max], |row| {
                Ok(DeadLetter {
                    id: DeadLetterId(row.get::<_, i64>(0)?.to_string()),
                    body: row.get(1)?,
                    reason: row.get(2)?,
                    dead_since: row.get::<_, Option<i64>>(3)?.map(|at| Timestamp(number(at))),
                    receive_count: u32::try_from(row.get::<_, i64>(4)?).unwrap_or(u32::MAX),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    async fn redrive(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let (queue, ids, now) = (queue.clone(), known(ids), self.0.host.clock.now());
        self.0
            .writer
            .run("redrive dead letters", Writes::Several, move |tx| {
                let name = queue.to_string();
                let mut moved = 0;
                for id in ids {
                    moved += tx
                        .prepare_cached(
                            "INSERT INTO message (queue, body, sent_at, visible_at)
                             SELECT queue, body, ?3, ?3 FROM message WHERE id = ?1 AND queue = ?2 AND state = 2",
                        )?
                        .execute(params![id, name, integer(now.0)])?;
                    tx.prepare_cached("DELETE FROM message WHERE id = ?1 AND queue = ?2 AND state = 2")?
                        .execute(params![id, name])?;
                }
                tx.wake(Topic::queue(&queue));
                Ok(moved as u64)
            })
            .await
    }

    async fn purge_dead(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let (name, ids) = (queue.to_string(), known(ids));
        self.0
            .writer
            .run("purge dead letters", Writes::Several, move |tx| {
                let mut delete =
                    tx.prepare_cached("DELETE FROM message WHERE id = ?1 AND queue = ?2 AND state = 2")?;
                let mut purged = 0;
                for id in ids {
                    purged += delete.execute(params![id, name])?;
                }
                Ok(purged as u64)
            })
            .await
    }
}

/// Those ids that can be ours at all.
fn known(ids: &[DeadLetterId]) -> Vec<i64> {
    ids.iter().filter_map(|id| id.0.parse().ok()).collect()
}

impl Queues {
    /// True as soon as a message of the queue is visible, false if there was none until `give_up` by the clock that
    /// never jumps. Who waits sleeps until it is woken or the next message becomes visible by itself.
    async fn wait_until_due(&self, queue: &QueueName, give_up: Duration) -> PortResult<bool> {
        let clock = &self.0.host.clock;
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= clock.now());
        if is_due(self.next_due(queue)?) {
            return Ok(true);
        }
        if clock.monotonic() >= give_up {
            return Ok(false);
        }
        let subscription = self.0.wake.subscribe(Topic::queue(queue));
        loop {
            // Before looking: what is sent after the look ends it.
            let notified = subscription.notified();
            let due = self.next_due(queue)?;
            if is_due(due) {
                return Ok(true);
            }
            let left = give_up.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return Ok(false);
            }
            let until_due = due.map_or(Duration::MAX, |due| due.since(clock.now()));
            tokio::select! {
                biased;
                () = notified => {}
                () = clock.sleep(left.min(until_due).min(LOOK_EVERY)) => {}
            }
        }
    }

    /// When the first message of the queue is, was or becomes visible.
    fn next_due(&self, queue: &QueueName) -> PortResult<Option<Timestamp>> {
        self.0.readers.read("look for messages", |db| {
            let mut select = db.prepare_cached(
                "SELECT visible_at FROM message WHERE queue = ?1 AND state < 2 ORDER BY visible_at LIMIT 1",
            )?;
            let due = select
                .query_row([queue.to_string()], |row| row.get::<_, i64>(0))
                .optional()?;
            Ok(due.map(|at| Timestamp(number(at))))
        })
    }

    /// Takes what is visible. A message that was received as often as it may be is buried instead.
    async fn take(&self, queue: &QueueName, max: usize, visibility: Duration) -> PortResult<Vec<Delivery>> {
        let (queue, now) = (queue.clone(), self.0.host.clock.now());
        let until = now.plus(visibility);
        let writes = if max == 1 { Writes::One } else { Writes::Several };
        self.0
            .writer
            .run_with(OnDisk::Later, "receive messages", writes, move |tx| {
                // Not one UPDATE … RETURNING: SQLite makes a table for its rows, which costs more than all of this.
                let due = due(tx, &queue, now, max)?;
                let mut hide = tx.prepare_cached(
                    "UPDATE message SET state = 1, visible_at = ?2, receives = ?3 WHERE id = ?1",
                )?;
                let mut deliveries = Vec::with_capacity(due.len());
                for message in due {
                    let Message { id, receives, .. } = message;
                    if receives >= <dyn Queue>::MAX_RECEIVES {
                        tx.prepare_cached(
                            "UPDATE message SET state = 2, reason = 'receive_limit', dead_since = ?2 WHERE id = ?1",
                        )?
                        .execute(params![id, integer(now.0)])?;
                        continue;
                    }
                    let receive_count = receives.saturating_add(1);
                    hide.execute(params![id, integer(until.0), receive_count])?;
                    deliveries.push(Delivery {
                        body: message.body,
                        receipt: Receipt::new(queue.clone(), format!("{id}-{receive_count}")),
                        receive_count,
                        sent_at: Some(message.sent_at),
                    });
                }
                Ok(deliveries)
            })
            .await
    }

    /// Does something to the delivery, if it is still the last one of its message; `LeaseLost` if not.
    async fn hold(
        &self,
        on_disk: OnDisk,
        action: &'static str,
        receipt: &Receipt,
        update: impl FnOnce(&rusqlite::Connection, Token) -> rusqlite::Result<usize> + Send + 'static,
        wake: bool,
    ) -> PortResult<()> {
        let token = Token::of(receipt)?;
        let queue = receipt.queue().clone();
        self.0
            .writer
            .run_with(on_disk, action, Writes::One, move |tx| {
                if update(tx, token)? == 0 {
                    return Err(Fault::Port(PortError::new(
                        ErrorKind::LeaseLost,
                        format!("cannot {action}: it was delivered again since, or is gone"),
                    )));
                }
                if wake {
                    tx.wake(Topic::queue(&queue));
                }
                Ok(())
            })
            .await
    }
}
