//! The table, the bucket and the queues: whether they are there, and as `producer setup` makes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeySchemaElement, TableStatus};
use aws_sdk_sqs::types::QueueAttributeName;
use futures::stream::StreamExt as _;
use pipeline::QueueName;
use pipeline::diagnosis::Finding;
use pipeline::ports::ErrorKind;
use serde::Deserialize;

use super::{kind, said, within};
use crate::error::Fault;
use crate::queue::{dead_name, name};
use crate::setup::{self, INDEXES, TABLE_KEYS};
use crate::store::Store;
use crate::table::document::{EXPIRES, SHARD};

/// How many queues are looked at at a time.
const AT_A_TIME: usize = 32;

const MAKE_IT: &str = "run `producer setup`, or deploy the stack that makes it";
const SET_IT: &str =
    "run `producer setup`, or deploy the stack that made it: both set it right and keep what is in it";

/// A finding for what could not be looked at: `action` is the permission that looking needs.
fn unseen(check: &'static str, of: &str, fault: Option<&Fault>, action: &str) -> Finding {
    match fault {
        None => Finding::warning(check, "no answer in time", "try again").of(of),
        Some(fault) if kind(fault) == Some(ErrorKind::NotFound) => {
            Finding::failed(check, "is not there", MAKE_IT).of(of)
        }
        // Only `producer setup` needs to look at it so.
        Some(fault) if kind(fault) == Some(ErrorKind::Denied) => {
            Finding::skipped(check, format!("cannot be looked at without {action}")).of(of)
        }
        Some(fault) => Finding::warning(check, said(fault), "try again").of(of),
    }
}

/// The table: keys, indexes, and that it forgets what expired.
pub(super) async fn table(store: &Store, is_reached: bool) -> Vec<Finding> {
    const CHECK: &str = "table";
    let of = store.table.as_str();
    if !is_reached {
        return vec![Finding::skipped(CHECK, "DynamoDB does not answer").of(of)];
    }
    let describe = store.clients.dynamodb.describe_table().table_name(of).send();
    let answer = match within(&store.host, describe)
        .await
        .map(|a| a.map_err(Fault::from))
    {
        Some(Ok(answer)) => answer,
        Some(Err(fault)) => return vec![unseen(CHECK, of, Some(&fault), "dynamodb:DescribeTable")],
        None => return vec![unseen(CHECK, of, None, "")],
    };
    let table = answer
        .table
        .unwrap_or_else(|| aws_sdk_dynamodb::types::TableDescription::builder().build());
    let another = "this is the table of something else: name the fleet otherwise (--backend aws:NAME)";
    if !has_keys(table.key_schema(), &TABLE_KEYS) {
        let told = format!("its keys are not {}", TABLE_KEYS.join(" and "));
        return vec![Finding::failed(CHECK, told, another).of(of)];
    }
    let mut found = Vec::new();
    for (index, sort) in INDEXES {
        let there = table
            .global_secondary_indexes()
            .iter()
            .find(|one| one.index_name() == Some(index));
        if there.is_none_or(|one| !has_keys(one.key_schema(), &[SHARD, sort])) {
            let told = format!("the index `{index}` by {SHARD} and {sort} is missing");
            let advice =
                "add it as deploy/foundation.yaml has it, or move the table away and run `producer setup`";
            found.push(Finding::failed(CHECK, told, advice).of(of));
        }
    }
    if !matches!(
        table.table_status(),
        Some(TableStatus::Active | TableStatus::Updating)
    ) {
        let status = table.table_status().map_or("unknown", TableStatus::as_str);
        let told = format!("it is not ready: its status is {status}");
        found.push(Finding::failed(CHECK, told, "wait until it is ACTIVE").of(of));
    }
    found.extend(expiry(store).await);
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "is as `producer setup` makes it").of(of));
    }
    found
}

/// What is wrong with how the table forgets.
async fn expiry(store: &Store) -> Option<Finding> {
    let of = store.table.as_str();
    let asked = store
        .clients
        .dynamodb
        .describe_time_to_live()
        .table_name(of)
        .send();
    match within(&store.host, asked).await.map(|a| a.map_err(Fault::from)) {
        Some(Ok(answer)) => {
            let told = answer
                .time_to_live_description
                .and_then(|to_live| to_live.attribute_name);
            let is_set = told.as_deref() == Some(EXPIRES);
            (!is_set).then(|| {
                let told = format!("does not forget what expired: time to live by `{EXPIRES}` is off");
                Finding::warning("table", told, SET_IT).of(of)
            })
        }
        Some(Err(fault)) => Some(unseen("table", of, Some(&fault), "dynamodb:DescribeTimeToLive")),
        None => Some(unseen("table", of, None, "")),
    }
}

fn has_keys(schema: &[KeySchemaElement], names: &[&str]) -> bool {
    schema
        .iter()
        .map(KeySchemaElement::attribute_name)
        .eq(names.iter().copied())
}

/// The bucket: ours, closed to the public, and tidied of uploads that were given up.
pub(super) async fn bucket(store: &Store, is_reached: bool) -> Vec<Finding> {
    const CHECK: &str = "bucket";
    let (s3, of, owner) = (&store.clients.s3, store.bucket.as_str(), &store.clients.account);
    if owner.is_empty() {
        return vec![Finding::skipped(
            CHECK,
            "the account is not known, whose bucket it must be",
        )];
    }
    if !is_reached {
        return vec![Finding::skipped(CHECK, "S3 does not answer").of(of)];
    }
    let head = s3.head_bucket().bucket(of).expected_bucket_owner(owner).send();
    match within(&store.host, head).await.map(|a| a.map_err(Fault::from)) {
        Some(Ok(_)) => {}
        Some(Err(fault)) if kind(&fault) == Some(ErrorKind::Denied) => {
            let told = format!("belongs to another account than {owner}, or s3:ListBucket on it is missing");
            let advice =
                "name another bucket (--backend aws:NAME/BUCKET), or allow s3:ListBucket on this one";
            return vec![Finding::failed(CHECK, told, advice).of(of)];
        }
        Some(Err(fault)) => return vec![unseen(CHECK, of, Some(&fault), "s3:ListBucket")],
        None => return vec![unseen(CHECK, of, None, "")],
    }
    let public = s3
        .get_public_access_block()
        .bucket(of)
        .expected_bucket_owner(owner)
        .send();
    let rules = s3
        .get_bucket_lifecycle_configuration()
        .bucket(of)
        .expected_bucket_owner(owner)
        .send();
    let (public, rules) = futures::join!(within(&store.host, public), within(&store.host, rules));
    let mut found = Vec::new();
    match public.map(|a| a.map_err(Fault::from)) {
        Some(Ok(answer)) => {
            let blocks = answer.public_access_block_configuration.is_some_and(|of| {
                [
                    of.block_public_acls,
                    of.ignore_public_acls,
                    of.block_public_policy,
                    of.restrict_public_buckets,
                ]
                .into_iter()
                .all(|is_set| is_set == Some(true))
            });
            if !blocks {
                found.push(Finding::failed(CHECK, "may be opened to the public", SET_IT).of(of));
            }
        }
        // S3 says so where nothing was ever set.
        Some(Err(fault)) if code(&fault) == "NoSuchPublicAccessBlockConfiguration" => {
            found.push(Finding::failed(CHECK, "may be opened to the public", SET_IT).of(of));
        }
        Some(Err(fault)) => found.push(unseen(CHECK, of, Some(&fault), "s3:GetBucketPublicAccessBlock")),
        None => found.push(unseen(CHECK, of, None, "")),
    }
    let keeps = "keeps what is left of uploads that were given up, and that is paid for";
    match rules.map(|a| a.map_err(Fault::from)) {
        Some(Ok(answer)) => {
            let tidies = answer
                .rules()
                .iter()
                .any(|rule| rule.abort_incomplete_multipart_upload().is_some());
            if !tidies {
                found.push(Finding::warning(CHECK, keeps, SET_IT).of(of));
            }
        }
        Some(Err(fault)) if code(&fault) == "NoSuchLifecycleConfiguration" => {
            found.push(Finding::warning(CHECK, keeps, SET_IT).of(of));
        }
        Some(Err(fault)) => found.push(unseen(CHECK, of, Some(&fault), "s3:GetLifecycleConfiguration")),
        None => found.push(unseen(CHECK, of, None, "")),
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "is as `producer setup` makes it").of(of));
    }
    found
}

fn code(fault: &Fault) -> &str {
    fault.failure().map_or("", |failure| failure.code.as_str())
}

/// Each queue and the queue of its dead letters.
pub(super) async fn queues(store: &Store, queues: &[QueueName], is_reached: bool) -> Vec<Finding> {
    if !is_reached {
        return vec![Finding::skipped("queue", "SQS does not answer")];
    }
    let mut looking = Vec::new();
    for queue in queues {
        let dead = dead_name(&store.name, queue);
        looking.push(queue_is_right(
            store,
            name(&store.name, queue),
            Some(dead.clone()),
        ));
        looking.push(queue_is_right(store, dead, None));
    }
    futures::stream::iter(looking).buffered(AT_A_TIME).collect().await
}

/// A queue; `dead_letters` names where it leaves what was received too often.
async fn queue_is_right(store: &Store, of: String, dead_letters: Option<String>) -> Finding {
    const CHECK: &str = "queue";
    let sqs = &store.clients.sqs;
    let look = async {
        let url = sqs
            .get_queue_url()
            .queue_name(&of)
            .send()
            .await
            .map_err(|e| (e.into(), "sqs:GetQueueUrl"))?;
        let asked = sqs
            .get_queue_attributes()
            .set_queue_url(url.queue_url)
            .attribute_names(QueueAttributeName::All)
            .send();
        let answer = asked.await.map_err(|e| (e.into(), "sqs:GetQueueAttributes"))?;
        Ok(answer.attributes.unwrap_or_default())
    };
    let attributes = match within(&store.host, look).await {
        Some(Ok(attributes)) => attributes,
        Some(Err((fault, action))) if kind(&fault) == Some(ErrorKind::Denied) => {
            let advice =
                format!("allow {action} on it: it is needed to find the queue and to show its depth");
            return Finding::failed(CHECK, format!("{action} is missing"), advice).of(of);
        }
        Some(Err((fault, action))) => return unseen(CHECK, &of, Some(&fault), action),
        None => return unseen(CHECK, &of, None, ""),
    };
    let redrive = attributes
        .get(&QueueAttributeName::RedrivePolicy)
        .map(String::as_str);
    if let Some(told) = dead_letters
        .as_deref()
        .and_then(|dead| wrong_redrive(redrive, dead))
    {
        return Finding::failed(CHECK, told, SET_IT).of(of);
    }
    match differences(&attributes, dead_letters.is_none()) {
        told if told.is_empty() => Finding::ok(CHECK, "is as `producer setup` makes it").of(of),
        told => Finding::warning(CHECK, told, SET_IT).of(of),
    }
}

/// What is wrong with where a queue leaves what was received too often.
fn wrong_redrive(policy: Option<&str>, dead: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Policy {
        #[serde(rename = "deadLetterTargetArn")]
        target: String,
        // A number, or a text, as whoever set it wrote it.
        #[serde(rename = "maxReceiveCount")]
        max: serde_json::Value,
    }
    let Some(policy) = policy else {
        return Some("has no redrive policy: a message that nobody can take is received for ever".into());
    };
    let Ok(policy) = serde_json::from_str::<Policy>(policy) else {
        return Some(format!("has a redrive policy that cannot be read: {policy}"));
    };
    if policy.target.rsplit(':').next() != Some(dead) {
        return Some(format!(
            "leaves its dead letters in {} instead of {dead}",
            policy.target
        ));
    }
    let max = <dyn pipeline::ports::Queue>::MAX_RECEIVES;
    let told = policy.max.to_string();
    (told.trim_matches('"') != max.to_string())
        .then(|| format!("makes dead letters of messages after {told} receives instead of {max}"))
}

/// Which attributes are not as they should be.
fn differences(attributes: &HashMap<QueueAttributeName, String>, is_of_dead_letters: bool) -> String {
    let differs = |(name, wanted): &(QueueAttributeName, &str)| {
        let is = attributes.get(name).map_or("not set", String::as_str);
        (is != *wanted).then(|| format!("{} is {is} instead of {wanted}", name.as_str()))
    };
    let differing: Vec<_> = setup::attributes(is_of_dead_letters)
        .iter()
        .filter_map(differs)
        .collect();
    differing.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policies_are_told_apart() {
        let policy = |target: &str, max: &str| {
            format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:{target}","maxReceiveCount":{max}}}"#)
        };
        for right in [policy("f-train-dead", "1000"), policy("f-train-dead", "\"1000\"")] {
            assert_eq!(wrong_redrive(Some(&right), "f-train-dead"), None);
        }
        for (wrong, part) in [
            (None, "no redrive policy"),
            (Some("{}".to_owned()), "cannot be read"),
            (Some(policy("f-dead", "1000")), "instead of f-train-dead"),
            (Some(policy("f-train-dead", "5")), "after 5 receives"),
        ] {
            let told = wrong_redrive(wrong.as_deref(), "f-train-dead").expect("is wrong");
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn attributes_that_differ_are_named() {
        let mut attributes: HashMap<_, _> = setup::attributes(true)
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        assert_eq!(differences(&attributes, true), "");
        attributes.remove(&QueueAttributeName::ReceiveMessageWaitTimeSeconds);
        assert_eq!(
            differences(&attributes, false),
            "MessageRetentionPeriod is 1209600 instead of 864000, ReceiveMessageWaitTimeSeconds is not set instead of 20"
        );
    }
}
