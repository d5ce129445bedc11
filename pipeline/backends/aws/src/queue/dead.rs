//! Dead letters: messages of a queue beside the queue, with the reason as an attribute.
//!
//! SQS can look into a queue only by receiving from it, which hides what was seen for a while. Letters that were listed
//! are remembered with their receipts, so that the same process can name them meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use pipeline::QueueName;
use pipeline::ports::{DeadLetter, DeadLetterId};
use pipeline::time::Timestamp;

use super::BATCH;
use super::urls::Urls;
use crate::error::Fault;
use crate::store::Store;

/// How long a letter that was listed is hidden from the next list.
pub(super) const LISTING_HIDES_FOR: Duration = Duration::from_secs(30);

/// The attribute with the reason.
const REASON: &str = "reason";
/// The reason of a letter that SQS moved by itself.
const RECEIVE_LIMIT: &str = "receive_limit";
/// How many receives in a row may find nothing before a queue counts as seen.
const EMPTY_RECEIVES: usize = 1;

/// A letter, and the right to remove it.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) body: String,
    id: DeadLetterId,
    token: String,
}

/// The dead letters of all queues.
pub(super) struct Letters {
    store: Arc<Store>,
    urls: Arc<Urls>,
    /// Those that were listed and are there still, as far as we know.
    listed: Mutex<HashMap<(QueueName, String), Letter>>,
}

impl Letters {
    pub(super) fn new(store: Arc<Store>, urls: Arc<Urls>) -> Self {
        Self {
            store,
            urls,
            listed: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(QueueName, String), Letter>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message among the dead letters.
    pub(super) async fn bury(&self, queue: &QueueName, body: &str, reason: &str) -> Result<(), Fault> {
        let url = self.urls.of_dead(queue).await?;
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(allowed(reason))
            .build()?;
        let request = self.store.clients.sqs.send_message().queue_url(url);
        request
            .message_body(body)
            .message_attributes(REASON, reason)
            .send()
            .await?;
        Ok(())
    }

    /// Up to `max` letters that nobody listed a moment ago.
    pub(super) async fn list(&self, queue: &QueueName, max: usize) -> Result<Vec<DeadLetter>, Fault> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        let mut empty = 0;
        while letters.len() < max && empty < EMPTY_RECEIVES {
            let received = self.receive(queue, max - letters.len()).await?;
            empty = if received.is_empty() { empty + 1 } else { 0 };
            letters.extend(received);
        }
        Ok(letters)
    }

    async fn receive(&self, queue: &QueueName, max: usize) -> Result<Vec<DeadLetter>, Fault> {
        let url = self.urls.of_dead(queue).await?;
        let request = self.store.clients.polls.receive_message().queue_url(url);
        let answer = request
            .max_number_of_messages(i32::try_from(max.clamp(1, BATCH)).unwrap_or(1))
            .visibility_timeout(super::seconds(LISTING_HIDES_FOR, LISTING_HIDES_FOR))
            // The shortest poll that asks all of the queue's servers.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names(REASON)
            .send()
            .await?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages
            .filter_map(|message| self.letter(queue, message))
            .collect())
    }

    fn letter(&self, queue: &QueueName, message: Message) -> Option<DeadLetter> {
        let (id, token) = (message.message_id?, message.receipt_handle?);
        let body = message.body.unwrap_or_default();
        let letter = Letter {
            body: body.clone(),
            id: DeadLetterId(id.clone()),
            token,
        };
        self.lock().insert((queue.clone(), id.clone()), letter);
        let attributes = message.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|n: &String| n.parse::<u64>().ok());
        let received = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
        let reason = message.message_attributes.and_then(|mut of| of.remove(REASON));
        Some(DeadLetter {
            id: DeadLetterId(id),
            body,
            reason: reason
                .and_then(|reason| reason.string_value)
                .unwrap_or_else(|| RECEIVE_LIMIT.to_owned()),
            dead_since: number(MessageSystemAttributeName::SentTimestamp).map(Timestamp),
            receive_count: u32::try_from(received).unwrap_or(u32::MAX),
        })
    }

    /// Those of these letters that are there: remembered, or looked for.
    pub(super) async fn find(&self, queue: &QueueName, ids: &[DeadLetterId]) -> Result<Vec<Letter>, Fault> {
        let known = |id: &DeadLetterId| self.lock().get(&(queue.clone(), id.0.clone())).cloned();
        let mut empty = 0;
        while ids.iter().any(|id| known(id).is_none()) && empty < EMPTY_RECEIVES {
            let received = match self.receive(queue, BATCH).await {
                Err(fault) if self.urls.forget_if_absent(queue, &fault) => break,
                received => received?,
            };
            empty = if received.is_empty() { empty + 1 } else { 0 };
        }
        Ok(ids.iter().filter_map(known).collect())
    }

    /// Removes a letter for good.
    pub(super) async fn remove(&self, queue: &QueueName, letter: &Letter) -> Result<(), Fault> {
        let url = self.urls.of_dead(queue).await?;
        let request = self.store.clients.sqs.delete_message().queue_url(url);
        request.receipt_handle(&letter.token).send().await?;
        self.lock().remove(&(queue.clone(), letter.id.0.clone()));
        Ok(())
    }
}

/// The reason with only those characters that SQS takes, and never none.
fn allowed(reason: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    match reason.is_empty() {
        true => "no reason was given".to_owned(),
        false => reason
            .chars()
            .map(|c| if is_allowed(c) { c } else { '�' })
            .collect(),
    }
}
