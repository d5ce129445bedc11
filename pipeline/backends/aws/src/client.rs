//! The SDK's clients, with timeouts and retries chosen on purpose, and every request told to an observer.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use pipeline::item::RequestKind;
use pipeline::ports::{ErrorKind, PortError, PortResult};

use crate::Options;
use crate::error::Fault;
use crate::queue::LONGEST_POLL;

/// Hears of every request that was sent, each retry of it included.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// `service` and `operation` as AWS names them, and what kind of failure it was, none if it was none.
    fn request(&self, service: &str, operation: &str, failed: Option<ErrorKind>);
}

/// What a request is paid as that was made for some work; none for those that are free, and for those that a process makes
/// for itself: it asks for the address of a queue once. S3 asks as much for a list as for a write.
pub fn paid_as(service: &str, operation: &str) -> Option<RequestKind> {
    match (service, operation) {
        ("SQS", "GetQueueUrl" | "GetQueueAttributes") => None,
        ("SQS", _) => Some(RequestKind::Queue),
        ("DynamoDB", "GetItem" | "BatchGetItem" | "Query") => Some(RequestKind::TableRead),
        ("DynamoDB", _) => Some(RequestKind::TableWrite),
        ("S3", "GetObject" | "HeadObject" | "HeadBucket") => Some(RequestKind::StoreRead),
        ("S3", "DeleteObject" | "AbortMultipartUpload") => None,
        ("S3", _) => Some(RequestKind::StoreWrite),
        _ => None,
    }
}

/// All clients.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    /// The same with the patience that a long poll needs.
    pub(crate) polls: aws_sdk_sqs::Client,
    /// Every bucket that we read or write belongs to it.
    pub(crate) account: String,
    pub(crate) region: String,
}

/// A connection is there after this time, or is given up.
const CONNECT: Duration = Duration::from_secs(4);
/// How often a request is sent at most. The SDK waits between, and longer when it is throttled.
const ATTEMPTS: u32 = 4;
/// An item is answered in milliseconds.
const ITEM: Duration = Duration::from_secs(6);
/// A queue that is empty answers after the poll.
const POLL: Duration = LONGEST_POLL.saturating_add(Duration::from_secs(10));
/// An object's head is answered in less than a second, and so is the first byte of its body.
const OBJECT: Duration = Duration::from_secs(10);
/// What is uploaded slower than this is taken to stand still: a line on which 16 MiB take four minutes is of no use.
const SLOWEST_UPLOAD_BYTES_PER_SECOND: u64 = 64 * 1024;
/// How fast S3 puts the parts of an upload together, at least.
const SLOWEST_JOIN_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;
/// A download on which nothing moves for so long is given up. There is no limit to how long one may take that moves.
const STALLED: Duration = Duration::from_secs(30);

/// The settings of a request that uploads so many bytes: it may take as long as they need.
pub(crate) fn uploading(size_bytes: u64) -> aws_sdk_s3::config::Builder {
    taking(size_bytes / SLOWEST_UPLOAD_BYTES_PER_SECOND)
}

/// The settings of a request that puts so many uploaded bytes together.
pub(crate) fn joining(size_bytes: u64) -> aws_sdk_s3::config::Builder {
    taking(size_bytes / SLOWEST_JOIN_BYTES_PER_SECOND)
}

fn taking(seconds: u64) -> aws_sdk_s3::config::Builder {
    let patience = OBJECT.saturating_add(Duration::from_secs(seconds));
    aws_sdk_s3::Config::builder().timeout_config(timeouts(patience))
}

/// How long one try of a request may take, by its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    item: Duration,
    poll: Duration,
    object: Duration,
    /// How often a request is sent at most.
    attempts: u32,
}

impl Patience {
    /// For work.
    pub(crate) const WORK: Self = Self {
        item: ITEM,
        poll: POLL,
        object: OBJECT,
        attempts: ATTEMPTS,
    };
    /// For somebody who wants to know whether there is an answer at all. A second try tells what passes from what stays.
    pub(crate) const EXAMINATION: Self = Self {
        item: Duration::from_secs(4),
        poll: Duration::from_secs(4),
        object: Duration::from_secs(4),
        attempts: 2,
    };
}

impl Clients {
    pub(crate) async fn new(options: &Options) -> PortResult<Self> {
        let config = shared(options, Patience::WORK).await;
        let region = region(&config)?;
        let account = match &options.account {
            Some(account) => account.clone(),
            None => {
                let identity = identity(&config, Patience::WORK).await;
                identity
                    .map_err(|fault| fault.explain("ask AWS whose credentials these are"))?
                    .account
            }
        };
        Ok(Self::of(&config, Patience::WORK, options, region, account))
    }

    pub(crate) fn of(
        config: &SdkConfig,
        patience: Patience,
        options: &Options,
        region: String,
        account: String,
    ) -> Self {
        let interceptor = Counter(options.observer.clone());
        let sqs = aws_sdk_sqs::config::Builder::from(config).interceptor(interceptor.clone());
        let polls = sqs.clone().timeout_config(timeouts(patience.poll)).build();
        let sqs = sqs.timeout_config(timeouts(patience.item)).build();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts(patience.item))
            .interceptor(interceptor.clone())
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(timeouts(patience.object))
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    .grace_period(STALLED)
                    .build(),
            )
            // Other endpoints than AWS's have no names of hosts for buckets.
            .force_path_style(config.endpoint_url().is_some())
            .interceptor(interceptor)
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            polls: aws_sdk_sqs::Client::from_conf(polls),
            account,
            region,
        }
    }
}

/// Where all of it is.
pub(crate) fn region(config: &SdkConfig) -> PortResult<String> {
    config.region().map(Region::to_string).ok_or_else(|| {
        PortError::new(
            ErrorKind::Invalid,
            "no AWS region is set: set AWS_REGION, or `region` in the profile of the aws CLI",
        )
    })
}

/// What all clients share. Region, credentials and endpoint come from where every AWS tool takes them from.
pub(crate) async fn shared(options: &Options, patience: Patience) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts))
        .app_name(AppName::new("fleetline").expect("a valid name"))
        // Everything but a download is bounded by its time, and a long poll stands still on purpose.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &options.emulator {
        loader = loader
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .test_credentials();
    }
    loader.load().await
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Whose credentials are used.
pub(crate) struct Identity {
    pub(crate) account: String,
    /// The user or role, as AWS names it.
    pub(crate) arn: String,
}

/// Asks AWS whose credentials these are.
pub(crate) async fn identity(config: &SdkConfig, patience: Patience) -> Result<Identity, Fault> {
    let sts = aws_sdk_sts::config::Builder::from(config)
        .timeout_config(timeouts(patience.item))
        .build();
    let answer = aws_sdk_sts::Client::from_conf(sts)
        .get_caller_identity()
        .send()
        .await?;
    let account = answer
        .account
        .ok_or_else(|| Fault::Stored("no account was named".into()))?;
    Ok(Identity {
        account,
        arn: answer.arn.unwrap_or_default(),
    })
}

/// Tells the observer of each attempt of each request.
#[derive(Debug, Clone)]
struct Counter(Option<Arc<dyn Observer>>);

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "FleetlineRequests"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some((observer, metadata)) = self.0.as_ref().zip(config.load::<Metadata>()) {
            let failed = match context.response() {
                None => Some(ErrorKind::Unavailable),
                Some(answer) if answer.status().as_u16() < 400 => None,
                Some(answer) => Some(crate::error::Failure::of_attempt(answer).kind_and_advice().0),
            };
            observer.request(metadata.service(), metadata.name(), failed);
        }
        Ok(())
    }
}
