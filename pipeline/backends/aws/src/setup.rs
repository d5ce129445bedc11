//! Makes what a fleet needs on AWS, where it is not there yet.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter,
    PublicAccessBlockConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use pipeline::QueueName;
use pipeline::ports::{ErrorKind, PortError, PortResult};

use crate::Aws;
use crate::error::{Failure, Fault};
use crate::queue::{dead_name, name};
use crate::runs::{LISTED_INDEX, OPEN_INDEX};
use crate::table::document::{EXPIRES, LISTED, NEXT_CHECK, PK, SHARD, SK};

/// How long a message waits at most: longer than the usual deadline of a run, which is seven days.
const RETENTION_SECONDS: &str = "864000";
/// How long a dead letter waits at most: as long as SQS allows, and longer than a message. A message that SQS moves keeps
/// the time at which it was first sent, so that with equal times it could be gone before anybody looks.
const DEAD_RETENTION_SECONDS: &str = "1209600";
/// A long poll where a receiver asks for none.
const POLL_SECONDS: &str = "20";
/// How long a new table may take.
const TABLE_WAIT_SECONDS: u64 = 120;
/// The table's keys: partition and sort.
pub(crate) const TABLE_KEYS: [&str; 2] = [PK, SK];
/// Its indexes, each with its sort key; their partition key is one and the same.
pub(crate) const INDEXES: [(&str, &str); 2] = [(OPEN_INDEX, NEXT_CHECK), (LISTED_INDEX, LISTED)];
/// What is left of an upload that was given up is removed after so many days.
const ABORT_AFTER_DAYS: i32 = 3;

/// One thing that a fleet needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `table`, `bucket` or `queue`.
    pub kind: &'static str,
    /// As AWS calls it.
    pub name: String,
    /// False if it was there.
    pub is_new: bool,
}

/// Makes what is missing.
pub struct Setup<'a> {
    aws: &'a Aws,
}

impl Aws {
    /// What makes the fleet's things.
    pub fn setup(&self) -> Setup<'_> {
        Setup { aws: self }
    }

    /// What the fleet's bucket is called.
    pub fn bucket(&self) -> &str {
        &self.store.bucket
    }
}

impl Setup<'_> {
    /// The table with its indexes, ready for use.
    pub async fn table(&self) -> PortResult<Made> {
        let made = self.make_table().await;
        made.map_err(|fault| fault.explain(&format!("make table {}", self.aws.store.table)))
    }

    /// The bucket, closed to the public.
    pub async fn bucket(&self) -> PortResult<Made> {
        let made = self.make_bucket().await;
        made.map_err(|fault| fault.explain(&format!("make bucket {}", self.aws.store.bucket)))
    }

    /// A queue and the queue of its dead letters.
    pub async fn queue(&self, queue: &QueueName) -> PortResult<[Made; 2]> {
        let made = self.make_queue(queue).await;
        made.map_err(|fault| fault.explain(&format!("make queue {queue}")))
    }

    async fn make_table(&self) -> Result<Made, Fault> {
        let store = &self.aws.store;
        let text = |name: &str| {
            let of = AttributeDefinition::builder().attribute_name(name);
            of.attribute_type(ScalarAttributeType::S).build()
        };
        let number = AttributeDefinition::builder()
            .attribute_name(NEXT_CHECK)
            .attribute_type(ScalarAttributeType::N)
            .build()?;
        let keys = |partition: &str, sort: &str| -> Result<Vec<KeySchemaElement>, Fault> {
            [(partition, KeyType::Hash), (sort, KeyType::Range)]
                .into_iter()
                .map(|(name, kind)| {
                    Ok(KeySchemaElement::builder()
                        .attribute_name(name)
                        .key_type(kind)
                        .build()?)
                })
                .collect()
        };
        let open = Projection::builder()
            .projection_type(ProjectionType::KeysOnly)
            .build();
        let listed = Projection::builder()
            .projection_type(ProjectionType::Include)
            .non_key_attributes("pipeline")
            .non_key_attributes("status")
            .build();
        let index = |(name, sort): (&str, &str), projection| -> Result<GlobalSecondaryIndex, Fault> {
            Ok(GlobalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(keys(SHARD, sort)?))
                .projection(projection)
                .build()?)
        };
        let request = store.clients.dynamodb.create_table().table_name(&store.table);
        let created = request
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(keys(TABLE_KEYS[0], TABLE_KEYS[1])?))
            .attribute_definitions(text(PK)?)
            .attribute_definitions(text(SK)?)
            .attribute_definitions(text(SHARD)?)
            .attribute_definitions(text(LISTED)?)
            .attribute_definitions(number)
            .global_secondary_indexes(index(INDEXES[0], open)?)
            .global_secondary_indexes(index(INDEXES[1], listed)?)
            .send()
            .await;
        let is_new = match created.map_err(Fault::from) {
            Ok(_) => true,
            Err(fault) if code(&fault).is_some_and(|code| code.ends_with("ResourceInUseException")) => false,
            Err(fault) => return Err(fault),
        };
        self.await_table().await?;
        self.forget_expired().await?;
        Ok(Made {
            kind: "table",
            name: store.table.clone(),
            is_new,
        })
    }

    async fn await_table(&self) -> Result<(), Fault> {
        let store = &self.aws.store;
        for _ in 0..TABLE_WAIT_SECONDS {
            let request = store.clients.dynamodb.describe_table();
            let answer = request.table_name(&store.table).send().await?;
            let status = answer.table.and_then(|table| table.table_status);
            if matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
                return Ok(());
            }
            store.host.clock.sleep(std::time::Duration::from_secs(1)).await;
        }
        Err(Fault::Port(PortError::new(
            ErrorKind::Unavailable,
            format!("table {} is not ready after two minutes; try again", store.table),
        )))
    }

    async fn forget_expired(&self) -> Result<(), Fault> {
        let store = &self.aws.store;
        let request = store.clients.dynamodb.describe_time_to_live();
        let answer = request.table_name(&store.table).send().await?;
        let now = answer.time_to_live_description.and_then(|of| of.attribute_name);
        if now.as_deref() == Some(EXPIRES) {
            return Ok(());
        }
        let wanted = TimeToLiveSpecification::builder()
            .attribute_name(EXPIRES)
            .enabled(true)
            .build()?;
        let request = store.clients.dynamodb.update_time_to_live();
        request
            .table_name(&store.table)
            .time_to_live_specification(wanted)
            .send()
            .await?;
        Ok(())
    }

    async fn make_bucket(&self) -> Result<Made, Fault> {
        let store = &self.aws.store;
        let (s3, bucket, owner) = (&store.clients.s3, &store.bucket, &store.clients.account);
        let there = s3
            .head_bucket()
            .bucket(bucket)
            .expected_bucket_owner(owner)
            .send()
            .await;
        let is_new = match there.map_err(Fault::from) {
            Ok(_) => false,
            Err(fault) if fault.failure().is_some_and(Failure::is_absent) => {
                // The first of all regions is named by naming none.
                let elsewhere = (store.clients.region != "us-east-1").then(|| {
                    let place = BucketLocationConstraint::from(store.clients.region.as_str());
                    CreateBucketConfiguration::builder()
                        .location_constraint(place)
                        .build()
                });
                let request = s3.create_bucket().bucket(bucket);
                request.set_create_bucket_configuration(elsewhere).send().await?;
                true
            }
            Err(fault) => return Err(fault),
        };
        let closed = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = s3.put_public_access_block().bucket(bucket);
        request
            .expected_bucket_owner(owner)
            .public_access_block_configuration(closed)
            .send()
            .await?;
        let tidy = LifecycleRule::builder()
            .id("abort-unfinished-uploads")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build())
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder()
                    .days_after_initiation(ABORT_AFTER_DAYS)
                    .build(),
            )
            .build()?;
        let rules = BucketLifecycleConfiguration::builder().rules(tidy).build()?;
        let request = s3.put_bucket_lifecycle_configuration().bucket(bucket);
        request
            .expected_bucket_owner(owner)
            .lifecycle_configuration(rules)
            .send()
            .await?;
        Ok(Made {
            kind: "bucket",
            name: bucket.clone(),
            is_new,
        })
    }

    async fn make_queue(&self, queue: &QueueName) -> Result<[Made; 2], Fault> {
        let prefix = &self.aws.store.name;
        let (dead, dead_url) = self.make_one(&dead_name(prefix, queue), None).await?;
        let request = self.aws.store.clients.sqs.get_queue_attributes();
        let answer = request
            .queue_url(dead_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await?;
        let arn = answer
            .attributes
            .and_then(|mut of| of.remove(&QueueAttributeName::QueueArn))
            .ok_or_else(|| Fault::Stored(format!("queue {} has no ARN", dead.name)))?;
        let max = <dyn pipeline::ports::Queue>::MAX_RECEIVES;
        let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": max });
        let (live, _) = self
            .make_one(&name(prefix, queue), Some(policy.to_string()))
            .await?;
        Ok([live, dead])
    }

    /// One queue and its address. What is there gets the attributes that it should have.
    async fn make_one(&self, name: &str, redrive: Option<String>) -> Result<(Made, String), Fault> {
        let sqs = &self.aws.store.clients.sqs;
        let there = sqs.get_queue_url().queue_name(name).send().await;
        let there = match there.map_err(Fault::from) {
            Ok(answer) => answer.queue_url,
            Err(fault) if fault.failure().is_some_and(Failure::is_absent) => None,
            Err(fault) => return Err(fault),
        };
        let mut attributes: std::collections::HashMap<_, _> = attributes(redrive.is_none())
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        attributes.extend(redrive.map(|policy| (QueueAttributeName::RedrivePolicy, policy)));
        let is_new = there.is_none();
        let url = match there {
            Some(url) => {
                let request = sqs.set_queue_attributes().queue_url(&url);
                request.set_attributes(Some(attributes)).send().await?;
                url
            }
            None => {
                let request = sqs.create_queue().queue_name(name);
                let answer = request.set_attributes(Some(attributes)).send().await?;
                answer
                    .queue_url
                    .ok_or_else(|| Fault::Stored(format!("queue {name} has no address")))?
            }
        };
        let made = Made {
            kind: "queue",
            name: name.to_owned(),
            is_new,
        };
        Ok((made, url))
    }
}

/// What a queue is told of itself, besides where its dead letters go.
pub(crate) fn attributes(is_of_dead_letters: bool) -> [(QueueAttributeName, &'static str); 2] {
    let retention_seconds = match is_of_dead_letters {
        true => DEAD_RETENTION_SECONDS,
        false => RETENTION_SECONDS,
    };
    [
        (QueueAttributeName::MessageRetentionPeriod, retention_seconds),
        (QueueAttributeName::ReceiveMessageWaitTimeSeconds, POLL_SECONDS),
    ]
}

fn code(fault: &Fault) -> Option<&str> {
    fault.failure().map(|failure| failure.code.as_str())
}
