//! Queues as SQS queues: one for each stage and memory class, and beside it one for its dead letters.

mod batch;
mod dead;
mod urls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use pipeline::QueueName;
use pipeline::ports::{
    DeadLetter, DeadLetterId, Delivery, Depth, ErrorKind, Outbound, PortError, PortResult, Queue, Receipt,
};
use pipeline::time::Timestamp;

use self::batch::{Batches, Entry};
use self::dead::Letters;
use self::urls::Urls;
pub(crate) use self::urls::{dead_name, name};
use crate::error::{Failure, Fault};
use crate::store::Store;

/// The longest that SQS lets a receive wait.
pub(crate) const LONGEST_POLL: Duration = Duration::from_secs(20);
/// The longest that SQS delays a message when it is sent.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// The longest that SQS hides a message in all.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3600);
/// The most messages of one request.
pub(crate) const BATCH: usize = 10;

/// The queues.
pub(crate) struct Queues {
    store: Arc<Store>,
    urls: Arc<Urls>,
    letters: Letters,
    sends: Batches<Sends>,
    acks: Batches<Acks>,
}

impl Queues {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        let urls = Arc::new(Urls::new(Arc::clone(&store)));
        Self {
            letters: Letters::new(Arc::clone(&store), Arc::clone(&urls)),
            sends: Batches::new(Sends(Arc::clone(&store)), &store.host),
            acks: Batches::new(Acks(Arc::clone(&store)), &store.host),
            store,
            urls,
        }
    }

    /// Hides a delivered message for so long from now on.
    async fn hide(&self, receipt: &Receipt, visibility: Duration, action: &str) -> PortResult<()> {
        let hide = async {
            let url = self.urls.of(receipt.queue()).await?;
            let request = self.store.clients.sqs.change_message_visibility();
            request
                .queue_url(url)
                .receipt_handle(opened(receipt).0)
                .visibility_timeout(seconds(visibility, LONGEST_VISIBILITY))
                .send()
                .await?;
            Ok(())
        };
        hide.await.map_err(|fault| overtaken(fault, action))
    }
}

#[async_trait]
impl Queue for Queues {
    async fn send(&self, queue: &QueueName, messages: Vec<Outbound>) -> PortResult<Vec<PortResult<()>>> {
        let action = format!("send to queue {queue}");
        let url = self
            .urls
            .of(queue)
            .await
            .map_err(|fault| fault.explain(&action))?;
        let answers = messages
            .into_iter()
            .map(|message| self.sends.submit(&url, message));
        let answers = futures::future::join_all(answers).await;
        for answer in &answers {
            if let Err(fault) = answer {
                self.urls.forget_if_absent(queue, fault);
            }
        }
        Ok(answers
            .into_iter()
            .map(|answer| answer.map_err(|fault| fault.explain(&action)))
            .collect())
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Delivery>> {
        let action = format!("receive from queue {queue}");
        let receive = async {
            let url = self.urls.of(queue).await?;
            let request = self.store.clients.polls.receive_message().queue_url(url);
            let answer = request
                .max_number_of_messages(i32::try_from(max.clamp(1, BATCH)).unwrap_or(1))
                .visibility_timeout(seconds(visibility, LONGEST_VISIBILITY))
                .wait_time_seconds(seconds(wait, LONGEST_POLL))
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await?;
            Ok(answer.messages.unwrap_or_default())
        };
        match receive.await {
            Ok(messages) => Ok(messages
                .into_iter()
                .filter_map(|message| delivery(queue, message))
                .collect()),
            Err(fault) if self.urls.forget_if_absent(queue, &fault) => {
                // As a queue that is there and empty would: its loop must not become a hot one.
                self.store.host.clock.sleep(wait).await;
                Ok(Vec::new())
            }
            Err(fault) => Err(fault.explain(&action)),
        }
    }

    /// SQS tells only by giving.
    async fn ready(&self, _queue: &QueueName, _at_most: Duration) -> bool {
        true
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> PortResult<()> {
        self.hide(receipt, visibility, "keep a message hidden").await
    }

    async fn release(&self, receipt: Receipt, delay: Duration) -> PortResult<()> {
        self.hide(&receipt, delay, "give a message back").await
    }

    async fn ack(&self, receipt: Receipt) -> PortResult<()> {
        let action = "acknowledge a message";
        let url = self.urls.of(receipt.queue()).await;
        let url = match url {
            Ok(url) => url,
            Err(fault) if fault.failure().is_some_and(Failure::is_absent) => return Ok(()),
            Err(fault) => return Err(fault.explain(action)),
        };
        let answer = self.acks.submit(&url, opened(&receipt).0.to_owned()).await;
        match answer {
            Err(fault) if !self.urls.forget_if_absent(receipt.queue(), &fault) && !is_overtaken(&fault) => {
                Err(fault.explain(action))
            }
            // Gone already, with its queue perhaps.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn dead_letter(&self, receipt: Receipt, reason: &str) -> PortResult<()> {
        // First the letter, then the end of the message: who is interrupted between does it again.
        let (_, body) = opened(&receipt);
        self.letters
            .bury(receipt.queue(), body, reason)
            .await
            .map_err(|fault| fault.explain("bury a message"))?;
        self.ack(receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> PortResult<Depth> {
        let depth = async {
            let (live, dead) = (self.urls.of(queue), self.urls.of_dead(queue));
            let [visible, in_flight, delayed] = self.counts(&live.await?).await?;
            let dead: u64 = self.counts(&dead.await?).await?.iter().sum();
            Ok(Depth {
                visible,
                in_flight,
                delayed,
                dead,
                oldest: None,
            })
        };
        match depth.await {
            Err(fault) if self.urls.forget_if_absent(queue, &fault) => Ok(Depth::default()),
            answer => answer.map_err(|fault| fault.explain(&format!("count the messages of queue {queue}"))),
        }
    }

    async fn list_dead(&self, queue: &QueueName, max: usize) -> PortResult<Vec<DeadLetter>> {
        match self.letters.list(queue, max).await {
            Err(fault) if self.urls.forget_if_absent(queue, &fault) => Ok(Vec::new()),
            answer => {
                answer.map_err(|fault| fault.explain(&format!("list the dead letters of queue {queue}")))
            }
        }
    }

    async fn redrive(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let action = format!("redrive dead letters of queue {queue}");
        let mut redriven = 0;
        for letter in self
            .letters
            .find(queue, ids)
            .await
            .map_err(|f| f.explain(&action))?
        {
            let sent = self.send(queue, vec![Outbound::now(letter.body.clone())]).await?;
            sent.into_iter().collect::<PortResult<Vec<()>>>()?;
            self.letters
                .remove(queue, &letter)
                .await
                .map_err(|fault| fault.explain(&action))?;
            redriven += 1;
        }
        Ok(redriven)
    }

    async fn purge_dead(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        let action = format!("purge dead letters of queue {queue}");
        let mut purged = 0;
        for letter in self
            .letters
            .find(queue, ids)
            .await
            .map_err(|f| f.explain(&action))?
        {
            self.letters
                .remove(queue, &letter)
                .await
                .map_err(|fault| fault.explain(&action))?;
            purged += 1;
        }
        Ok(purged)
    }

    fn listing_hides_for(&self) -> Duration {
        dead::LISTING_HIDES_FOR
    }
}

impl Queues {
    /// Visible, in flight, delayed.
    async fn counts(&self, url: &str) -> Result<[u64; 3], Fault> {
        const NAMES: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.store.clients.sqs.get_queue_attributes().queue_url(url);
        let answer = request.set_attribute_names(Some(NAMES.to_vec())).send().await?;
        let counts = answer.attributes.unwrap_or_default();
        Ok(NAMES.map(|name| counts.get(&name).and_then(|n| n.parse().ok()).unwrap_or(0)))
    }
}

/// What SQS calls the receipt, and the message's text, which SQS wants again when the message is buried.
fn opened(receipt: &Receipt) -> (&str, &str) {
    let token = receipt.token();
    token.split_once('\n').unwrap_or((token, ""))
}

/// A message that was received.
fn delivery(queue: &QueueName, message: Message) -> Option<Delivery> {
    let body = message.body.unwrap_or_default();
    let token = format!("{}\n{body}", message.receipt_handle?);
    let attributes = message.attributes.unwrap_or_default();
    let number = |name| attributes.get(&name).and_then(|n: &String| n.parse::<u64>().ok());
    let receive_count = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    Some(Delivery {
        body,
        receipt: Receipt::new(queue.clone(), token),
        receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
        sent_at: number(MessageSystemAttributeName::SentTimestamp).map(Timestamp),
    })
}

/// Whole seconds, rounded up, as SQS counts them.
fn seconds(duration: Duration, at_most: Duration) -> i32 {
    let rounded = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(rounded.min(at_most.as_secs())).unwrap_or(i32::MAX)
}

/// True if the service says that the receipt has no power any more: the message is gone, or was delivered again.
fn is_overtaken(fault: &Fault) -> bool {
    fault.failure().is_some_and(|failure| {
        let (kind, _) = failure.kind_and_advice();
        // A receipt that is too old is told as a parameter that is wrong.
        kind == ErrorKind::LeaseLost || failure.code.ends_with("InvalidParameterValue")
    })
}

fn overtaken(fault: Fault, action: &str) -> PortError {
    let is_gone = fault.failure().is_some_and(Failure::is_absent);
    if is_overtaken(&fault) || is_gone {
        let message = format!("cannot {action}: it was delivered again since, or is gone");
        return PortError::new(ErrorKind::LeaseLost, message);
    }
    fault.explain(action)
}

/// Sending, ten at a time.
struct Sends(Arc<Store>);

#[async_trait]
impl Entry for Sends {
    type Request = Outbound;

    async fn send(&self, url: &str, batch: &[Outbound]) -> Result<Vec<Result<(), Failure>>, Fault> {
        let entries: Result<Vec<_>, _> = batch
            .iter()
            .enumerate()
            .map(|(at, message)| {
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(&message.body)
                    .delay_seconds(seconds(message.delay, LONGEST_DELAY))
                    .build()
            })
            .collect();
        let request = self.0.clients.sqs.send_message_batch().queue_url(url);
        let answer = request.set_entries(Some(entries?)).send().await?;
        Ok(batch::answers(batch.len(), &answer.failed))
    }
}

/// Acknowledging, ten at a time.
struct Acks(Arc<Store>);

#[async_trait]
impl Entry for Acks {
    type Request = String;

    async fn send(&self, url: &str, batch: &[String]) -> Result<Vec<Result<(), Failure>>, Fault> {
        let entries: Result<Vec<_>, _> = batch
            .iter()
            .enumerate()
            .map(|(at, token)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(token)
                    .build()
            })
            .collect();
        let request = self.0.clients.sqs.delete_message_batch().queue_url(url);
        let answer = request.set_entries(Some(entries?)).send().await?;
        Ok(batch::answers(batch.len(), &answer.failed))
    }
}
