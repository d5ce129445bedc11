//! The AWS backend: queues in SQS, artifacts in S3, everything else in one table of DynamoDB.
//!
//! ```text
//! SQS       {name}-{stage}, {name}-{stage}-large, …          a queue for each stage and memory class
//!           {name}-{stage}-dead, …                           and one for the dead letters of each
//! S3        r/{run}/{step}/{ordinal}/a{attempt}/{artifact}   artifacts
//!           s/{digest}                                       specifications
//!           l/{run}/…                                        what workers logged about a run
//!           u/{digest}/{file}                                sources that were offered from elsewhere
//! DynamoDB  R#{run}    RUN                    a run's item; indexes `open` (by next check) and `listed` (by age)
//!                      B#{step}#{ordinal}     a branch's item
//!           C#{key}    CACHE                  a cached result
//!           M#{model}  V#{run}                a version of a model
//!                      A#{alias}              an alias as it is
//!                      P#{alias}#{revision}   each position that it had
//!           MODELS     {model}                the models that there are
//!           WORKERS    {worker}               who is there
//!           PAUSES     {stage}                which pools are paused
//!           PIPELINES  {pipeline}             named pipelines
//!           PLACES     {pipeline}             which of its runs have a place
//! ```
//!
//! Safety leans on one thing only: that a conditional update of one item is atomic, and that a transaction is. Neither
//! indexes, which lag, nor clocks decide anything.

mod artifacts;
mod client;
mod error;
mod examine;
mod fleet;
mod logs;
mod pipelines;
mod queue;
mod registry;
mod retry;
mod runs;
mod setup;
mod sources;
mod store;
mod table;

use std::sync::Arc;

use pipeline::ports::{Backend, Host, PortResult};

use crate::client::Clients;
pub use crate::client::{Observer, paid_as};
pub use crate::examine::examine;
pub use crate::setup::{Made, Setup};
use crate::store::Store;

/// What to speak to.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The fleet's name: of its table, and what the names of its queues begin with.
    pub name: String,
    /// Its bucket; none for `{name}-{account}-{region}`.
    pub bucket: Option<String>,
    /// The AWS account; none to ask AWS whose the credentials are. Buckets of others are refused.
    pub account: Option<String>,
    /// The endpoint of an emulator, for tests: takes any credentials, and is in `us-east-1`. None for AWS, or what the
    /// environment or the profile says of the endpoint.
    pub emulator: Option<String>,
    /// The buckets, or parts of them (`s3://bucket/prefix`), in which a specification's sources may lie.
    pub source_buckets: Vec<String>,
    /// Hears of every request.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A fleet's things on AWS.
#[derive(Clone)]
pub struct Aws {
    store: Arc<Store>,
    /// The ports.
    pub backend: Backend,
}

/// Gets ready to speak to AWS. Asks nothing of it but, if it is not told, whose the credentials are.
///
/// Fails with `Invalid` where no region is set, with `Denied` where there are no credentials that AWS takes, and with
/// `Unavailable` where it does not answer.
pub async fn open(options: &Options, host: &Host) -> PortResult<Aws> {
    let clients = Clients::new(options).await?;
    let bucket = options
        .bucket
        .clone()
        .unwrap_or_else(|| format!("{}-{}-{}", options.name, clients.account, clients.region));
    let store = Arc::new(Store {
        clients,
        name: options.name.clone(),
        table: options.name.clone(),
        bucket,
        host: host.clone(),
    });
    Ok(Aws {
        backend: ports(Arc::clone(&store), &options.source_buckets)?,
        store,
    })
}

/// The ports over one store.
fn ports(store: Arc<Store>, source_buckets: &[String]) -> PortResult<Backend> {
    Ok(Backend {
        queue: Arc::new(queue::Queues::new(Arc::clone(&store))),
        artifacts: Arc::new(artifacts::Artifacts(Arc::clone(&store))),
        runs: Arc::new(runs::Runs(Arc::clone(&store))),
        registry: Arc::new(registry::Models(Arc::clone(&store))),
        fleet: Arc::new(fleet::Presences(Arc::clone(&store))),
        pipelines: Arc::new(pipelines::Named(Arc::clone(&store))),
        sources: Arc::new(sources::Objects::new(store, source_buckets)?),
    })
}
