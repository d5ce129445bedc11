//! Looks whether a fleet's things on AWS are there and as they should be, and says what to do where they are not.
//!
//! It changes nothing, asks with little patience, and goes on where something is broken: what cannot be asked then is said to
//! have been skipped, with the reason.

mod identity;
mod permissions;
mod resources;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use pipeline::QueueName;
use pipeline::diagnosis::{ClockReading, Examination, Finding};
use pipeline::ports::{ErrorKind, Host};

use crate::client::{self, Clients, Patience};
use crate::error::Fault;
use crate::runs::clock;
use crate::store::Store;
use crate::{Options, queue};

/// How long credentials, and a single check, may take: a few requests of little patience each.
const LONGEST: Duration = Duration::from_secs(12);

const WHERE_THE_ENDPOINT_IS: &str = "see that the network, the region and the endpoint (AWS_ENDPOINT_URL, or `endpoint_url` in the profile) are right";

/// Which services can be spoken to; none are asked otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    sqs: bool,
    s3: bool,
    dynamodb: bool,
}

/// Examines a fleet's things on AWS: its queues are these.
pub async fn examine(options: &Options, queues: &[QueueName], host: &Host) -> Examination {
    let mut found = Vec::new();
    let (config, account) = match Box::pin(identity::identify(options, host, &mut found)).await {
        Ok(identified) => identified,
        Err(why) => {
            let checks = ["endpoint", "table", "bucket", "queue", "permission", "clock"];
            found.extend(checks.map(|check| Finding::skipped(check, why)));
            return Examination {
                findings: found,
                ..Examination::default()
            };
        }
    };
    let region = client::region(&config).unwrap_or_default();
    // A bucket's name and owner need it; nothing else does.
    let known = account.clone().unwrap_or_default();
    let bucket = options.bucket.clone();
    let store = Arc::new(Store {
        bucket: bucket.unwrap_or_else(|| format!("{}-{known}-{region}", options.name)),
        clients: Clients::of(&config, Patience::EXAMINATION, options, region, known),
        name: options.name.clone(),
        table: options.name.clone(),
        host: host.clone(),
    });
    let mut reached = Box::pin(endpoints(&store, queues, &config, &mut found)).await;
    if account.is_none() {
        reached.s3 = false;
    }
    // In boxes: what waits for several requests at a time is large.
    let (table, bucket, of_queues, permissions, clock) = futures::join!(
        Box::pin(resources::table(&store, reached.dynamodb)),
        Box::pin(resources::bucket(&store, reached.s3)),
        Box::pin(resources::queues(&store, queues, reached.sqs)),
        Box::pin(permissions::all(&store, reached)),
        Box::pin(read_clock(&store, reached.dynamodb)),
    );
    found.extend(table);
    found.extend(bucket);
    found.extend(of_queues);
    found.extend(permissions);
    Examination {
        findings: found,
        clock,
        backend: reached
            .dynamodb
            .then(|| crate::ports(store, &options.source_buckets).ok())
            .flatten(),
    }
}

/// Whether each service answers at all, and how fast. An answer that says no is one.
async fn endpoints(
    store: &Store,
    queues: &[QueueName],
    config: &SdkConfig,
    found: &mut Vec<Finding>,
) -> Reached {
    let clients = &store.clients;
    let any = queues
        .first()
        .map_or_else(|| store.name.clone(), |of| queue::name(&store.name, of));
    let sqs = async {
        let asked = clients.sqs.get_queue_url().queue_name(any).send().await;
        asked.map(drop).map_err(Fault::from)
    };
    let s3 = async {
        let asked = clients.s3.list_objects_v2().bucket(&store.bucket).max_keys(1);
        asked
            .expected_bucket_owner(&clients.account)
            .send()
            .await
            .map(drop)
            .map_err(Fault::from)
    };
    let dynamodb = async { clock::look(store).await.0 };
    let (sqs, s3, dynamodb) = futures::join!(
        reach(store, "SQS", sqs),
        reach(store, "S3", s3),
        reach(store, "DynamoDB", dynamodb),
    );
    let reached = Reached {
        sqs: sqs.1,
        s3: s3.1,
        dynamodb: dynamodb.1,
    };
    let place = config.endpoint_url().unwrap_or("AWS").to_owned();
    for (mut finding, is_reached) in [sqs, s3, dynamodb] {
        if !is_reached {
            finding.told = format!("{place}: {}", finding.told);
        }
        found.push(finding);
    }
    reached
}

async fn reach(
    store: &Store,
    service: &str,
    call: impl Future<Output = Result<(), Fault>>,
) -> (Finding, bool) {
    let clock = &store.host.clock;
    let asked = clock.monotonic();
    let answer = within(&store.host, call).await;
    let took = clock.monotonic().saturating_sub(asked);
    let failed = |told: String, advice: &str| {
        (
            Finding::failed("endpoint", told, advice).of(service).after(took),
            false,
        )
    };
    let fault = match answer {
        None => return failed("no answer in time".into(), WHERE_THE_ENDPOINT_IS),
        Some(Ok(())) => None,
        Some(Err(fault)) => Some(fault),
    };
    match fault.as_ref().and_then(Fault::failure) {
        Some(failure) if failure.is_of_something_else() => failed(
            format!("something answers that is not {service}: {failure}"),
            WHERE_THE_ENDPOINT_IS,
        ),
        Some(failure) if failure.kind_and_advice().0 == ErrorKind::Unavailable => {
            let advice = match failure.status {
                Some(_) => "AWS fails, perhaps in passing: try again, and look at the AWS Health dashboard",
                None => WHERE_THE_ENDPOINT_IS,
            };
            failed(plain(&failure.to_string()), advice)
        }
        _ => {
            let answered = format!("answers in {} ms", took.as_millis());
            (Finding::ok("endpoint", answered).of(service).after(took), true)
        }
    }
}

/// What time DynamoDB says it is.
async fn read_clock(store: &Store, is_reached: bool) -> Option<ClockReading> {
    if !is_reached {
        return None;
    }
    let before = store.host.clock.now();
    let (_, server) = within(&store.host, clock::look(store)).await?;
    let after = store.host.clock.now();
    Some(ClockReading {
        server: server?,
        before,
        after,
    })
}

/// What comes within the time that any check may take.
async fn within<T>(host: &Host, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = host.clock.sleep(LONGEST) => None,
    }
}

fn kind(fault: &Fault) -> Option<ErrorKind> {
    fault.failure().map(|failure| failure.kind_and_advice().0)
}

/// What AWS said, in one line.
fn said(fault: &Fault) -> String {
    match fault {
        Fault::Service(failure) => plain(&failure.to_string()),
        Fault::Stored(what) => what.clone(),
        Fault::Io(error) => error.to_string(),
        Fault::Port(error) => error.to_string(),
    }
}

/// Without what the SDK shows of its own structures.
fn plain(text: &str) -> String {
    let parts = text.split(" (").take_while(|part| !part.contains('{'));
    parts.collect::<Vec<_>>().join(" (")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_not_shown() {
        let text = "dispatch failure: client error (Connect): refused (os error 111) (DispatchFailure(DispatchFailure { source: … }))";
        assert_eq!(
            plain(text),
            "dispatch failure: client error (Connect): refused (os error 111)"
        );
        assert_eq!(plain("not there (NoSuchBucket)"), "not there (NoSuchBucket)");
    }
}
